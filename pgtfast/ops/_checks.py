"""Argument checks and batch handling shared by the wrappers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def check_tail(op: str, name: str, tensor: Tensor, tail: Sequence[int | str], like: Tensor) -> None:
    """Raise unless `tensor` ends in the shape `tail` (an int, or a letter for any size) and has `like`'s dtype and
    device.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{op}: {name}: wanted a torch.Tensor, got {type(tensor).__name__}")
    shape = tensor.shape
    if len(shape) < len(tail) or any(
        isinstance(want, int) and want != got for want, got in zip(tail, shape[len(shape) - len(tail) :], strict=True)
    ):
        wanted = ", ".join(str(t) for t in tail)
        raise ValueError(f"{op}: {name}: wanted shape (..., {wanted}), got {tuple(shape)}")
    if tensor.dtype != like.dtype:
        raise TypeError(f"{op}: {name}: wanted {like.dtype}, got {tensor.dtype}; cast it with .to({like.dtype})")
    if tensor.device != like.device:
        raise ValueError(
            f"{op}: {name}: wanted a tensor on {like.device}, got {tensor.device}; move it with .to('{like.device}')"
        )


def check_floating(op: str, name: str, tensor: Tensor) -> None:
    """Raise unless `tensor` is a float32 or float64 tensor."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{op}: {name}: wanted a torch.Tensor, got {type(tensor).__name__}")
    if tensor.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{op}: {name}: wanted float32 or float64, got {tensor.dtype}")


def flatten_batch(op: str, parts: Sequence[tuple[str, Tensor | None, int]]) -> tuple[torch.Size, list[Any]]:
    """Broadcast the batch shapes of several tensors and flatten them to one axis.

    Args:
        op: name for messages.
        parts: (name, tensor or None, number of trailing axes that are not batch).

    Returns:
        The common batch shape, and the tensors as contiguous (N, *tail), None where None came in.
    """
    shapes = [t.shape[: t.dim() - tail] for _, t, tail in parts if t is not None]
    batch = shapes[0]
    if any(shape != batch for shape in shapes):
        try:
            batch = torch.broadcast_shapes(*shapes)
        except RuntimeError:
            named = ", ".join(f"{n} {tuple(t.shape)}" for n, t, _ in parts if t is not None)
            raise ValueError(f"{op}: the batch shapes do not broadcast together: {named}") from None
    flat: list[Tensor | None] = []
    for _, tensor, tail in parts:
        if tensor is not None:
            kept = tensor.shape[tensor.dim() - tail :]
            if tensor.shape[: tensor.dim() - tail] != batch:
                tensor = tensor.expand(*batch, *kept)
            if len(batch) != 1:
                tensor = tensor.reshape(batch.numel(), *kept)
            tensor = tensor.contiguous()
        flat.append(tensor)
    return batch, flat


def body_inputs(
    op: str,
    pose: Tensor,
    betas: Tensor | None,
    transl: Tensor | None,
    terms,
    more: Sequence[tuple[str, Tensor | None, tuple[int | str, ...]]] = (),
) -> tuple[torch.Size, list[Any]]:
    """Check pose, betas and transl against the terms of a body and flatten them to (N, J, 3 or 9), (N, S), (N, 3).

    `more` holds further per-body arguments as (name, tensor or None, trailing shape); they are checked, broadcast and
    flattened alike.
    """
    check_floating(op, "pose", pose)
    joints = terms.num_joints
    if terms.offsets.dtype != pose.dtype or terms.offsets.device != pose.device:
        raise ValueError(
            f"{op}: the terms are {terms.offsets.dtype} on {terms.offsets.device} but pose is {pose.dtype} on "
            f"{pose.device}; "
            "move one of them with .to(...)"
        )
    if pose.dim() >= 3 and pose.shape[-3:] == (joints, 3, 3):
        pose = pose.flatten(-2)
    elif pose.dim() < 2 or pose.shape[-2:] != (joints, 3):
        raise ValueError(
            f"{op}: pose: wanted shape (..., {joints}, 3) or (..., {joints}, 3, 3), got {tuple(pose.shape)}"
        )
    parts: list[tuple[str, Tensor | None, int]] = [("pose", pose, 2)]
    for name, tensor, tail in (("betas", betas, (terms.num_betas,)), ("transl", transl, (3,)), *more):
        if tensor is not None:
            check_tail(op, name, tensor, tail, pose)
        parts.append((name, tensor, len(tail)))
    return flatten_batch(op, parts)
