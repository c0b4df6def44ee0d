"""Vertices of posed bodies, fused and differentiable."""

from __future__ import annotations

from torch import Tensor

from pgtfast.reference.terms import SkinTerms

from ._border import ask, call, define, float32_under_autocast
from ._checks import body_inputs
from .landmarks import BODY_SCHEMA, empty_grads, save_body, saved_body, wanted_grads

TERMS_SCHEMA = "Tensor packed, Tensor skin_bone, Tensor skin_weight"


@float32_under_autocast
def vertices(pose: Tensor, betas: Tensor | None, transl: Tensor | None, terms: SkinTerms) -> Tensor:
    """Vertices of posed bodies: shape blend, pose blend and linear blend skinning in one pass (SMPL, Loper et al. 2015,
    Eq. 2-9).

    Differentiable in pose, betas and transl; the backward pass computes the blend again and keeps nothing per vertex.
    CPU (float32, float64) and
    CUDA (float32).

    Args:
        pose: (..., J, 3) rotation vectors in radians, or (..., J, 3, 3) matrices; global orientation first.
        betas: (..., S) shape coefficients, or None for zeros.
        transl: (..., 3) metres, or None for zeros.
        terms: constants of the body, on pose's device and of its dtype.

    Returns:
        (..., V, 3) metres, in the frame of `transl`.

    Raises:
        ValueError: a shape, a device or the terms do not fit pose.
        TypeError: not a tensor, or another dtype.
    """
    batch, (pose, betas, transl) = body_inputs("vertices", pose, betas, transl, terms)
    out = _vertices(pose, betas, transl, terms.tree, terms.offsets, terms.packed, terms.skin_bone, terms.skin_weight)
    return out if len(batch) == 1 else out.view(*batch, *out.shape[1:])


def _kernel(pose, betas, transl, parents, offsets, packed, skin_bone, skin_weight):
    out = pose.new_empty(pose.shape[0], skin_bone.shape[0], 3)
    call("vertices", (pose, betas, transl, parents, offsets, packed, skin_bone, skin_weight, out))
    return out


def _fake(pose, betas, transl, parents, offsets, packed, skin_bone, skin_weight):
    return pose.new_empty(pose.shape[0], skin_bone.shape[0], 3)


def _backward_kernel(pose, betas, transl, parents, offsets, packed, skin_bone, skin_weight, grad):
    grads = empty_grads(pose, betas, transl)
    inputs = (pose, betas, transl, parents, offsets, packed, skin_bone, skin_weight)
    floats = ask("vertices_backward_scratch", pose, offsets.shape[2] - 1, skin_bone.shape[0])
    scratch = pose.new_empty(floats) if floats else None
    call("vertices_backward", (*inputs, grad.contiguous(), *wanted_grads(grads, betas, transl), scratch))
    return grads


def _backward_fake(pose, betas, transl, parents, offsets, packed, skin_bone, skin_weight, grad):
    return empty_grads(pose, betas, transl)


def _setup_context(ctx, inputs, output):
    save_body(ctx, inputs)


def _autograd(ctx, grad):
    inputs = saved_body(ctx)
    grads = _vertices_backward(*inputs, grad)
    return (*wanted_grads(grads, inputs[1], inputs[2]), *(None,) * 5)


_vertices = define(f"vertices({BODY_SCHEMA}, {TERMS_SCHEMA}) -> Tensor", _kernel, _fake, _setup_context, _autograd)
_vertices_backward = define(
    f"vertices_backward({BODY_SCHEMA}, {TERMS_SCHEMA}, Tensor grad) -> (Tensor, Tensor, Tensor)",
    _backward_kernel,
    _backward_fake,
)
