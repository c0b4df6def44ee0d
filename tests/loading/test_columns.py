"""What is known about people, in the columns of a batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pgtfast import skeletons
from pgtfast._errors import PgtfastError
from pgtfast.loading import Supervision
from pgtfast.loading.columns import PersonColumns, usable_rows
from pgtfast.people import ImageSet, People, empty_people

SUPERVISION = Supervision(("p2p25", "h36m17"))
COUNT = 5


def people(landmark_set: str = "h36m17", **columns: object) -> People:
    rng = np.random.default_rng(0)
    joints = len(skeletons.get(landmark_set))
    keypoints = np.concatenate([rng.uniform(10, 90, (COUNT, joints, 2)), np.ones((COUNT, joints, 1))], -1)
    given = {
        "dataset": "studio",
        "landmark_set": landmark_set,
        "image_path": np.array([f"{i}.jpg" for i in range(COUNT)], dtype=object),
        "image_size": np.full((COUNT, 2), 100),
        "annotation_id": np.arange(COUNT),
        "person_id": np.zeros(COUNT, np.int64),
        "bbox": np.tile(np.array([10.0, 10, 80, 80]), (COUNT, 1)),
        "keypoints": keypoints,
        "reason": np.full(COUNT, None, dtype=object),
        "joints_3d": rng.normal(size=(COUNT, joints, 3)).astype(np.float32),
        "body_model": "free",
        "body": {
            "global_orient": rng.normal(size=(COUNT, 3)).astype(np.float32),
            "body_pose": rng.normal(size=(COUNT, 69)).astype(np.float32),
            "betas": rng.normal(size=(COUNT, 10)).clip(-2, 2).astype(np.float32),
        },
    }
    for name in set(columns) & {"global_orient", "body_pose", "betas", "transl"}:
        given["body"][name] = columns.pop(name)
    given |= columns
    return replace(empty_people(given["dataset"], given["annotation_id"]), **given)


def columns(held: People, rows=None, *, use_3d: bool = True, kind: str | None = "free", gender: str = "neutral"):
    images = ImageSet(people=held, images=Path("."), role="mocap", use_3d=use_3d)
    spread = PersonColumns(images, SUPERVISION, body_kind=kind, gender=gender)
    return spread(np.arange(COUNT) if rows is None else np.array(rows))


def test_own_landmarks_go_to_their_own_rows():
    held = people()
    held.keypoints[1, 3] = 0, 0, 0
    held.joints_3d[2, 4] = np.nan
    held.joints_3d[3, 0] = np.nan
    out = columns(held, [3, 1, 2])
    assert out["keypoints"].shape == (3, 42, 3)
    np.testing.assert_allclose(out["keypoints"][:, 25:], held.keypoints[[3, 1, 2]], rtol=1e-6)
    assert not out["keypoints"][:, :25].any()
    assert out["joints_3d"][2, 25 + 4].tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(out["joints_3d"][1, 25:, :3], held.joints_3d[1])
    assert (out["joints_3d"][1, 25:, 3] == 1).all()
    assert out["root"].tolist() == [-1, 25, 25]
    index = skeletons.get("h36m17").index
    assert out["position_row"][0, skeletons.get("p2p25").index["l_knee"]] == 25 + index["l_knee"]


def test_two_dimensions_only():
    out = columns(people(), use_3d=False)
    for name in ("joints_3d", "pose", "betas", "has_pose", "has_betas"):
        assert not out[name].any()
    assert (out["root"] == -1).all()
    assert out["keypoints"][:, 25:].any()


def test_poses_and_betas():
    held = people()
    held.body["body_pose"][0, 2] = np.nan
    held.body["betas"][1, 2] = np.nan
    held.body["betas"][2, 9] = -3.01
    out = columns(held)
    assert out["has_pose"].tolist() == [False, True, True, True, True]
    assert not out["pose"][0].any()
    np.testing.assert_array_equal(out["pose"][1:], held.pose[1:].reshape(-1, 24, 3))
    assert out["has_betas"].tolist() == [True, False, True, True, True]
    assert not out["betas"][1].any()
    assert not out["betas"][2].any()
    np.testing.assert_array_equal(out["betas"][3:], held.body["betas"][3:])


def test_betas_of_another_gender_do_not_count():
    gender = np.array(["neutral", "male", None, "female", "neutral"], dtype=object)
    held = people(gender=gender)
    assert columns(held)["has_betas"].tolist() == [True, False, True, False, True]
    out = columns(held, gender="male")
    assert out["has_betas"].tolist() == [False, True, True, False, False]
    assert out["has_pose"].all()
    assert not out["betas"][0].any()


def test_fewer_and_more_betas():
    held = people(betas=np.full((COUNT, 4), 1.5, np.float32))
    assert columns(held)["betas"][0].tolist() == [1.5] * 4 + [0] * 6
    held = people(betas=np.full((COUNT, 16), 0.5, np.float32))
    assert columns(held)["betas"].shape == (COUNT, 10)


def test_cameras_and_places():
    held = people(
        transl=np.ones((COUNT, 3), np.float32), focal=np.full((COUNT, 2), 900.0), center=np.full((COUNT, 2), 50.0)
    )
    held.body["transl"][1] = np.nan
    held.focal[2] = np.nan
    out = columns(held)
    assert out["transl"][[0, 1]].tolist() == [[1, 1, 1], [0, 0, 0]]
    assert out["intrinsics"][[0, 2]].tolist() == [[900, 900, 50, 50], [0, 0, 0, 0]]
    assert not columns(held, use_3d=False)["transl"].any()


def test_parameters_of_another_body_are_refused_unless_unused():
    held = people(body_model="smpl")
    with pytest.raises(PgtfastError, match=r"studio: its body parameters are of 'smpl', .* 'free'; .*use_3d=False"):
        columns(held)
    assert not columns(held, use_3d=False)["has_pose"].any()
    assert not columns(held, kind=None)["has_pose"].any()
    assert columns(held, kind="smpl")["has_pose"].all()
    with pytest.raises(PgtfastError, match=r"body_pose: wanted 69 numbers .* got 63"):
        columns(people(body_pose=np.zeros((COUNT, 63), np.float32)))


def test_sets_without_a_shared_joint_are_refused(monkeypatch):
    images = ImageSet(people=people("coco17"), images=Path("."), role="wild")
    nothing = skeletons.Skeleton("nothing", ("tail",), ())
    monkeypatch.setitem(skeletons._sets._SETS, "nothing", nothing)
    with pytest.raises(PgtfastError, match="studio: landmark set 'coco17' shares no joint with 'nothing'"):
        PersonColumns(images, Supervision(("nothing",), "p2p25"), body_kind=None)


def test_who_can_be_used():
    held = people()
    held.reason[0] = "crowd: so it says"
    held.image_path[1] = None
    held.bbox[2] = np.nan
    held.bbox[3] = 120, 10, 30, 30
    held.bbox[4] = 10, 10, 0, 30
    assert usable_rows(held).tolist() == [2]
    held.keypoints[2] = 0
    assert usable_rows(held).tolist() == []
    held.image_size[3] = 0
    assert usable_rows(held).tolist() == [3]


def test_columns_are_made_for_the_rows_asked_for_alone():
    """Nothing the size of the set is made per landmark of the supervision."""
    held = people()
    spread = PersonColumns(ImageSet(people=held, images=Path("."), role="mocap"), SUPERVISION, body_kind="free")
    assert all(len(v) == 1 for v in spread(np.array([2])).values())
    assert all(len(v) == 0 for v in spread(np.zeros(0, np.int64)).values())
    own = [v for v in vars(spread).values() if isinstance(v, np.ndarray)]
    assert not own
