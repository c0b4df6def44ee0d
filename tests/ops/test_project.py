"""Projection to pixels."""

from __future__ import annotations

import pytest
import torch

from pgtfast import _core, ops, reference

from .harness import OpTests


class TestProject(OpTests):
    op = "project"
    differentiable = ("points", "focal", "center")
    variants = {  # noqa: RUF012
        "plain": ({}, {}),
        "weak": ({}, {"model": "weak"}),
        "behind": ({"behind": True}, {}),
        "dense": ({"count": 101}, {}),
        "one point": ({"count": 1}, {}),
        "no point": ({"count": 0}, {}),
    }
    gradcheck_variants = ("plain", "weak", "one point")

    def make(self, batch, count=17, behind=False):
        g = torch.Generator().manual_seed(4)
        points = torch.randn(*batch, count, 3, generator=g, dtype=torch.float64)
        if not behind:
            points[..., 2] = points[..., 2].abs() + 2.0
        return {
            "points": points,
            "focal": torch.rand(*batch, 2, generator=g, dtype=torch.float64) * 500 + 500,
            "center": torch.rand(*batch, 2, generator=g, dtype=torch.float64) * 300,
        }

    def test_points_too_near_count_as_one_centimetre_away(self, dtype, device):
        depth = torch.tensor([-5.0, 0.0, 0.005, 0.01, 0.02], dtype=dtype, device=device)
        points = torch.stack((torch.ones_like(depth), -torch.ones_like(depth), depth), -1).requires_grad_()
        focal, center = depth.new_tensor([2.0, 3.0]), depth.new_tensor([7.0, 9.0])
        pixels = ops.project(points, focal, center)
        torch.testing.assert_close(pixels[:4, 0], torch.full_like(depth[:4], 2.0 / 0.01 + 7.0))
        torch.testing.assert_close(pixels, reference.project(points, focal, center))
        (gradient,) = torch.autograd.grad(pixels.sum(), points)
        assert (gradient[:3, 2] == 0).all()
        assert gradient[4, 2] != 0

    def test_unknown_model(self):
        with pytest.raises(ValueError, match="project: model: wanted 'perspective' or 'weak', got 'fisheye'"):
            ops.project(torch.zeros(2, 3), torch.zeros(2), torch.zeros(2), model="fisheye")
        with pytest.raises(ValueError, match="project: model: wanted 0"):
            _core.project(
                *(torch.zeros(1, 2, n) for n in (3,)), torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1, 2, 2), 5
            )
