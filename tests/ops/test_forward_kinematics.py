"""The rigid chain."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pgtfast import _core, ops, reference

from .bodies import parents_of
from .harness import OpTests


class TestForwardKinematics(OpTests):
    op = "forward_kinematics"
    differentiable = ("rotations", "offsets")
    constant = ("parents",)
    variants = {"plain": ({}, {}), **{f"{j} joints": ({"joints": j}, {}) for j in (1, 2, 16, 52, 55, 64)}}  # noqa: RUF012
    gradcheck_variants = ("plain", "1 joints", "2 joints")
    gradcheck_batch = (1,)

    def make(self, batch, joints=24):
        g = torch.Generator().manual_seed(2)
        rotvec = torch.randn(*batch, joints, 3, generator=g, dtype=torch.float64)
        return {
            "rotations": reference.rotvec_to_matrix(rotvec),
            "offsets": torch.randn(*batch, joints, 3, generator=g, dtype=torch.float64) * 0.2,
            "parents": parents_of(joints),
        }

    def test_identity_adds_the_offsets(self, dtype, device):
        arguments = self.make((4,))
        offsets = arguments["offsets"].to(dtype=dtype, device=device)
        eye = torch.eye(3, dtype=dtype, device=device).expand(4, 24, 3, 3)
        rotations, positions = ops.forward_kinematics(eye, offsets, arguments["parents"])
        assert torch.equal(rotations, eye)
        wanted = offsets.clone()
        for j, parent in enumerate(arguments["parents"].tolist()[1:], 1):
            wanted[:, j] += wanted[:, parent]
        torch.testing.assert_close(positions, wanted)

    @pytest.mark.parametrize("parents", [[0, 0], [-1, -1], [-1, 1], [-1, 2], [-1, -2], [1, -1]])
    def test_trees_out_of_order_are_refused(self, parents):
        parents = torch.tensor(parents, dtype=torch.int32)
        with pytest.raises(ValueError, match="parents: wanted -1 first, then parents before children; joint"):
            ops.forward_kinematics(torch.zeros(3, 2, 3, 3), torch.zeros(3, 2, 3), parents)

    @pytest.mark.parametrize("joints", [0, 65])
    def test_too_many_or_no_joints(self, joints):
        parents = np.arange(-1, joints - 1, dtype=np.int32)
        arrays = [np.zeros((1, joints, 3, 3)), np.zeros((1, joints, 3)), parents]
        with pytest.raises(ValueError, match=f"parents: wanted 1 to 64 joints, got {joints}"):
            _core.forward_kinematics(*arrays, np.zeros((1, joints, 3, 3)), np.zeros((1, joints, 3)))
