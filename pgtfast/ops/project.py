"""Projection of camera-space points to pixels, fused and differentiable."""

from __future__ import annotations

from torch import Tensor

from ._border import call, define, float32_under_autocast
from ._checks import check_floating, check_tail, flatten_batch

CAMERA_MODELS = {"perspective": 0, "weak": 1}


@float32_under_autocast
def project(points: Tensor, focal: Tensor, center: Tensor, model: str = "perspective") -> Tensor:
    """Project camera-space points to pixels.

    Differentiable in points, focal and center; CPU (float32, float64) and CUDA (float32).

    Args:
        points: (..., K, 3) metres, camera space (x right, y down, z forward).
        focal: (..., 2) pixels; with model "weak" pixels per metre.
        center: (..., 2) principal point in pixels.
        model: "perspective" (u = f X / Z + c, with Z at least 1 cm) or "weak" (u = f X + c).

    Returns:
        (..., K, 2) pixels, the centre of the first pixel at (0, 0).

    Raises:
        ValueError: another shape or model, or the devices differ.
        TypeError: not a tensor, or another dtype.
    """
    if model not in CAMERA_MODELS:
        raise ValueError(f"project: model: wanted 'perspective' or 'weak', got {model!r}")
    check_floating("project", "points", points)
    check_tail("project", "points", points, ("K", 3), points)
    check_tail("project", "focal", focal, (2,), points)
    check_tail("project", "center", center, (2,), points)
    batch, flat = flatten_batch("project", (("points", points, 2), ("focal", focal, 1), ("center", center, 1)))
    pixels = _project(*flat, CAMERA_MODELS[model])
    return pixels.view(*batch, *pixels.shape[1:])


def _kernel(points, focal, center, model):
    pixels = _fake(points, focal, center, model)
    call("project", (points, focal, center, pixels), model)
    return pixels


def _fake(points, focal, center, model):
    return points.new_empty(points.shape[0], points.shape[1], 2)


def _backward_kernel(points, focal, grad, model):
    grads = _backward_fake(points, focal, grad, model)
    call("project_backward", (points, focal, grad.contiguous(), *grads), model)
    return grads


def _backward_fake(points, focal, grad, model):
    return points.new_empty(points.shape), focal.new_empty(focal.shape), focal.new_empty(focal.shape)


def _setup_context(ctx, inputs, output):
    points, focal, _, ctx.model = inputs
    ctx.save_for_backward(points, focal)


def _autograd(ctx, grad):
    return (*_project_backward(*ctx.saved_tensors, grad, ctx.model), None)


_project = define(
    "project(Tensor points, Tensor focal, Tensor center, int model) -> Tensor",
    _kernel,
    _fake,
    _setup_context,
    _autograd,
)
_project_backward = define(
    "project_backward(Tensor points, Tensor focal, Tensor grad, int model) -> (Tensor, Tensor, Tensor)",
    _backward_kernel,
    _backward_fake,
)
