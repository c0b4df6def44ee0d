"""Joint sets: order, flip pairs, edges, maps."""

from __future__ import annotations

import pytest
import torch

from pgtfast import skeletons

COUNTS = {
    "smpl24": 24, "smplx45": 45, "coco17": 17, "coco17_feet": 23, "coco_wholebody31": 31, "insta25": 25, "h36m17": 17,
    "lsp14": 14, "mupots17": 17, "mpi17": 17, "muco21": 21, "spin24": 24,
    "mpii16": 16, "crowdpose14": 14, "openpose25": 25, "p2p33": 33, "p2p25": 25,
}  # fmt: skip
FLIPS = {
    "crowdpose14": [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11)],
    "coco17": [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)],
    "smpl24": [(1, 2), (4, 5), (7, 8), (10, 11), (13, 14), (16, 17), (18, 19), (20, 21), (22, 23)],
    "h36m17": [(1, 4), (2, 5), (3, 6), (11, 14), (12, 15), (13, 16)],
    "mupots17": [(2, 5), (3, 6), (4, 7), (8, 11), (9, 12), (10, 13)],
    "muco21": [(2, 5), (3, 6), (4, 7), (8, 11), (9, 12), (10, 13), (17, 18), (19, 20)],
    "spin24": [(0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9), (20, 21), (22, 23)],
    "lsp14": [(0, 5), (1, 4), (2, 3), (8, 9), (7, 10), (6, 11)],
    "mpii16": [(0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13)],
    "openpose25": [(2, 5), (3, 6), (4, 7), (9, 12), (10, 13), (11, 14), (15, 16), (17, 18), (19, 22), (20, 23),
        (21, 24)],
    "p2p33": [
        (1, 2), (3, 4), (5, 6), (8, 9), (10, 11), (12, 13), (14, 18), (15, 19), (16, 20), (17, 21), (23, 24), (25, 26),
        (27, 30), (28, 31), (29, 32),
    ],
    "p2p25": [(1, 2), (3, 4), (5, 6), (8, 9), (10, 11), (12, 13), (14, 17), (15, 18), (16, 19), (20, 21), (22, 23)],
}  # fmt: skip


def test_every_set_is_tested():
    assert set(COUNTS) == set(skeletons.NAMES)


@pytest.mark.parametrize("name", COUNTS)
def test_a_set_is_sound(name):
    skeleton = skeletons.get(name)
    assert skeleton.name == name
    assert len(skeleton) == COUNTS[name] == len(skeleton.index)
    order = torch.tensor(skeleton.flip_permutation)
    assert torch.equal(order[order], torch.arange(len(skeleton)))
    sided = [joint for joint in skeleton.joints if skeletons.joint_key(joint)[:2] in ("l_", "r_")]
    assert 2 * len(skeleton.flip_pairs) == len(sided)
    reached = {0}
    for _ in skeleton.joints:
        reached |= {b for a, b in skeleton.edges if a in reached} | {a for a, b in skeleton.edges if b in reached}
    missing = {skeleton.joints[at] for at in set(range(len(skeleton))) - reached}
    assert not missing or name.startswith("coco")
    if name.startswith("coco"):
        assert {skeleton.joints[at] for at in reached} == {"nose", "left_eye", "right_eye", "left_ear", "right_ear"}


@pytest.mark.parametrize("name", FLIPS)
def test_flip_pairs(name):
    assert {frozenset(pair) for pair in skeletons.get(name).flip_pairs} == {frozenset(pair) for pair in FLIPS[name]}


def test_map_by_name_marks_what_is_missing():
    points = torch.arange(17.0)[:, None].expand(2, 17, 3).clone()
    mapped = skeletons.map_joints(points, "coco17", "lsp14")
    assert mapped.points.shape == (2, 14, 3)
    assert mapped.points[0, :, 0].tolist() == [16, 14, 12, 11, 13, 15, 10, 8, 6, 5, 7, 9, 0, 0]
    assert mapped.valid.tolist() == [True] * 12 + [False] * 2
    assert skeletons.map_joints(points[:0], "coco17", "p2p33").points.shape == (0, 33, 3)


def test_map_there_and_back_keeps_shared_joints():
    points = torch.randn(3, 33, 2, generator=torch.Generator().manual_seed(0))
    there = skeletons.map_joints(points, "p2p33", "p2p25")
    back = skeletons.map_joints(there.points, "p2p25", "p2p33")
    assert there.valid.all()
    assert torch.equal(back.points[:, back.valid], points[:, back.valid])
    assert back.valid.sum() == 25


def test_missing_joints_that_hold_nan_do_not_spread():
    points = torch.full((17, 2), float("nan"))
    assert torch.equal(skeletons.map_joints(points, "coco17", "mpii16").points[6], torch.zeros(2))


def test_errors_teach():
    with pytest.raises(ValueError, match=r"coco18.*known are: smpl24"):
        skeletons.get("coco18")
    with pytest.raises(ValueError, match=r"points: wanted \(\.\.\., 17, D\) for coco17, got \(3, 16, 2\)"):
        skeletons.map_joints(torch.zeros(3, 16, 2), "coco17", "lsp14")
