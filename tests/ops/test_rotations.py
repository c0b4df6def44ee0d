"""Rotation vectors, matrices, 6D vectors."""

from __future__ import annotations

import math

import pytest
import torch

from pgtfast import ops, reference

from .harness import OpTests


def rotvecs(batch, scale=1.0, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*batch, 3, generator=g, dtype=torch.float64) * scale


def axes() -> torch.Tensor:
    """Unit axes: x, y, z both ways, diagonals, and random ones."""
    eye = torch.eye(3, dtype=torch.float64)
    diagonal = torch.tensor([[1, 1, 0], [1, -1, 0], [0, -1, 1], [1, 1, 1], [-1, 1, -1]], dtype=torch.float64)
    every = torch.cat((eye, -eye, diagonal, rotvecs((12,), seed=5)))
    return every / every.norm(dim=1, keepdim=True)


ANGLES = (0.0, 1e-30, 1e-12, 1e-7, 1e-4, 0.01, 0.0316, 0.0317, 0.4999, 0.5001, 1.0, math.pi / 2, 3.0, math.pi - 1e-5)


class TestRotvecToMatrix(OpTests):
    op = "rotvec_to_matrix"
    differentiable = ("rotvec",)
    variants = {  # noqa: RUF012
        "plain": ({}, {}),
        "small": ({"scale": 1e-3}, {}),
        "tiny": ({"scale": 1e-9}, {}),
        "many turns": ({"scale": 20.0}, {}),
        "branch point": ({"scale": 0.29}, {}),
    }

    def make(self, batch, scale=1.0):
        return {"rotvec": rotvecs(batch, scale)}

    @pytest.mark.parametrize("angle", [*ANGLES, math.pi, 2 * math.pi, 7.0])
    def test_special_angles(self, angle, dtype, device):
        self.agree({"rotvec": angle * axes()}, dtype, device)

    @pytest.mark.parametrize("angle", [100.0, 8190.0, 8194.0, 1e5, 1e6, 3e7])
    def test_angles_of_any_size(self, angle, isa):
        """About one axis, where the norm of the vector is its number to the last bit, no angle is too large for the
        sine; its neighbours in the lanes stay."""
        rotvec = torch.zeros(35, 3, dtype=torch.float32)
        rotvec[torch.arange(35), torch.arange(35) % 3] = torch.linspace(-2, 2, 35)
        rotvec[::5] *= angle
        expected = reference.rotvec_to_matrix(rotvec.double())
        torch.testing.assert_close(ops.rotvec_to_matrix(rotvec).double(), expected, atol=1e-6, rtol=0)

    def test_zero_is_exact(self, dtype, device):
        zero = torch.zeros(5, 3, dtype=dtype, device=device, requires_grad=True)
        matrix = ops.rotvec_to_matrix(zero)
        assert torch.equal(matrix, torch.eye(3, dtype=dtype, device=device).expand(5, 3, 3))
        (gradient,) = torch.autograd.grad(matrix[:, 2, 1].sum(), zero)
        assert torch.equal(gradient, torch.tensor([1.0, 0, 0], dtype=dtype, device=device).expand(5, 3))

    def test_large_batches_take_whole_blocks(self, dtype, device):
        self.agree(self.make((613,)), dtype, device)


class TestMatrixToRotvec(OpTests):
    op = "matrix_to_rotvec"
    differentiable = ("matrix",)
    variants = {  # noqa: RUF012
        "plain": ({}, {}),
        "small": ({"scale": 1e-3}, {}),
        "tiny": ({"scale": 1e-9}, {}),
    }

    def make(self, batch, scale=1.0):
        return {"matrix": reference.rotvec_to_matrix(rotvecs(batch, scale))}

    @pytest.mark.parametrize("angle", ANGLES)
    def test_special_angles(self, angle, dtype, device):
        self.agree({"matrix": reference.rotvec_to_matrix(angle * axes())}, dtype, device)
        back = ops.matrix_to_rotvec(ops.rotvec_to_matrix((angle * axes()).to(dtype=dtype, device=device)))
        bound = 64 * torch.finfo(dtype).eps * (1 if angle > 0.01 else 0.01)
        assert (back.double().cpu() - angle * axes()).abs().max() < bound

    @pytest.mark.parametrize("gap", [0.0, 1e-9, 1e-7, 1e-3])
    def test_near_pi_the_turn_is_right_and_the_gradient_finite(self, gap, dtype, device):
        rotvec = ((math.pi - gap) * axes()).to(dtype=dtype)
        matrix = reference.rotvec_to_matrix(rotvec.double()).to(dtype=dtype, device=device).requires_grad_()
        back = ops.matrix_to_rotvec(matrix)
        again = reference.rotvec_to_matrix(back.detach().double().cpu())
        assert (again - matrix.detach().double().cpu()).abs().max() < 16 * torch.finfo(dtype).eps
        (gradient,) = torch.autograd.grad(back.sum(), matrix)
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() < 10

    def test_at_exactly_pi_the_largest_component_is_positive(self, dtype, device):
        axis = torch.tensor(
            [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0.8, 0], [0.8, -0.6, 0], [0, 0.28, -0.96]], dtype=torch.float64
        )
        matrix = (2 * axis[:, :, None] * axis[:, None, :] - torch.eye(3, dtype=torch.float64)).to(
            dtype=dtype, device=device
        )
        for module in (ops, reference):
            for given in (matrix, matrix.transpose(-1, -2)):
                found = module.matrix_to_rotvec(given).double().cpu()
                largest = axis.abs().argmax(1, keepdim=True)
                wanted = math.pi * axis * axis.gather(1, largest).sign()
                assert (found - wanted).abs().max() < 16 * torch.finfo(dtype).eps

    def test_the_angle_stays_within_pi(self, dtype, device):
        rotvec = rotvecs((200,), 4.0).to(dtype=dtype, device=device)
        found = ops.matrix_to_rotvec(ops.rotvec_to_matrix(rotvec))
        assert found.norm(dim=1).max() < math.pi + 1e-5


class TestRot6dToMatrix(OpTests):
    op = "rot6d_to_matrix"
    differentiable = ("x",)
    variants = {"column": ({}, {}), "row": ({}, {"layout": "row"})}  # noqa: RUF012

    def make(self, batch):
        g = torch.Generator().manual_seed(3)
        return {"x": torch.randn(*batch, 6, generator=g, dtype=torch.float64)}

    def test_layouts_read_the_same_vectors(self, device):
        a1, a2 = rotvecs((9,), seed=1).to(device), rotvecs((9,), seed=2).to(device)
        a1, a2 = a1.float(), a2.float()
        column = ops.rot6d_to_matrix(torch.stack((a1, a2), -1).flatten(-2))
        row = ops.rot6d_to_matrix(torch.cat((a1, a2), -1), layout="row")
        assert torch.equal(column, row)
        torch.testing.assert_close(column[..., 0], a1 / a1.norm(dim=-1, keepdim=True))

    @pytest.mark.parametrize("second", [[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1e-20, 0.0]])
    def test_degenerate_vectors_stay_finite(self, second, dtype, device):
        x = torch.tensor([[1.0, 0, 0, *second], [0, 0, 0, *second]], dtype=dtype, device=device, requires_grad=True)
        matrix = ops.rot6d_to_matrix(x, layout="row")
        (gradient,) = torch.autograd.grad(matrix.sum(), x)
        assert torch.isfinite(matrix).all()
        assert torch.isfinite(gradient).all()
        want = reference.rot6d_to_matrix(x.detach().double().cpu(), layout="row")
        torch.testing.assert_close(matrix.detach().double().cpu(), want, rtol=1e-6, atol=1e-6)

    def test_unknown_layout(self):
        with pytest.raises(ValueError, match="rot6d_to_matrix: layout: wanted 'column' or 'row', got 'rows'"):
            ops.rot6d_to_matrix(torch.zeros(6), layout="rows")
