"""Similarity alignment of point sets."""

from __future__ import annotations

import pytest
import torch

from pgtfast import ops, reference

from .harness import OpTests, convert


def random_rotation(batch, seed):
    g = torch.Generator().manual_seed(seed)
    return reference.rotvec_to_matrix(torch.randn(*batch, 3, generator=g, dtype=torch.float64) * 2)


def similar(points, seed=0, noise=0.0):
    """`points` turned, scaled, moved and disturbed."""
    g = torch.Generator().manual_seed(100 + seed)
    batch = points.shape[:-2]
    rotation = random_rotation(batch, seed)
    scale = torch.rand(*batch, 1, 1, generator=g, dtype=torch.float64) + 0.5
    shift = torch.randn(*batch, 1, 3, generator=g, dtype=torch.float64)
    disturbed = torch.randn(points.shape, generator=g, dtype=torch.float64) * noise
    return scale * points @ rotation.transpose(-1, -2) + shift + disturbed


class TestProcrustesAlign(OpTests):
    op = "procrustes_align"
    differentiable = ("points", "target")
    variants = {  # noqa: RUF012
        "plain": ({}, {}),
        "rigid": ({}, {"with_scale": False}),
        "unweighted": ({"weighted": False}, {}),
        "three points": ({"count": 3}, {}),
        "dense": ({"count": 301}, {}),
        "mirrored": ({"mirrored": True}, {}),
        "flat": ({"squeeze": (1, 1, 0)}, {}),
        "thin": ({"squeeze": (1, 0.1, 0.02)}, {}),
        "far": ({"distance": 20.0}, {}),
        "small": ({"size": 1e-4}, {}),
        "large": ({"size": 1e4}, {}),
    }

    gradcheck_variants = tuple(v for v in variants if v not in ("dense", "large", "small"))

    def make(self, batch, count=17, weighted=True, mirrored=False, squeeze=(1, 1, 1), distance=0.0, size=1.0):
        g = torch.Generator().manual_seed(6)
        points = torch.randn(*batch, count, 3, generator=g, dtype=torch.float64) * torch.tensor(
            squeeze, dtype=torch.float64
        )
        target = similar(points, noise=0.05)
        if mirrored:  # distinct spreads, so that the best proper rotation is unique
            points = points * torch.tensor([1.0, 0.6, 0.3], dtype=torch.float64)
            target = similar(points * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64), noise=0.02)
        arguments = {"points": size * points + distance, "target": size * target}
        if weighted:
            weights = torch.rand(*batch, count, generator=g, dtype=torch.float64)
            weights[..., 0::5] = 0 if count > 3 else 0.5
            arguments["weights"] = weights
        return arguments

    def test_recovers_a_similarity(self, dtype, device):
        points = torch.randn(40, 12, 3, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
        target = similar(points).to(dtype=dtype, device=device)
        result = ops.procrustes_align(points.to(target), target)
        assert (result.aligned - target).abs().max() < 64 * torch.finfo(dtype).eps
        assert (result.rotation.double().cpu() - random_rotation((40,), 0)).abs().max() < 64 * torch.finfo(dtype).eps

    def proper(self, rotation):
        eye = torch.eye(3, dtype=torch.float64)
        rotation = rotation.detach().double().cpu()
        bound = 16 * torch.finfo(torch.float32).eps
        assert (rotation @ rotation.transpose(-1, -2) - eye).abs().max() < bound
        assert (torch.linalg.det(rotation) - 1).abs().max() < bound

    def check_degenerate(self, points, target, dtype, device, weights=None, with_scale=True):
        """Proper rotation, finite results and gradients, both as the reference has them; the reference's results are
        returned.
        """
        arguments = {"points": points, "target": target, "weights": weights}
        there = convert({n: v for n, v in arguments.items() if v is not None}, dtype, device)
        there["points"].requires_grad_(), there["target"].requires_grad_()
        result = ops.procrustes_align(**there, with_scale=with_scale)
        self.proper(result.rotation)
        gradients = torch.autograd.grad(
            result.aligned.square().sum() + result.scale.sum(), (there["points"], there["target"])
        )
        assert all(torch.isfinite(t).all() for t in (*result, *gradients))
        want = reference.procrustes_align(**convert(convert(there, dtype), torch.float64), with_scale=with_scale)
        for got, wanted in zip(result, want, strict=True):
            assert (got.detach().double().cpu() - wanted).abs().max() < 256 * torch.finfo(
                dtype
            ).eps * wanted.abs().max().clamp(min=1)
        return result

    @pytest.mark.parametrize("with_scale", [True, False])
    @pytest.mark.parametrize("place", [0.0, 1.0, 5.3])
    def test_coinciding_points_move_without_a_turn(self, place, with_scale, dtype, device):
        points = torch.full((19, 7, 3), place, dtype=torch.float64) + torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
        target = torch.randn(19, 7, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        result = self.check_degenerate(points, target, dtype, device, with_scale=with_scale)
        assert (result.scale == 1).all()
        assert torch.equal(result.rotation.cpu(), torch.eye(3, dtype=dtype).expand(19, 3, 3))

    def test_one_point(self, dtype, device):
        points, target = (
            torch.tensor([[[1.0, 2, 3]]], dtype=torch.float64),
            torch.tensor([[[-4.0, 5, 6]]], dtype=torch.float64),
        )
        result = self.check_degenerate(points, target, dtype, device)
        assert torch.equal(result.aligned.detach().cpu(), target.to(dtype))
        assert result.scale.item() == 1

    def test_points_on_a_line_turn_the_shortest_way(self, dtype, device):
        g = torch.Generator().manual_seed(3)
        along = torch.randn(23, 2, 3, generator=g, dtype=torch.float64)
        along[0, 1] = along[0, 0]  # no turn
        along[1, 1] = along[1, 0] * torch.tensor([1.0, -1.0, 1.0])
        along = along / along.norm(dim=-1, keepdim=True)
        for steps in ([-1.0, 1.0], [-2.0, -1, 0, 1, 2]):
            step = torch.tensor(steps, dtype=torch.float64)[:, None]
            points, target = step * along[:, :1], 2 * step * along[:, 1:]
            result = self.check_degenerate(points, target, dtype, device)
            assert (result.aligned.detach().double().cpu() - target).abs().max() < 64 * torch.finfo(dtype).eps
            angle = reference.matrix_to_rotvec(result.rotation.detach().double().cpu()).norm(dim=-1)
            wanted = torch.arccos((along[:, 0] * along[:, 1]).sum(-1).clamp(-1, 1))
            assert (angle - wanted).abs().max() < 1e-5

    def test_opposite_lines(self, dtype, device):
        points = torch.tensor([[-1.0, 0, 0], [1, 0, 0]], dtype=torch.float64)
        for target in (-points, -points + torch.tensor([0.0, 1e-3, 0.0]) * points[:, :1]):
            result = ops.procrustes_align(*(t.to(dtype=dtype, device=device) for t in (points, target)))
            self.proper(result.rotation)
            assert (result.aligned.double().cpu() - target).abs().max() < 64 * torch.finfo(dtype).eps

    def test_without_weight_nothing_moves(self, dtype, device):
        arguments = self.make((5,))
        result = self.check_degenerate(
            **{**arguments, "weights": torch.zeros(5, 17, dtype=torch.float64)}, dtype=dtype, device=device
        )
        torch.testing.assert_close(result.aligned.detach().cpu(), arguments["points"].to(dtype))
        assert (result.translation == 0).all()

    def test_coinciding_target(self, dtype, device):
        points = self.make((5,))["points"]
        target = torch.ones_like(points)
        given = (
            points.to(dtype=dtype, device=device).requires_grad_(),
            target.to(dtype=dtype, device=device).requires_grad_(),
        )
        result = ops.procrustes_align(*given)
        self.proper(result.rotation)
        torch.testing.assert_close(result.aligned.detach(), given[1].detach(), atol=1e-5, rtol=1e-5)
        assert all(torch.isfinite(g).all() for g in torch.autograd.grad(result.aligned.square().sum(), given))

    def test_a_mirror_image_is_met_by_a_rotation(self, dtype, device):
        points = self.make((9,))["points"]
        mirrored = points * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
        result = ops.procrustes_align(*(t.to(dtype=dtype, device=device) for t in (points, mirrored)))
        self.proper(result.rotation)

    def test_the_gradient_stays_sane_on_a_line_with_noise(self, device):
        g = torch.Generator().manual_seed(9)
        points = (
            torch.linspace(-1, 1, 9)[:, None] * torch.tensor([1.0, 2.0, -1.0])
            + torch.randn(50, 9, 3, generator=g) * 1e-7
        )
        points = points.to(device).requires_grad_()
        aligned = ops.procrustes_align(points, points.detach() * 1.5).aligned
        (gradient,) = torch.autograd.grad(aligned.square().sum(), points)
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() < 100

    def test_weights_get_no_gradient(self, device):
        arguments = convert(self.make((2,)), torch.float32, device)
        arguments["weights"].requires_grad_()
        arguments["points"].requires_grad_()
        for module in (ops, reference):
            aligned = module.procrustes_align(**arguments).aligned
            assert torch.autograd.grad(aligned.sum(), arguments["weights"], allow_unused=True)[0] is None

    def test_no_points(self):
        with pytest.raises(ValueError, match="points: wanted at least one point"):
            ops.procrustes_align(torch.zeros(4, 0, 3), torch.zeros(4, 0, 3))
