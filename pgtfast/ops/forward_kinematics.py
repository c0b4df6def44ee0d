"""The rigid chain of a tree of joints, fused and differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

from ._border import call, define, float32_under_autocast
from ._checks import check_floating, check_tail, flatten_batch


@float32_under_autocast
def forward_kinematics(rotations: Tensor, offsets: Tensor, parents: Tensor) -> tuple[Tensor, Tensor]:
    """Global rotations and positions of a tree of joints.

    Differentiable in rotations and offsets; CPU (float32, float64) and CUDA (float32).

    Args:
        rotations: (..., J, 3, 3) local rotations, J at most 64.
        offsets: (..., J, 3) rest joint minus the parent's rest joint; the root row is the root's rest position. Metres.
        parents: (J,) int32 on the CPU, parents before children, root -1.

    Returns:
        Global rotations (..., J, 3, 3) and posed joint positions (..., J, 3) in metres.

    Raises:
        ValueError: a shape or the tree is wrong, or the devices differ.
        TypeError: not a tensor, or another dtype.
    """
    op = "forward_kinematics"
    check_floating(op, "rotations", rotations)
    if not isinstance(parents, Tensor):
        raise TypeError(f"{op}: parents: wanted a torch.Tensor, got {type(parents).__name__}")
    if parents.dim() != 1 or parents.dtype != torch.int32 or parents.device.type != "cpu":
        got = f"{parents.dtype} of shape {tuple(parents.shape)} on {parents.device}"
        raise ValueError(f"{op}: parents: wanted torch.int32 of shape (J,) on cpu, got {got}")
    joints = parents.shape[0]
    check_tail(op, "rotations", rotations, (joints, 3, 3), rotations)
    check_tail(op, "offsets", offsets, (joints, 3), rotations)
    batch, (rotations, offsets) = flatten_batch(op, (("rotations", rotations, 3), ("offsets", offsets, 2)))
    global_rotations, positions = _forward_kinematics(rotations, offsets, parents)
    return global_rotations.view(*batch, joints, 3, 3), positions.view(*batch, joints, 3)


def _kernel(rotations, offsets, parents):
    out = _fake(rotations, offsets, parents)
    call("forward_kinematics", (rotations, offsets, parents, *out))
    return out


def _fake(rotations, offsets, parents):
    return rotations.new_empty(rotations.shape), offsets.new_empty(offsets.shape)


def _backward_kernel(rotations, offsets, parents, grad_global, grad_positions):
    out = _fake(rotations, offsets, parents)
    call(
        "forward_kinematics_backward",
        (rotations, offsets, parents, grad_global.contiguous(), grad_positions.contiguous(), *out),
    )
    return out


def _backward_fake(rotations, offsets, parents, grad_global, grad_positions):
    return _fake(rotations, offsets, parents)


def _setup_context(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _autograd(ctx, grad_global, grad_positions):
    return (*_forward_kinematics_backward(*ctx.saved_tensors, grad_global, grad_positions), None)


_SCHEMA = "Tensor rotations, Tensor offsets, Tensor parents"
_forward_kinematics = define(
    f"forward_kinematics({_SCHEMA}) -> (Tensor, Tensor)", _kernel, _fake, _setup_context, _autograd
)
_forward_kinematics_backward = define(
    f"forward_kinematics_backward({_SCHEMA}, Tensor grad_global, Tensor grad_positions) -> (Tensor, Tensor)",
    _backward_kernel,
    _backward_fake,
)
