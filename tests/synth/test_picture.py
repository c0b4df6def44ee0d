"""What is annotated is what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pgtfast.synth import picture
from pgtfast.synth.backdrop import Backdrop
from pgtfast.synth.picture import Painter
from pgtfast.visuals import render_meshes

SIZE = (192, 160)


@pytest.fixture(scope="module")
def painter():
    made = Painter(SIZE, (1, 2), 0.0, 1.0)
    yield made
    made.close()


@pytest.fixture(scope="module")
def pictures(painter):
    return [painter.draw("wild", 11, number) for number in range(12)]


def columns(people: list[dict], *names: str) -> list[torch.Tensor]:
    return [torch.from_numpy(np.stack([p[name] for p in people]).astype(np.float32)) for name in names]


def vertices_of(painter, people: list[dict]) -> np.ndarray:
    """From the truth alone."""
    pose = dict(
        zip(
            ("global_orient", "body_pose", "betas", "transl"),
            columns(people, "global_orient", "body_pose", "betas", "transl"),
            strict=True,
        )
    )
    return painter.cast.body(**pose).vertices.numpy()


def silhouette(painter, person: dict, vertices: np.ndarray) -> np.ndarray:
    """(H, W) bool, drawn by the other renderer."""
    alpha = render_meshes(
        vertices[None], painter.cast.body.faces, focal=person["focal"], center=person["center"], size=SIZE
    )
    return alpha[..., 3] > 0


def test_people_stand_on_the_floor_and_before_the_camera(painter, pictures):
    for shot in pictures:
        for person, vertices in zip(shot.people, vertices_of(painter, shot.people), strict=True):
            height = vertices @ person["up"] + person["camera_height"]
            assert abs(height.min()) < 2e-3
            assert vertices[:, 2].min() > 0.4
            assert 1.1 * height.max() > 0.9


def test_landmarks_lie_on_the_silhouette(painter, pictures):
    checked = 0
    for shot in pictures:
        for person, vertices in zip(shot.people, vertices_of(painter, shot.people), strict=True):
            mask = np.pad(silhouette(painter, person, vertices), 1)
            near = np.max([np.roll(mask, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)], 0)[1:-1, 1:-1]
            column, row = np.round(person["landmarks_2d"][person["visibility"] > 0]).astype(int).T
            inside = (column >= 0) & (row >= 0) & (column < SIZE[0]) & (row < SIZE[1])
            assert near[row[inside], column[inside]].all()
            checked += inside.sum()
    assert checked > 150


def test_keypoints_without_noise_are_the_projections(pictures):
    for shot in pictures:
        for person in shot.people:
            seen = person["flags"] > 0
            np.testing.assert_allclose(person["keypoints"][seen], person["landmarks_2d"][seen], atol=1e-5)


def test_picture_and_truth_agree_within_a_fraction_of_a_pixel(painter, monkeypatch):
    """White people before black: the picture's light lies where the truth's body, drawn by the other renderer, lies."""
    far = Backdrop(np.zeros((SIZE[1], SIZE[0], 3), np.float32), np.full(SIZE[::-1], 1e4, np.float32))
    monkeypatch.setattr(picture, "draw_backdrop", lambda *_: far)
    monkeypatch.setattr(Painter, "_shade", lambda self, scene, samples, *_: np.ones((len(samples.row), 3), np.float32))
    monkeypatch.setattr(Painter, "_develop", lambda self, rng, place, samples, color, plain: _average(samples))
    monkeypatch.setattr(painter, "people", (1, 1))
    for number in range(4):
        shot = painter.draw("wild", 5, number)
        (person,) = shot.people
        (vertices,) = vertices_of(painter, shot.people)
        alpha = render_meshes(
            vertices[None], painter.cast.body.faces, focal=person["focal"], center=person["center"], size=SIZE
        )
        wanted = alpha[..., 3] / 255
        found = shot.image
        edge = ((wanted > 0) & (wanted < 1)) | ((found > 0) & (found < 1))
        assert np.abs(found - wanted)[~edge].max() == 0
        assert np.abs(found - wanted)[edge].mean() < 0.15  # four samples a pixel against sixteen
        for axis in (0, 1):
            place = np.arange(found.shape[axis])
            middle = [(mask.sum(1 - axis) * place).sum() / mask.sum() for mask in (found, wanted)]
            assert abs(middle[0] - middle[1]) < 0.2
        row, column = np.nonzero(wanted)
        x, y, w, h = person["bbox"]
        edges = (x + 0.5, y + 0.5, x + w - 0.5, y + h - 0.5)
        np.testing.assert_allclose(edges, (column.min(), row.min(), column.max(), row.max()), atol=1.0)


def _average(samples) -> np.ndarray:
    cover = np.zeros(SIZE[::-1])
    np.add.at(cover, (samples.row // picture.SAMPLES, samples.column // picture.SAMPLES), samples.share)
    return cover


def test_visible_hidden_and_outside(painter, pictures):
    flags = np.concatenate([p["visibility"] for shot in pictures for p in shot.people])
    assert (flags == 2).mean() > 0.4
    assert (flags == 1).mean() > 0.05
    names = painter.cast.landmarks.names
    nose, ears = names.index("nose"), [names.index(f"{side}_ear") for side in ("left", "right")]
    for shot in pictures:
        for person in shot.people:
            points = person["landmarks"]
            ahead = points[nose] - points[ears].mean(0)
            toward = ahead @ points[nose] / np.linalg.norm(ahead) / np.linalg.norm(points[nose])
            if toward > 0.7:  # the face looks away
                assert person["visibility"][nose] != 2


def test_boxes_hold_what_is_seen(pictures):
    for shot in pictures:
        for person in shot.people:
            x, y, w, h = person["bbox"]
            assert -0.5 <= x < x + w <= SIZE[0] - 0.5
            assert -0.5 <= y < y + h <= SIZE[1] - 0.5
            assert 0 < person["area"] <= w * h
            seen = person["keypoints"][person["flags"] == 2]
            assert (seen > (x - 1.5, y - 1.5)).all()
            assert (seen < (x + w + 1.5, y + h + 1.5)).all()


def test_limbs_in_each_other_are_found(painter):
    cast = painter.cast
    apart = cast.overlap(cast.body().joints)
    index = {name: at for at, name in enumerate(cast.body.joint_names)}
    pose = torch.zeros(23, 3)
    pose[index["left_shoulder"] - 1, 1], pose[index["left_elbow"] - 1, 1] = (
        -1.4,
        -2.4,
    )  # the forearm runs through the chest
    through = cast.overlap(cast.body(body_pose=pose.flatten()).joints)
    assert apart < 0.02 < 0.03 < through


def test_poses_are_drawn_without_deep_overlap(painter):
    rng = np.random.default_rng(0)
    deep = []
    for _ in range(20):
        person = painter.cast.person(rng, 1.0)
        joints = painter.cast.body.joints_plan(
            body_pose=torch.from_numpy(person.rotations), betas=torch.from_numpy(person.betas)
        )
        deep.append(float(painter.cast.overlap(joints)))
    assert np.mean(np.array(deep) > 0.03) < 0.15


def test_soles_are_on_the_floor(painter):
    """Of the foot that bears, heel and toes are about as high: nobody stands on tiptoe but where an ankle could not do
    better."""
    feet = painter.cast.body.landmarks("p2p25")
    rows = [[feet.names.index(f"{side}_{part}") for part in ("Big_toe", "Heel")] for side in ("L", "R")]
    rng = np.random.default_rng(3)
    tilt = []
    for _ in range(40):
        person = painter.cast.person(rng, 1.0)
        points = feet(
            global_orient=torch.from_numpy(person.orient[None].astype(np.float32)),
            body_pose=torch.from_numpy(person.rotations), betas=torch.from_numpy(person.betas),
        ).numpy()  # fmt: skip
        lowest = max(rows, key=lambda pair: points[pair, 1].mean())
        tilt.append(abs(np.subtract(*points[lowest, 1])))
    assert np.median(tilt) < 0.04
    assert np.mean(np.array(tilt) > 0.1) < 0.15


def test_what_others_hide_is_left_out_or_worse():
    with_noise = Painter(SIZE, (3, 3), 1.0, 1.0)
    try:
        people = [person for number in range(25) for person in with_noise.draw("wild", 8, number).people]
    finally:
        with_noise.close()
    flags, visibility = (np.stack([p[name] for p in people]) for name in ("flags", "visibility"))
    off = np.stack([p["keypoints"] - p["landmarks_2d"] for p in people])
    assert (flags[visibility == 2] == 2).all()
    left_out = (flags[visibility == 1] == 0).mean()
    assert 0.1 < left_out < 0.6  # the body's own limbs are guessed
    assert off[flags == 2].std() < 1.2 < 1.8 < off[flags == 1].std()


def test_the_open_world_holds_poses_that_the_studio_lacks(painter):
    """Distance of a pose to the nearest of the studio's, over joints relative to the root."""

    def joints(kind, seed, numbers):
        found = [p for n in numbers for p in painter.draw(kind, seed, n).people]
        orient = torch.zeros(len(found), 3)
        pose, betas = columns(found, "body_pose", "betas")
        return painter.cast.body(global_orient=orient, body_pose=pose, betas=betas * 0).joints.flatten(1)

    known, again, wild = (
        joints("studio", 1, range(0, 240, 4)), joints("studio", 1, range(240, 300, 4)), joints("wild", 1, range(15)),
    )  # fmt: skip
    spread = [float((part - part.mean(0)).square().sum(1).mean().sqrt()) for part in (known, wild)]
    assert spread[1] > 1.3 * spread[0]
    near = [float(torch.cdist(part, known).amin(1).mean()) for part in (again, wild)]
    assert near[1] > 1.5 * near[0]
