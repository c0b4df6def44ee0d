"""3DPW: the authors' JSON and the official pickles, written of free bodies whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgtfast._errors import PgtfastError
from pgtfast.datasets.pw3d import read_pw3d, read_pw3d_sequences
from pgtfast.files.unpickle import RefusedPickle
from tests.helpers import writers3d
from tests.helpers.mutation import mutated
from tests.helpers.pickles import hostile
from tests.helpers.writers3d import free, in_front, landmarks, scene


def edited(path: Path, change) -> Path:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def test_joints_are_those_of_the_body(tmp_path):
    made = in_front()
    people = read_pw3d(writers3d.pw3d(tmp_path / "3DPW_train.json", made), body=free())
    assert people.landmark_set == "smpl24"
    assert people.body_model == "free"
    assert people.reason.tolist() == [None] * 4
    assert people.image_path.tolist() == [f"downtown_arguing_00/image_{n:05d}.jpg" for n in (0, 0, 1, 1)]
    assert people.person_id.tolist() == [0, 1, 0, 1]
    assert people.image_size.tolist() == [[1080, 1920]] * 4
    np.testing.assert_allclose(people.joints_3d, made.joints("smpl24"), atol=1e-6)
    np.testing.assert_allclose(people.keypoints[..., :2], made.pixels(made.joints("smpl24"), 0), atol=1e-3)
    np.testing.assert_allclose(people.pose, made.pose, atol=1e-6)
    np.testing.assert_allclose(people.body["transl"], made.transl, atol=1e-6)
    other = read_pw3d(tmp_path / "3DPW_train.json", body=free(), landmark_set="h36m17")
    np.testing.assert_allclose(other.joints_3d, made.joints("h36m17"), atol=1e-6)


def test_without_a_body_openpose_is_what_is_seen(tmp_path):
    made = in_front()
    people = read_pw3d(writers3d.pw3d(tmp_path / "a.json", made, openpose=True))
    assert people.landmark_set == "openpose25"
    assert people.joints_3d is None
    assert people.body_model == "smpl"
    points = made.pixels(made.joints("smpl24")[:, :18], 0)
    kept = [n for n in range(19) if n != 8]  # the older order has no pelvis
    np.testing.assert_allclose(people.keypoints[:, kept[1:], :2], points[:, 1:], atol=1e-6)
    assert people.keypoints[0, 0].tolist() == [0, 0, 0]  # confidence 0
    assert people.keypoints[..., 2].max() == 1
    assert not people.keypoints[:, [8, *range(19, 25)]].any()
    assert not read_pw3d(writers3d.pw3d(tmp_path / "b.json", made)).keypoints.any()


@pytest.mark.parametrize("written", ["male", "m", "M", "Male", ["m"]])
def test_each_gender_has_its_body(tmp_path, written):
    path = writers3d.pw3d(tmp_path / "a.json", in_front(), gender=written)
    female = replace(free(), arrays=replace(free().arrays, gender="female"))
    male = replace(free(), arrays=replace(free().arrays, gender="male"))
    people = read_pw3d(path, body={"male": male, "female": female})
    assert set(people.gender) == {"male"}
    assert people.reason.tolist() == [None] * 4
    with pytest.raises(PgtfastError, match="no-body: no body was given for gender 'male'"):
        read_pw3d(path, body=female)


def test_the_official_key_of_gender_is_read_too(tmp_path):
    path = writers3d.pw3d(tmp_path / "a.json", in_front())
    edited(path, lambda c: [a["smpl_param"].update(genders=a["smpl_param"].pop("gender")) for a in c["annotations"]])
    assert set(read_pw3d(path).gender) == {"neutral"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["annotations"][1]["smpl_param"].pop("gender"), "annotation 501: smpl_param: key 'gender'"),
        (lambda c: c["annotations"][1]["smpl_param"].pop("pose"), "annotation 501: smpl_param: key 'pose': wanted 72"),
        (lambda c: c["annotations"][1].pop("smpl_param"), "annotation 501: smpl_param: wanted an object"),
        (lambda c: c["images"][1]["cam_param"].pop("focal"), "image 1: cam_param: key 'focal': wanted 2 numbers"),
        (lambda c: c["images"][1].pop("cam_param"), "image 1: cam_param: key 'focal'"),
        (lambda c: c["images"][0].pop("sequence"), "image 0: key 'sequence'"),
        (lambda c: [a.update(image_id=9) for a in c["annotations"]], "none of its 4 people .* no-image: image_id 9"),
        (
            lambda c: [i["cam_param"].update(focal=[900, 900], princpt=[270, 480]) for i in c["images"]],
            "do not fit the boxes",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path, change, message):
    path = edited(writers3d.pw3d(tmp_path / "3DPW_train.json", in_front()), change)
    with pytest.raises(PgtfastError, match=message) as error:
        read_pw3d(path, body=free())
    assert "3DPW_train.json" in str(error.value)


def test_a_bad_person_keeps_a_row(tmp_path):
    path = writers3d.pw3d(tmp_path / "a.json", in_front(), openpose=True)

    def change(content):
        content["annotations"][0]["image_id"] = 77
        content["annotations"][1]["smpl_param"]["trans"][2] = -4
        content["annotations"][2]["bbox"] = [1, 2, 0, 3]

    people = read_pw3d(edited(path, change), body=free())
    assert [reason and reason.split(":")[0] for reason in people.reason] == [
        "no-image",
        "behind-camera",
        "bad-box",
        None,
    ]
    assert not people.keypoints[:3].any()
    assert np.isnan(people.joints_3d[:3]).all()
    edited(path, lambda content: content["annotations"][3].update(openpose_result=[1, 2]))
    assert read_pw3d(path).reason[3].startswith("bad-keypoints: openpose_result")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutated_file_reads_right_or_says_why(tmp_path, data):
    path, whole = tmp_path / "a.json", tmp_path / "whole.json"
    if not whole.exists():
        writers3d.pw3d(whole, in_front(), openpose=True)
    content = {**json.loads(whole.read_text()), "categories": [{"id": 1, "name": "person"}]}
    path.write_text(mutated(data.draw, content))
    try:
        people = read_pw3d(path, body=free())
    except PgtfastError as error:
        if "a.json" in str(error):
            return
        raise
    good = np.array([reason is None for reason in people.reason])
    assert np.isfinite(people.joints_3d[good]).all()
    assert np.isfinite(people.keypoints).all()


# ---------------------------------------------------------------- the official sequence files
def test_sequences_are_moved_to_the_moving_camera(tmp_path):
    made = scene(bodies=6, cameras=3)
    people = read_pw3d_sequences(
        writers3d.pw3d_sequence(tmp_path / "train" / "a.pkl", made).parent,
        body={"male": free(), "female": free()},
    )
    assert len(people) == 6
    assert people.gender.tolist() == ["male"] * 3 + ["female"] * 3
    assert people.image_path.tolist() == [f"courtyard_hug_00/image_{n:05d}.jpg" for n in (0, 1, 2)] * 2
    for row in range(6):
        person, frame = divmod(row, 3)
        body = frame * 2 + person
        shape = made.betas[person]  # the first frame's, one a person
        world = landmarks("smpl24", made.pose[body], shape, made.transl[body])
        np.testing.assert_allclose(people.joints_3d[row], made.in_camera(world, frame), atol=2e-6)
        placed = landmarks("smpl24", people.pose[row], people.body["betas"][row], people.body["transl"][row])
        np.testing.assert_allclose(placed, made.in_camera(world, frame), atol=5e-6)


def test_sequences_without_a_body(tmp_path):
    made = scene(bodies=6, cameras=3)
    people = read_pw3d_sequences(writers3d.pw3d_sequence(tmp_path / "a.pkl", made))
    assert people.landmark_set == "openpose25"
    assert np.isnan(people.body["transl"]).all()
    assert np.isfinite(people.pose).all()
    points = made.pixels(made.joints("smpl24")[0, :18], 0)
    np.testing.assert_allclose(people.keypoints[0, :8, :2], points[:8], atol=1e-6)


def test_frames_without_a_camera_have_a_reason(tmp_path):
    valid = [np.array([1, 0, 1]), np.array([0, 1, 1])]
    extrinsics = np.tile(np.eye(4), (3, 1, 1))
    path = writers3d.pw3d_sequence(
        tmp_path / "a.pkl", scene(bodies=6, cameras=3), campose_valid=valid, cam_poses=extrinsics
    )
    people = read_pw3d_sequences(path)
    assert [reason is None for reason in people.reason] == [True, False, True, False, True, True]
    assert people.reason[1].startswith("no-camera")
    assert np.isnan(people.pose[1]).all()


def test_ids_do_not_depend_on_the_other_files(tmp_path):
    made = scene(bodies=6, cameras=3)
    writers3d.pw3d_sequence(tmp_path / "b.pkl", made, name="b_00")
    alone = read_pw3d_sequences(tmp_path)
    writers3d.pw3d_sequence(tmp_path / "a.pkl", made, name="a_00")
    both = read_pw3d_sequences(tmp_path)
    assert both.annotation_id[6:].tolist() == alone.annotation_id.tolist()
    assert len(set(both.annotation_id.tolist())) == 12
    writers3d.pw3d_sequence(tmp_path / "c.pkl", made, name="b_00")
    with pytest.raises(PgtfastError, match=r"c.pkl: sequence 'b_00' is also in .*b.pkl"):
        read_pw3d_sequences(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"poses": None}, "key 'poses' is missing"),
        ({"cam_poses": np.eye(4)}, "key 'cam_poses': wanted finite numbers of shape"),
        ({"cam_poses": np.ones((3, 4, 4))}, "frame 0: wanted a rotation matrix"),
        ({"genders": ["m"]}, "key 'genders': wanted one for each of 2 people"),
        ({"genders": ["m", "x"]}, "key 'genders'"),
        ({"genders": None}, "key 'genders'"),
        ({"trans": [np.zeros((3, 3)), np.zeros((2, 3))]}, r"key 'trans\[1\]'"),
        ({"betas": [np.zeros(10), np.zeros(4)]}, "key 'betas': wanted 10 or more"),
        ({"poses2d": [np.zeros((3, 18, 3))] * 2}, r"key 'poses2d\[0\]': wanted finite numbers of shape \(3, 3, 18\)"),
        ({"sequence": 3}, "key 'sequence'"),
    ],
)
def test_a_wrong_sequence_file_names_its_key(tmp_path, changes, message):
    path = writers3d.pw3d_sequence(tmp_path / "a.pkl", scene(bodies=6, cameras=3), **changes)
    with pytest.raises(PgtfastError, match=message) as error:
        read_pw3d_sequences(path)
    assert "a.pkl" in str(error.value)


def test_the_singular_key_and_one_gender_for_all(tmp_path):
    path = writers3d.pw3d_sequence(tmp_path / "a.pkl", scene(bodies=6, cameras=3), genders=None, gender="f")
    assert set(read_pw3d_sequences(path).gender) == {"female"}


def test_damaged_and_hostile_pickles(tmp_path):
    path = writers3d.pw3d_sequence(tmp_path / "a.pkl", scene(bodies=6, cameras=3))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        raw = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.3 else whole)
        for place in rng.integers(0, min(len(raw), 600), 3):
            raw[place] = rng.integers(0, 256)
        path.write_bytes(bytes(raw))
        try:
            read_pw3d_sequences(path)
        except PgtfastError as error:
            if "a.pkl" not in str(error):
                raise
    marker = tmp_path / "ran"
    path.write_bytes(hostile(str(marker))["reduce-system-2"][0])
    with pytest.raises(RefusedPickle):
        read_pw3d_sequences(path)
    assert not marker.exists()
    with pytest.raises(PgtfastError, match=r"no .pkl in it"):
        read_pw3d_sequences(tmp_path / "none")
