"""Human3.6M in the authors' layout: the real sample, and files of free bodies whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.datasets.h36m import read_h36m
from tests.helpers import writers3d
from tests.helpers.writers3d import free, landmarks, scene, shared

STEM = "Human36M_subject1"


def edit(folder: Path, end: str, change) -> None:
    path = folder / f"{STEM}_{end}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_real_sample():
    people = read_h36m(shared("moon_h36m/data/Dummy/annotations"), subjects=(1,))
    assert len(people) == 1
    assert people.reason.tolist() == [None]
    assert people.landmark_set == "h36m17"
    box, points = people.bbox[0], people.keypoints[0, :, :2]
    assert (points > box[:2]).all()
    assert (points < box[:2] + box[2:]).all()
    assert (points.max(0) - points.min(0) > 0.8 * box[2:]).all()
    assert people.joints_3d[0, 0] == pytest.approx([-0.18784, -0.52254, 5.44374], abs=1e-4)
    bone = np.linalg.norm(people.joints_3d[0, 1] - people.joints_3d[0, 2])
    assert 0.4 < bone < 0.5  # a thigh, in metres
    assert people.image_path[0].startswith("s_11_act_02_subact_01_ca_01/")


def test_joints_and_bodies_in_the_camera(tmp_path):
    made = scene()
    people = read_h36m(writers3d.h36m(tmp_path, made), subjects=(1,), body=free())
    assert len(people) == 6
    assert people.body_model == "free"
    assert set(people.gender) == {"neutral"}
    for row in range(6):
        body, camera = divmod(row, 2)
        seen = made.in_camera(made.joints("h36m17")[body], camera)
        np.testing.assert_allclose(people.joints_3d[row], seen, atol=2e-6)
        np.testing.assert_allclose(
            people.keypoints[row, :, :2], made.pixels(made.joints("h36m17")[body], camera), atol=1e-6
        )
        placed = landmarks("smpl24", people.pose[row], people.body["betas"][row], people.body["transl"][row])
        np.testing.assert_allclose(placed, made.in_camera(made.joints("smpl24")[body], camera), atol=5e-6)
        np.testing.assert_allclose(people.focal[row], made.focal[camera])


def test_without_a_body_the_translation_is_unknown(tmp_path):
    folder = writers3d.h36m(tmp_path, scene())
    known, people = read_h36m(folder, subjects=(1,), body=free()), read_h36m(folder, subjects=(1,))
    assert people.body_model == "smpl"
    assert np.isnan(people.body["transl"]).all()
    np.testing.assert_array_equal(people.pose, known.pose)
    np.testing.assert_array_equal(people.body["betas"], known.body["betas"])


def test_frames_and_cameras_are_chosen(tmp_path):
    folder = writers3d.h36m(tmp_path, scene(), step=1)
    assert len(read_h36m(folder, subjects=(1,), every=1)) == 6
    people = read_h36m(folder, subjects=(1,), every=2, cameras=(2,))
    assert [name[-10:] for name in people.image_path] == ["000001.jpg", "000003.jpg"]
    assert all("ca_02" in name for name in people.image_path)


def test_subjects_are_joined_and_their_ids_must_differ(tmp_path):
    writers3d.h36m(tmp_path, scene())
    writers3d.h36m(tmp_path, scene(seed=5), subject=5, first_id=2000)
    people = read_h36m(tmp_path, subjects=(1, 5))
    assert people.annotation_id.tolist() == [*range(1000, 1006), *range(2000, 2006)]
    writers3d.h36m(tmp_path, scene(seed=5), subject=5, first_id=1005)
    with pytest.raises(PgtfastError, match=r"subject5_data.json: annotation id 1005 is also in .*subject1_data.json"):
        read_h36m(tmp_path, subjects=(1, 5))


def test_a_missing_frame_keeps_a_row(tmp_path):
    folder = writers3d.h36m(tmp_path, scene())
    edit(folder, "joint_3d", lambda tree: tree["2"]["1"].pop("5"))
    edit(folder, "SMPL_NeuralAnnot", lambda tree: tree["2"]["1"].pop("10"))
    people = read_h36m(folder, subjects=(1,), body=free())
    assert people.reason[2] == people.reason[3] == "no-3d: Human36M_subject1_joint_3d.json: ['2']['1']['5'] is missing"
    assert np.isnan(people.joints_3d[2:4]).all()
    assert not people.keypoints[2:4].any()
    assert people.reason[4] is None
    assert np.isnan(people.pose[4:]).all()
    assert people.gender[4] is None
    assert np.isfinite(people.body["transl"][:2]).all()


def test_a_person_behind_the_camera_is_not_projected(tmp_path):
    folder = writers3d.h36m(tmp_path, scene())
    edit(folder, "camera", lambda tree: tree["2"]["t"].__setitem__(2, -9000))
    people = read_h36m(folder, subjects=(1,))
    assert people.reason[1].startswith("behind-camera")
    assert people.reason[0] is None
    assert not people.keypoints[1].any()


@pytest.mark.parametrize(
    ("end", "change", "message"),
    [
        ("camera", lambda tree: tree.pop("2"), r"_camera.json: camera \['2'\]: missing"),
        ("camera", lambda tree: tree["2"].pop("f"), r"camera \['2'\]: key 'f': wanted 2 finite numbers, got 'none'"),
        ("camera", lambda tree: tree["2"].update(R=[[1, 0, 0]] * 3), "key 'R': wanted a rotation matrix"),
        ("camera", lambda tree: tree["2"].update(f=[0, 1]), "focal lengths above 0"),
        ("data", lambda tree: tree["images"][0].pop("cam_idx"), "key 'cam_idx': wanted a whole number, got none"),
        ("data", lambda tree: tree["images"][0].update(action_idx="x"), "key 'action_idx': wanted a whole number"),
        ("joint_3d", lambda tree: tree.pop("2"), "none of its 6 people can be used; the first: no-3d: .* is missing"),
        ("SMPL_NeuralAnnot", lambda tree: tree.pop("2"), "SMPL_NeuralAnnot.json: holds no frame"),
        ("SMPL_NeuralAnnot", lambda tree: tree["2"]["1"]["0"].pop("trans"), r"\['2'\]\['1'\]\['0'\]: key 'trans': "
                                                                            r"wanted 3"),
        ("SMPL_NeuralAnnot", lambda tree: tree["2"]["1"].update({"0": {"root_pose": []}}), "SMPL-X parameters"),
    ],
)  # fmt: skip
def test_a_missing_key_is_named(tmp_path, end, change, message):
    folder = writers3d.h36m(tmp_path, scene())
    edit(folder, end, change)
    with pytest.raises(PgtfastError, match=message):
        read_h36m(folder, subjects=(1,))


def test_cameras_of_another_image_size_are_noticed(tmp_path):
    folder = writers3d.h36m(tmp_path, scene())

    def halve(tree):
        for camera in tree.values():
            camera.update(f=[v / 2 for v in camera["f"]], c=[v / 2 for v in camera["c"]])

    edit(folder, "camera", halve)
    with pytest.raises(PgtfastError, match=r"do not fit the boxes of most people \(they span 0.[45]\d* times"):
        read_h36m(folder, subjects=(1,))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(PgtfastError, match="no such folder"):
        read_h36m(tmp_path / "none")
    folder = writers3d.h36m(tmp_path, scene())
    with pytest.raises(PgtfastError, match=r"Human36M_subject5_data.json: no such file"):
        read_h36m(folder, subjects=(5,))
    writers3d.h36m(tmp_path, scene(seed=5), subject=5, first_id=2000)
    (folder / "Human36M_subject5_SMPL_NeuralAnnot.json").unlink()
    with pytest.raises(PgtfastError, match=r"subject5_SMPL_NeuralAnnot.json: missing, though other subjects"):
        read_h36m(folder, subjects=(1, 5))
    (folder / f"{STEM}_joint_3d.json").unlink()
    with pytest.raises(PgtfastError, match=r"joint_3d.json: no such file"):
        read_h36m(folder, subjects=(1,))


def test_arguments_are_checked(tmp_path):
    with pytest.raises(PgtfastError, match="every: wanted 1 or more"):
        read_h36m(tmp_path, every=0)
    with pytest.raises(PgtfastError, match="subjects: wanted at least one"):
        read_h36m(tmp_path, subjects=())
