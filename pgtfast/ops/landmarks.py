"""Landmarks of posed bodies without a mesh, fused and differentiable."""

from __future__ import annotations

from torch import Tensor

from pgtfast.reference.terms import LandmarkTerms

from ._border import call, define, float32_under_autocast
from ._checks import body_inputs

BODY_SCHEMA = "Tensor pose, Tensor? betas, Tensor? transl, int[] parents, Tensor offsets"
TERMS_SCHEMA = "Tensor packed, Tensor moment_row, Tensor pair_bone, Tensor pair_mass, Tensor pair_start"


@float32_under_autocast
def landmarks(pose: Tensor, betas: Tensor | None, transl: Tensor | None, terms: LandmarkTerms) -> Tensor:
    """Landmarks of posed bodies, exact, without computing a vertex (docs/landmarks.md).

    Differentiable in pose, betas and transl; CPU (float32, float64) and CUDA (float32).

    Args:
        pose: (..., J, 3) rotation vectors in radians, or (..., J, 3, 3) matrices; global orientation first.
        betas: (..., S) shape coefficients, or None for zeros.
        transl: (..., 3) metres, or None for zeros.
        terms: constants of the body and the landmark set, on pose's device and of its dtype.

    Returns:
        (..., K, 3) metres, in the frame of `transl`.

    Raises:
        ValueError: a shape, a device or the terms do not fit pose.
        TypeError: not a tensor, or another dtype.
    """
    batch, (pose, betas, transl) = body_inputs("landmarks", pose, betas, transl, terms)
    points = _landmarks(pose, betas, transl, *terms_arguments(terms))
    return points if len(batch) == 1 else points.view(*batch, *points.shape[1:])


def terms_arguments(terms: LandmarkTerms) -> tuple:
    """The tree and the tensors of the terms in the order of the op schemas."""
    return (
        terms.tree,
        terms.offsets,
        terms.packed,
        terms.moment_row,
        terms.pair_bone,
        terms.pair_mass,
        terms.pair_start,
    )


def _kernel(pose, betas, transl, parents, offsets, packed, moment_row, pair_bone, pair_mass, pair_start):
    points = pose.new_empty(pose.shape[0], pair_start.shape[0] - 1, 3)
    call(
        "landmarks",
        (pose, betas, transl, parents, offsets, packed, moment_row, pair_bone, pair_mass, pair_start, points),
    )
    return points


def _fake(pose, betas, transl, parents, offsets, packed, moment_row, pair_bone, pair_mass, pair_start):
    return pose.new_empty(pose.shape[0], pair_start.shape[0] - 1, 3)


def empty_grads(pose: Tensor, betas: Tensor | None, transl: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Room for the gradients of a body's inputs; an absent input gets an empty tensor."""
    shape = pose.new_empty(0) if betas is None else pose.new_empty(betas.shape)
    place = pose.new_empty(0) if transl is None else pose.new_empty(transl.shape)
    return pose.new_empty(pose.shape), shape, place


def wanted_grads(
    grads: tuple[Tensor, Tensor, Tensor], betas: Tensor | None, transl: Tensor | None
) -> tuple[Tensor | None, ...]:
    """`grads` with None in place of those whose input is absent."""
    return grads[0], None if betas is None else grads[1], None if transl is None else grads[2]


def _backward_kernel(pose, betas, transl, parents, offsets, packed, moment_row, pair_bone, pair_mass, pair_start, grad):
    grads = empty_grads(pose, betas, transl)
    inputs = (pose, betas, transl, parents, offsets, packed, moment_row, pair_bone, pair_mass, pair_start)
    call("landmarks_backward", (*inputs, grad.contiguous(), *wanted_grads(grads, betas, transl)))
    return grads


def _backward_fake(pose, betas, transl, parents, offsets, packed, moment_row, pair_bone, pair_mass, pair_start, grad):
    return empty_grads(pose, betas, transl)


def save_body(ctx, inputs: tuple) -> None:
    """Keep the inputs of an op on a posed body for its backward pass: the tensors, and the tree, which is none."""
    ctx.save_for_backward(*inputs[:3], *inputs[4:])
    ctx.parents = inputs[3]


def saved_body(ctx) -> tuple:
    """What :func:`save_body` kept."""
    saved = ctx.saved_tensors
    return (*saved[:3], ctx.parents, *saved[3:])


def _setup_context(ctx, inputs, output):
    save_body(ctx, inputs)


def _autograd(ctx, grad):
    inputs = saved_body(ctx)
    grads = _landmarks_backward(*inputs, grad)
    return (*wanted_grads(grads, inputs[1], inputs[2]), *(None,) * 7)


_landmarks = define(f"landmarks({BODY_SCHEMA}, {TERMS_SCHEMA}) -> Tensor", _kernel, _fake, _setup_context, _autograd)
_landmarks_backward = define(
    f"landmarks_backward({BODY_SCHEMA}, {TERMS_SCHEMA}, Tensor grad) -> (Tensor, Tensor, Tensor)",
    _backward_kernel,
    _backward_fake,
)
