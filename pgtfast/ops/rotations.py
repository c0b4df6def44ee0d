"""Rotation vectors, matrices and 6D vectors into one another, fused and differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

from ._border import call, define, float32_under_autocast
from ._checks import check_floating, check_tail, flatten_batch


@float32_under_autocast
def rotvec_to_matrix(rotvec: Tensor) -> Tensor:
    """Rotation matrices of rotation vectors (Rodrigues' formula).

    Differentiable; CPU (float32, float64) and CUDA (float32).

    Args:
        rotvec: (..., 3) axis times angle, radians. Any angle; value and gradient are exact at zero.

    Returns:
        (..., 3, 3).

    Raises:
        ValueError: another shape.
        TypeError: not a tensor, or another dtype.
    """
    batch, flat = _flatten("rotvec_to_matrix", "rotvec", rotvec, (3,))
    return _rotvec_to_matrix(flat).view(*batch, 3, 3)


@float32_under_autocast
def matrix_to_rotvec(matrix: Tensor) -> Tensor:
    """Rotation vectors of rotation matrices, with angle in [0, pi]; accurate at 0 and at pi.

    Differentiable; CPU (float32, float64) and CUDA (float32).

    Args:
        matrix: (..., 3, 3) rotation matrices (proper, orthonormal; not checked).

    Returns:
        (..., 3) axis times angle, radians. At exactly pi, where both signs of the axis are right, its largest component
        is positive.

    Raises:
        ValueError: another shape.
        TypeError: not a tensor, or another dtype.
    """
    batch, flat = _flatten("matrix_to_rotvec", "matrix", matrix, (3, 3))
    return _matrix_to_rotvec(flat).view(*batch, 3)


@float32_under_autocast
def rot6d_to_matrix(x: Tensor, layout: str = "column") -> Tensor:
    """Rotation matrices of 6D vectors by Gram-Schmidt (Zhou et al. 2019).

    Differentiable; CPU (float32, float64) and CUDA (float32).

    Args:
        x: (..., 6).
        layout: "column" reads x as a (3, 2) matrix whose columns are the two vectors (Pose2Pose, SPIN, VPoser); "row"
            reads two
            consecutive triples (4D-Humans).

    Returns:
        (..., 3, 3) with the orthonormal vectors as columns in both layouts.

    Convention:
        Networks trained with one layout give wrong bodies under the other; nothing in the numbers tells them apart.

    Raises:
        ValueError: another shape or layout.
        TypeError: not a tensor, or another dtype.
    """
    if layout not in ("column", "row"):
        raise ValueError(f"rot6d_to_matrix: layout: wanted 'column' or 'row', got {layout!r}")
    batch, flat = _flatten("rot6d_to_matrix", "x", x, (6,))
    return _rot6d_to_matrix(flat, layout == "column").view(*batch, 3, 3)


def _flatten(op: str, name: str, tensor: Tensor, tail: tuple[int, ...]) -> tuple[torch.Size, Tensor]:
    check_floating(op, name, tensor)
    check_tail(op, name, tensor, tail, tensor)
    batch, (flat,) = flatten_batch(op, ((name, tensor, len(tail)),))
    return batch, flat


def _matrices(flat: Tensor) -> Tensor:
    return flat.new_empty(flat.shape[0], 3, 3)


def _vectors(flat: Tensor) -> Tensor:
    return flat.new_empty(flat.shape[0], 3)


def _save_inputs(ctx, inputs, output):
    ctx.save_for_backward(inputs[0])
    ctx.options = inputs[1:]


def _define_map(name: str, argument: str, empty_output, option: str = ""):
    """Register `name`, one array in and one out with at most one option (its schema text), and its adjoint."""

    def kernel(flat, *options):
        out = empty_output(flat)
        call(name, (flat, out), *options)
        return out

    def fake(flat, *options):
        return empty_output(flat)

    def backward_kernel(flat, grad, *options):
        out = flat.new_empty(flat.shape)
        call(f"{name}_backward", (flat, grad.contiguous(), out), *options)
        return out

    def backward_fake(flat, grad, *options):
        return flat.new_empty(flat.shape)

    backward = define(
        f"{name}_backward(Tensor {argument}, Tensor grad{option}) -> Tensor", backward_kernel, backward_fake
    )

    def autograd(ctx, grad):
        return (backward(*ctx.saved_tensors, grad, *ctx.options), *(None for _ in ctx.options))

    return define(f"{name}(Tensor {argument}{option}) -> Tensor", kernel, fake, _save_inputs, autograd)


_rotvec_to_matrix = _define_map("rotvec_to_matrix", "rotvec", _matrices)
_matrix_to_rotvec = _define_map("matrix_to_rotvec", "matrix", _vectors)
_rot6d_to_matrix = _define_map("rot6d_to_matrix", "x", _matrices, ", bool column")
