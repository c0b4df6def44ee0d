"""Similarity Procrustes alignment of point sets, fused and differentiable."""

from __future__ import annotations

from torch import Tensor

from pgtfast.reference.alignment import ProcrustesResult

from ._border import call, define, float32_under_autocast
from ._checks import check_floating, check_tail, flatten_batch


@float32_under_autocast
def procrustes_align(
    points: Tensor, target: Tensor, weights: Tensor | None = None, with_scale: bool = True
) -> ProcrustesResult:
    """Least-squares similarity that carries `points` onto `target` (Umeyama 1991).

    Differentiable in points and target, not in weights; CPU (float32, float64) and CUDA (float32).

    Args:
        points: (..., K, 3), any length unit, K at least 1.
        target: (..., K, 3).
        weights: (..., K), none negative, or None for ones. No gradient.
        with_scale: False keeps the scale at one (rigid alignment).

    Returns:
        ProcrustesResult: aligned (..., K, 3) = scale * points @ rotation^T + translation, scale (...), rotation (...,
        3, 3), always proper,
        translation (..., 3). Where the points leave the rotation open, it is the smallest of the best: the identity for
        points that coincide (then
        scale is 1, too) or have no weight, the shortest turn for points on a line. The gradient is that of the
        alignment where the
        rotation is determined, and finite elsewhere.

    Raises:
        ValueError: another shape, or the devices differ.
        TypeError: not a tensor, or another dtype.
    """
    op = "procrustes_align"
    check_floating(op, "points", points)
    check_tail(op, "points", points, ("K", 3), points)
    count = points.shape[-2]
    if count == 0:
        raise ValueError(f"{op}: points: wanted at least one point, got shape {tuple(points.shape)}")
    check_tail(op, "target", target, (count, 3), points)
    if weights is not None:
        check_tail(op, "weights", weights, (count,), points)
    batch, flat = flatten_batch(op, (("points", points, 2), ("target", target, 2), ("weights", weights, 1)))
    aligned, scale, rotation, translation = _procrustes_align(*flat, with_scale)
    return ProcrustesResult(
        aligned.view(*batch, count, 3), scale.view(batch), rotation.view(*batch, 3, 3), translation.view(*batch, 3)
    )


def _kernel(points, target, weights, with_scale):
    out = _fake(points, target, weights, with_scale)
    call("procrustes_align", (points, target, weights, *out), with_scale)
    return out


def _fake(points, target, weights, with_scale):
    n = points.shape[0]
    return points.new_empty(points.shape), points.new_empty(n), points.new_empty(n, 3, 3), points.new_empty(n, 3)


def _backward_kernel(points, target, weights, with_scale, grad_aligned, grad_scale, grad_rotation, grad_translation):
    out = points.new_empty(points.shape), target.new_empty(target.shape)
    grads = (g.contiguous() for g in (grad_aligned, grad_scale, grad_rotation, grad_translation))
    call("procrustes_align_backward", (points, target, weights, *grads, *out), with_scale)
    return out


def _backward_fake(points, target, weights, with_scale, grad_aligned, grad_scale, grad_rotation, grad_translation):
    return points.new_empty(points.shape), target.new_empty(target.shape)


def _setup_context(ctx, inputs, output):
    points, target, weights, ctx.with_scale = inputs
    ctx.save_for_backward(points, target, weights)


def _autograd(ctx, *grads):
    return (*_procrustes_align_backward(*ctx.saved_tensors, ctx.with_scale, *grads), None, None)


_SCHEMA = "Tensor points, Tensor target, Tensor? weights, bool with_scale"
_procrustes_align = define(
    f"procrustes_align({_SCHEMA}) -> (Tensor, Tensor, Tensor, Tensor)", _kernel, _fake, _setup_context, _autograd
)
_procrustes_align_backward = define(
    f"procrustes_align_backward({_SCHEMA}, Tensor grad_aligned, Tensor grad_scale, Tensor grad_rotation, Tensor "
    f"grad_translation) -> (Tensor, Tensor)",
    _backward_kernel,
    _backward_fake,
)
