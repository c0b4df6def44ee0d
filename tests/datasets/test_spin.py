"""npz files in SPIN's layout: real samples of three kinds, and damaged ones."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.datasets._spin import read_spin
from pgtfast.datasets.h36m import read_h36m_spin
from pgtfast.datasets.mpi_inf_3dhp import read_mpi_inf_3dhp_spin
from pgtfast.files.unpickle import RefusedPickle, load_pickle
from tests.helpers.writers3d import shared


def off(people) -> np.ndarray:
    """(N, K) px from the projected 3D joints to the annotated ones, NaN where either is unknown."""
    points = people.joints_3d[..., :2] / people.joints_3d[..., 2:] * people.focal[:, None] + people.center[:, None]
    away = np.linalg.norm(points - people.keypoints[..., :2], axis=-1)
    return np.where(people.keypoints[..., 2] > 0, away, np.nan)


def through_lens(points: np.ndarray, camera: dict) -> np.ndarray:
    """Pixels of points (K, 3) seen by a Human3.6M camera with its radial and tangential distortion."""
    rays = points[:, :2] / points[:, 2:]
    square = (rays**2).sum(1)
    k, p = camera["k"].ravel(), camera["p"].ravel()
    bent = 1 + k[0] * square + k[1] * square**2 + k[2] * square**3 + 2 * (p[0] * rays[:, 1] + p[1] * rays[:, 0])
    return (rays * bent[:, None] + np.outer(square, p[::-1])) * camera["f"].ravel() + camera["c"].ravel()


def test_real_h36m_projects_onto_its_keypoints():
    path, cameras = shared("mmpose/h36m/test_h36m_body3d.npz"), load_pickle(shared("mmpose/h36m/cameras.pkl"))
    people = read_spin(path, dataset="h36m", landmark_set="h36m17")
    assert people.reason.tolist() == [None] * 4
    for row, name in enumerate(people.image_path):
        subject, camera = re.match(r"(S\d+)/.*\.(\d+)_\d+\.jpg", name).groups()
        true = cameras[subject, camera]
        seen = through_lens(people.joints_3d[row].astype(np.float64), true)
        assert np.abs(seen - people.keypoints[row, :, :2]).max() < 0.2  # px
        np.testing.assert_allclose(people.focal[row], true["f"].ravel(), rtol=0.015)  # the lens, about the person
        np.testing.assert_allclose(people.center[row], true["c"].ravel(), atol=1)
    assert np.median(off(people)) < 0.3
    assert (off(people) < 0.5).mean() > 0.8
    assert off(people).max() < 1


def test_real_24_joints_are_the_same_people():
    people = read_h36m_spin(shared("mmpose/h36m/test_h36m.npz"))
    other = read_spin(shared("mmpose/h36m/test_h36m_body3d.npz"), dataset="h36m", landmark_set="h36m17")
    assert people.landmark_set == "spin24"
    assert people.body_model == "smpl"
    assert set(people.gender) == {"neutral"}
    assert people.pose.shape == (4, 72)
    assert "transl" not in people.body
    assert (people.keypoints[..., 2] > 0).sum(1).tolist() == [17] * 4
    for spin, mine in (
        (14, 0),
        (2, 1),
        (1, 2),
        (0, 3),
        (3, 4),
        (5, 6),
        (16, 7),
        (12, 8),
        (17, 9),
        (18, 10),
        (9, 11),
        (6, 16),
    ):
        np.testing.assert_allclose(people.keypoints[:, spin], other.keypoints[:, mine], atol=0.05)


@pytest.mark.parametrize("split", ["train", "test"])
def test_real_mpi_inf_3dhp_projects_onto_its_keypoints(split):
    path = shared(f"mmpose/mpi_inf_3dhp/test_3dhp_{split}.npz")
    cameras = load_pickle(shared(f"mmpose/mpi_inf_3dhp/cameras_{split}.pkl"))
    people = read_spin(path, dataset="mpi_inf_3dhp", landmark_set="mpi17")
    away = off(people)
    hips = [8, 11, 15]  # annotated elsewhere than their 3D joints, by one or two pixels
    others = [n for n in range(17) if n not in hips]
    assert np.nanmax(away[:, others]) < 0.05  # px of 2048
    assert np.nanmax(away) < 2.5
    for row, name in enumerate(people.image_path):
        true = cameras[name.rsplit("_", 1)[0]]
        np.testing.assert_allclose(people.focal[row], true["f"].ravel(), rtol=1e-3)
        np.testing.assert_allclose(people.center[row], true["c"].ravel(), atol=0.2)


def test_real_lsp_and_its_static_fits():
    path, fits = shared("spin_npz/lsp_dataset_original_train.npz"), shared("spin_npz/lsp-orig_fits.npy")
    people = read_spin(path, dataset="lsp", fits=fits)
    assert len(people) == 1000
    assert people.reason.tolist() == [None] * 1000
    assert (people.keypoints[..., 2] > 0).sum(1).tolist() == [14] * 1000
    assert people.joints_3d is None
    assert people.pose.shape == (1000, 72)
    assert people.annotation_id.tolist() == list(range(1000))
    assert people.image_path[0] == "images/im0001.jpg"
    points, box = people.keypoints[:, :14, :2], people.bbox[:, None]
    assert ((points > box[..., :2]) & (points < box[..., :2] + box[..., 2:])).mean() > 0.99
    opened = read_spin(path, dataset="lsp", keypoints="openpose")
    assert opened.landmark_set == "openpose25"
    assert opened.keypoints[0, 0, :2] == pytest.approx([493.495, 331.641], abs=1e-3)


def columns(count: int = 3, **changes: object) -> dict:
    rng = np.random.default_rng(0)
    made: dict = {
        "imgname": np.array([f"a/{n // 2}.jpg" for n in range(count)]),
        "center": np.full((count, 2), 400.0),
        "scale": np.full(count, 1.5),
        "part": np.concatenate([rng.uniform(300, 500, (count, 24, 2)), np.ones((count, 24, 1))], -1),
        "S": np.concatenate([rng.normal(0, 0.3, (count, 24, 3)), np.ones((count, 24, 1))], -1),
        "pose": rng.normal(0, 0.2, (count, 72)),
        "shape": rng.normal(0, 1, (count, 10)),
    }
    made.update(changes)
    return {key: value for key, value in made.items() if value is not None}


def read(tmp_path, **changes):
    np.savez(tmp_path / "a.npz", **columns(**changes))
    return read_spin(tmp_path / "a.npz", dataset="a")


def test_scales_as_text(tmp_path):
    people = read(tmp_path, scale=np.array(["1.5", "x", "2"]))
    assert people.bbox[0].tolist() == [250, 250, 300, 300]
    assert people.bbox[2].tolist() == [200, 200, 400, 400]
    assert people.reason[1].startswith("bad-box: wanted center (x, y) and scale")
    people = read(tmp_path, scale=np.array([b"1.5", 2, "-1"], dtype=object))
    assert [reason is None for reason in people.reason] == [True, True, False]


def test_root_relative_joints_have_no_camera(tmp_path):
    people = read(tmp_path)
    assert np.isfinite(people.joints_3d).all()
    assert np.isnan(people.focal).all()
    assert people.person_id.tolist() == [0, 1, 0]


def test_joints_without_a_camera_that_fits(tmp_path):
    joints = columns()["S"] + (0, 0, 5, 0)
    assert np.isnan(read(tmp_path, S=joints).focal).all()
    assert np.isnan(read(tmp_path, S=np.tile([0, 0, 5.0, 1], (3, 24, 1))).focal).all()  # all in one point


def test_unknown_joints(tmp_path):
    made = columns()
    made["S"][0, 3, 3] = 0
    made["part"][0, 5] = np.nan
    made["part"][1] = 0
    people = read(tmp_path, S=made["S"], part=made["part"])
    assert np.isnan(people.joints_3d[0, 3]).all()
    assert np.isfinite(people.joints_3d).sum() == 3 * 71
    assert people.keypoints[0, 5].tolist() == [0, 0, 0]
    assert people.reason[1].startswith("no-keypoints")


def test_invisible_joints_of_lspet_are_not_labelled(tmp_path):
    made = columns()
    made["part"][1, 4] = 0, -45.3, 1
    people = read(tmp_path, part=made["part"])
    assert people.keypoints[1, 4].tolist() == [0, 0, 0]
    assert np.isnan(people.bbox[1]).all()
    assert np.isfinite(people.bbox[[0, 2]]).all()


def test_genders_and_missing_bodies(tmp_path):
    people = read(tmp_path, gender=np.array(["m", "f", ""]), has_smpl=np.array([1, 0, 1]))
    assert people.gender.tolist() == ["male", None, None]
    assert np.isnan(people.pose[1]).all()
    assert np.isfinite(people.pose[[0, 2]]).all()
    assert set(read(tmp_path).gender) == {"neutral"}
    assert read(tmp_path, pose=None).body == {}


def test_neither_part_nor_joints(tmp_path):
    people = read(tmp_path, part=None, S=None)
    assert not people.keypoints.any()
    assert people.reason.tolist() == [None] * 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": None}, "key 'scale' is missing"),
        ({"pose": np.zeros((2, 72))}, "key 'pose': wanted one row for each of the 3 rows of imgname"),
        ({"pose": np.zeros((3, 24, 3))}, r"key 'pose': wanted numbers of shape \(N, 72\), got \(3, 24, 3\)"),
        ({"part": np.zeros((3, 17, 3))}, "key 'part': wanted SPIN's 24 joints"),
        ({"S": np.zeros((3, 24, 2))}, "key 'S'"),
        ({"S": np.array(["a", "b", "c"])}, "key 'S'"),
        ({"imgname": np.zeros(())}, "key 'imgname'"),
    ],
)
def test_a_wrong_file_names_its_key(tmp_path, changes, message):
    with pytest.raises(PgtfastError, match=message) as error:
        read(tmp_path, **changes)
    assert "a.npz" in str(error.value)


def test_fits_of_another_length_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", **columns())
    np.save(tmp_path / "fits.npy", np.zeros((4, 82)))
    with pytest.raises(PgtfastError, match="holds 4 fits for 3 people; they go by row"):
        read_spin(tmp_path / "a.npz", dataset="a", fits=tmp_path / "fits.npy")
    np.save(tmp_path / "fits.npy", np.zeros((3, 72)))
    with pytest.raises(PgtfastError, match=r"wanted fits \(N, 82\)"):
        read_spin(tmp_path / "a.npz", dataset="a", fits=tmp_path / "fits.npy")
    valid = np.array([True, False, True])
    np.savez(tmp_path / "fits.npz", pose=np.ones((3, 72)), betas=np.ones((3, 10)), valid_fit=valid)
    people = read_mpi_inf_3dhp_spin(tmp_path / "a.npz", fits=tmp_path / "fits.npz")
    assert np.isfinite(people.pose).all(1).tolist() == valid.tolist()


def test_damaged_and_hostile_files(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **columns(imgname=np.array(["a.jpg", None, 3], dtype=object)))
    people = read_spin(path, dataset="a")
    assert [reason is None for reason in people.reason] == [True, False, False]
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(40):
        raw = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.3 else whole)
        for place in rng.integers(0, len(raw), 3):
            raw[place] = rng.integers(0, 256)
        path.write_bytes(bytes(raw))
        try:
            read_spin(path, dataset="a")
        except PgtfastError as error:
            if "a.npz" not in str(error):
                raise
    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            import os

            return os.system, (f"touch {marker}",)

    np.savez(path, **columns(imgname=np.array([Hostile(), "b", "c"], dtype=object)))
    with pytest.raises(RefusedPickle):
        read_spin(path, dataset="a")
    assert not marker.exists()
    with pytest.raises(PgtfastError, match="cannot be read"):
        read_spin(tmp_path / "none.npz", dataset="a")
