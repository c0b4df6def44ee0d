"""What is annotated is what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pgtfast.synth import picture
from pgtfast.synth.backdrop import Backdrop
from pgtfast.synth.picture import Studio
from pgtfast.visuals import render_meshes

SIZE = (192, 160)


@pytest.fixture(scope="module")
def studio():
    made = Studio(SIZE, (1, 2), 0.0, 1.0)
    yield made
    made.close()


@pytest.fixture(scope="module")
def pictures(studio):
    return [studio.draw(11, number) for number in range(12)]


def columns(people: list[dict], *names: str) -> list[torch.Tensor]:
    return [torch.from_numpy(np.stack([p[name] for p in people]).astype(np.float32)) for name in names]


def vertices_of(studio, people: list[dict]) -> np.ndarray:
    """From the truth alone."""
    pose = dict(
        zip(
            ("global_orient", "body_pose", "betas", "transl"),
            columns(people, "global_orient", "body_pose", "betas", "transl"),
            strict=True,
        )
    )
    return studio.cast.body(**pose).vertices.numpy()


def silhouette(studio, person: dict, vertices: np.ndarray) -> np.ndarray:
    """(H, W) bool, drawn by the other renderer."""
    alpha = render_meshes(
        vertices[None], studio.cast.body.faces, focal=person["focal"], center=person["center"], size=SIZE
    )
    return alpha[..., 3] > 0


def test_people_stand_on_the_floor_and_before_the_camera(studio, pictures):
    for shot in pictures:
        for person, vertices in zip(shot.people, vertices_of(studio, shot.people), strict=True):
            height = vertices @ person["up"] + person["camera_height"]
            assert abs(height.min()) < 2e-3
            assert vertices[:, 2].min() > 0.4
            assert 1.1 * height.max() > 0.9


def test_landmarks_lie_on_the_silhouette(studio, pictures):
    checked = 0
    for shot in pictures:
        for person, vertices in zip(shot.people, vertices_of(studio, shot.people), strict=True):
            mask = np.pad(silhouette(studio, person, vertices), 1)
            near = np.max([np.roll(mask, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)], 0)[1:-1, 1:-1]
            column, row = np.round(person["landmarks_2d"][person["visibility"] > 0]).astype(int).T
            inside = (column >= 0) & (row >= 0) & (column < SIZE[0]) & (row < SIZE[1])
            assert near[row[inside], column[inside]].all()
            checked += inside.sum()
    assert checked > 150


def test_keypoints_without_noise_are_the_projections(pictures):
    for shot in pictures:
        for person in shot.people:
            seen = person["visibility"] > 0
            np.testing.assert_allclose(person["keypoints"][seen], person["landmarks_2d"][seen], atol=1e-5)


def test_picture_and_truth_agree_within_a_fraction_of_a_pixel(studio, monkeypatch):
    """White people before black: the picture's light lies where the truth's body, drawn by the other renderer, lies."""
    far = Backdrop(np.zeros((SIZE[1], SIZE[0], 3), np.float32), np.full(SIZE[::-1], 1e4, np.float32))
    monkeypatch.setattr(picture, "draw_backdrop", lambda *_: far)
    monkeypatch.setattr(
        Studio, "_shade", lambda self, rng, scene, samples, *_: np.ones((len(samples.row), 3), np.float32)
    )
    monkeypatch.setattr(Studio, "_develop", lambda self, rng, place, samples, color: _average(samples))
    monkeypatch.setattr(studio, "people", (1, 1))
    for number in range(4):
        shot = studio.draw(5, number)
        (person,) = shot.people
        (vertices,) = vertices_of(studio, shot.people)
        alpha = render_meshes(
            vertices[None], studio.cast.body.faces, focal=person["focal"], center=person["center"], size=SIZE
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
    np.add.at(cover, (samples.row // picture.SAMPLES, samples.column // picture.SAMPLES), 1 / picture.SAMPLES**2)
    return cover


def test_visible_hidden_and_outside(studio, pictures):
    flags = np.concatenate([p["visibility"] for shot in pictures for p in shot.people])
    assert (flags == 2).mean() > 0.4
    assert (flags == 1).mean() > 0.05
    names = studio.cast.landmarks.names
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
            seen = person["keypoints"][person["visibility"] == 2]
            assert (seen > (x - 1.5, y - 1.5)).all()
            assert (seen < (x + w + 1.5, y + h + 1.5)).all()


def test_limbs_in_each_other_are_found(studio):
    cast = studio.cast
    apart = cast.overlap(cast.body().joints)
    index = {name: at for at, name in enumerate(cast.body.joint_names)}
    pose = torch.zeros(23, 3)
    pose[index["left_shoulder"] - 1, 1], pose[index["left_elbow"] - 1, 1] = (
        -1.4,
        -2.4,
    )  # the forearm runs through the chest
    through = cast.overlap(cast.body(body_pose=pose.flatten()).joints)
    assert apart < 0.02 < 0.03 < through


def test_poses_are_drawn_without_deep_overlap(studio):
    rng = np.random.default_rng(0)
    deep = []
    for _ in range(20):
        person = studio.cast.person(rng, 1.0)
        joints = studio.cast.body.joints_plan(
            body_pose=torch.from_numpy(person.rotations), betas=torch.from_numpy(person.betas)
        )
        deep.append(float(studio.cast.overlap(joints)))
    assert np.mean(np.array(deep) > 0.03) < 0.15
