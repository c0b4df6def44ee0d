from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pgtfast.priors import BODY_JOINTS, limit_violation, mirror_pose, swing_twist
from pgtfast.priors.limits import LIMITS, TWIST_AXIS
from pgtfast.reference import rotvec_to_matrix


def test_swing_and_twist_make_up_the_rotation():
    pose = torch.randn(200, 23, 3, dtype=torch.float64)
    angles = swing_twist(pose)
    along = torch.nn.functional.one_hot(torch.tensor(TWIST_AXIS), 3).double()
    twist = (angles * along).sum(-1, keepdim=True) * along
    torch.testing.assert_close(
        rotvec_to_matrix(angles - twist) @ rotvec_to_matrix(twist), rotvec_to_matrix(pose), rtol=0, atol=1e-9
    )


def test_pure_turns_read_as_themselves():
    pose = torch.zeros(1, 23, 3, dtype=torch.float64)
    shoulder, knee = BODY_JOINTS.index("left_shoulder"), BODY_JOINTS.index("left_knee")
    pose[0, shoulder, 0], pose[0, knee, 0] = 0.7, 1.2
    torch.testing.assert_close(swing_twist(pose), pose, rtol=0, atol=1e-9)


def test_limits_are_the_mirror_image_of_each_other():
    limits = torch.tensor(LIMITS)
    assert limits.shape == (23, 3, 2)
    assert (limits[..., 0] < limits[..., 1]).all()
    pose = torch.randn(100, 23, 3)
    torch.testing.assert_close(
        mirror_pose(limit_violation(pose)[..., None].expand(-1, -1, 3)).abs()[..., 0],
        limit_violation(pose)[:, [1, 0, 2, 4, 3, 5, 7, 6, 8, 10, 9, 11, 13, 12, 14, 16, 15, 18, 17, 20, 19, 22, 21]],
    )
    torch.testing.assert_close(
        limit_violation(mirror_pose(pose)).sum(1), limit_violation(pose).sum(1), rtol=1e-4, atol=1e-5
    )


def test_violation_is_the_overshoot():
    knee = BODY_JOINTS.index("left_knee")
    pose = torch.zeros(23, 3, dtype=torch.float64)
    assert limit_violation(pose).sum() == 0
    pose[knee, 0] = LIMITS[knee][0][0] - 0.5  # bent the wrong way
    torch.testing.assert_close(limit_violation(pose)[knee], torch.tensor(0.5, dtype=torch.float64))
    assert limit_violation(pose[:21]).shape == (21,)
    with pytest.raises(ValueError, match="pose: wanted"):
        limit_violation(torch.zeros(24, 3))


def test_gradient():
    torch.manual_seed(1)
    pose = (torch.randn(2, 21, 3, dtype=torch.float64) * 1.5).requires_grad_()
    assert torch.autograd.gradcheck(limit_violation, pose, atol=1e-6)
    zero = torch.zeros(21, 3, requires_grad=True)
    limit_violation(zero).sum().backward()
    assert (zero.grad == 0).all()
    for angle in (math.pi, 2 * math.pi):
        turn = torch.zeros(21, 3, requires_grad=True)
        limit_violation(turn + torch.tensor([angle, 0, 0])).sum().backward()
        assert torch.isfinite(turn.grad).all()


def test_real_poses_are_within():
    from pgtfast.train._poses import replace_glitches

    path = Path(__file__).parents[1] / "golden" / "poses" / "cmu_excerpt.npz"
    pose, _ = replace_glitches(torch.from_numpy(np.load(path)["poses"][:, 1:22]))
    over = limit_violation(pose).sum(1)
    assert (over < math.radians(10)).float().mean() > 0.98
