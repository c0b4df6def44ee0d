"""Where the joints of a dataset go among the landmarks of the losses."""

import numpy as np
import pytest
import torch

import pgtfast
from pgtfast import skeletons
from pgtfast._errors import PgtfastError
from pgtfast.loading import Supervision

BOTH = Supervision(("p2p25", "h36m17", "coco17"))
BASE = Supervision(("p2p33",))


def spread(supervision, landmark_set, missing=()):
    """Joint k at (k, 10 k), all known but `missing`."""
    joints = skeletons.get(landmark_set)
    at = np.arange(len(joints), dtype=float)
    weights = np.ones(len(joints))
    weights[[joints.index[name] for name in missing]] = 0
    points = np.stack((at, 10 * at), -1)
    points[weights == 0] = np.nan
    points, weights = supervision.spread(points[None], weights[None], landmark_set)
    return points[0], weights[0]


def test_own_set_is_laid_in_its_own_rows_and_nowhere_else():
    points, weights = spread(BOTH, "coco17")
    assert weights.nonzero()[0].tolist() == list(range(42, 59))
    np.testing.assert_array_equal(points[42:, 0], np.arange(17))
    assert BOTH.names[42] == "coco17/nose"
    assert BOTH.joint_map("coco17").root == -1
    assert BOTH.joint_map("h36m17").root == 25


@pytest.mark.parametrize("landmark_set", [name for name in skeletons.NAMES if name not in BASE.sets])
def test_other_sets_are_matched_by_name(landmark_set):
    points, weights = spread(BASE, landmark_set)
    theirs, base = skeletons.get(landmark_set).index, skeletons.get("p2p33").index
    for key, row in base.items():
        if key in theirs:
            assert weights[row] == 1, key
            assert points[row].tolist() == [theirs[key], 10 * theirs[key]]
        elif key == "pelvis" and "l_hip" in theirs:
            hips = (theirs["l_hip"] + theirs["r_hip"]) / 2
            assert points[row].tolist() == [hips, 10 * hips]
        else:
            assert weights[row] == 0, key
            assert not points[row].any()


def test_pelvis_needs_both_hips():
    points, weights = spread(BASE, "coco17", missing=("r_hip",))
    pelvis = skeletons.get("p2p33").index["pelvis"]
    assert weights[pelvis] == 0
    assert not points[pelvis].any()
    assert np.isfinite(points).all()


def test_position_rows_name_the_same_joint():
    for supervision in (BOTH, BASE):
        for landmark_set in skeletons.NAMES:
            where = supervision.joint_map(landmark_set)
            held = {*where.rows.tolist(), *((where.pelvis[0],) if where.pelvis else ())}
            for joint, row in zip(skeletons.get("p2p25").joints, where.position, strict=True):
                if row >= 0:
                    assert row in held
                    name = supervision.names[row].partition("/")[2]
                    assert skeletons.joint_key(name) == skeletons.joint_key(joint)
        assert (supervision.base_position >= 0).all()


def test_mirror_swaps_sides_within_each_set():
    names = np.array(BOTH.names)
    for name, other in zip(names, names[BOTH.flip_permutation], strict=True):
        (set_name, joint), (other_set, mirrored) = name.split("/"), other.split("/")
        swap = {"l": "r", "r": "l"}
        key = skeletons.joint_key(joint)
        wanted = swap[key[0]] + key[1:] if key[:2] in ("l_", "r_") else key
        assert (set_name, wanted) == (other_set, skeletons.joint_key(mirrored))


def test_plan_is_the_sets_one_after_the_other():
    body = pgtfast.load_body("free")
    pose = {"betas": torch.randn(2, 10), "body_pose": 0.3 * torch.randn(2, 69), "transl": torch.randn(2, 3)}
    plan = BOTH.plan(body)
    assert plan.names == BOTH.names
    parts = [body.landmarks(name)(**pose) for name in BOTH.sets]
    torch.testing.assert_close(plan(**pose), torch.cat(parts, 1), atol=1e-5, rtol=0)


def test_free_body_has_pose2poses_joints():
    body = pgtfast.load_body("free")
    plan = body.landmarks("p2p25")
    assert plan.names == skeletons.get("p2p25").joints
    points = dict(zip(plan.names, plan(transl=torch.zeros(3)), strict=True))
    joints = dict(zip(body.joint_names, body().joints, strict=True))
    torch.testing.assert_close(points["L_Elbow"], joints["left_elbow"])
    feet = dict(
        zip(body.landmarks("coco17_feet").names, body.landmarks("coco17_feet")(transl=torch.zeros(3)), strict=True)
    )
    for name in ("L_Heel", "R_Big_toe"):
        torch.testing.assert_close(points[name], feet[name])
    torch.testing.assert_close(points["Nose"], feet["nose"])


def test_unknown_set_among_several_is_named():
    with pytest.raises(PgtfastError, match="p2p33"):
        pgtfast.load_body("free").landmarks(("coco17", "p2p33"))
