"""Landmarks, projection, robust 2D loss and regularisers, value and all gradients in one pass."""

from __future__ import annotations

import torch
from torch import Tensor

from pgtfast.reference.losses import KeypointLoss
from pgtfast.reference.terms import LandmarkTerms

from ._border import call, define, float32_under_autocast
from ._checks import body_inputs
from .landmarks import BODY_SCHEMA, TERMS_SCHEMA, empty_grads, terms_arguments, wanted_grads

MODELS = ("perspective", "weak")
PENALTIES = ("l1", "mse", "geman_mcclure")
NORMS = ("coordinate", "euclidean")


@float32_under_autocast
def keypoint_loss(
    pose: Tensor,
    betas: Tensor | None,
    transl: Tensor | None,
    terms: LandmarkTerms,
    *,
    focal: Tensor,
    center: Tensor,
    keypoints: Tensor,
    weights: Tensor | None = None,
    loss: str = "l1",
    sigma: float = 100.0,
    norm: str = "coordinate",
    latent: Tensor | None = None,
    latent_weight: float = 0.0,
    betas_weight: float = 0.0,
    model: str = "perspective",
    reduction: str = "mean",
) -> KeypointLoss:
    """2D keypoint loss of posed bodies with L2 on latent and shape, fused.

    ``data = sum_k w_k rho(project(X_k) - keypoint_k) / number of valid entries``, an entry being valid where its weight
    is positive (two entries a
    joint with norm "coordinate", one with "euclidean"); ``latent = mean(z^2)``, ``betas = mean(beta^2)``; ``total =
    data + latent_weight * latent +
    betas_weight * betas``. Differentiable in pose, betas, transl and latent. CPU (float32, float64) and CUDA (float32).

    Args:
        pose: (..., J, 3) rotation vectors in radians, or (..., J, 3, 3) matrices; global orientation first.
        betas: (..., S) or None for zeros.
        transl: (..., 3) metres, camera space (x right, y down, z forward), or None for zeros.
        terms: constants of the body and the landmark set (K landmarks).
        focal: (..., 2) pixels; with model "weak" pixels per metre. No gradient.
        center: (..., 2) principal point, pixels. No gradient.
        keypoints: (..., K, 2) pixels, the centre of the first pixel at (0, 0). May hold NaN where the weight is zero.
            No gradient.
        weights: (..., K), none negative, or None for ones. No gradient.
        loss: "l1", "mse" or "geman_mcclure" (sigma^2 e^2 / (sigma^2 + e^2); SMPLify, Bogo et al. 2016, Eq. 2).
        sigma: scale of Geman-McClure, pixels.
        norm: "coordinate" penalises x and y apart, "euclidean" their distance.
        latent: (..., Z) prior latent, or None.
        latent_weight: factor of mean(z^2).
        betas_weight: factor of mean(beta^2).
        model: "perspective" (depth at least 1 cm) or "weak" (see :func:`pgtfast.ops.project`).
        reduction: "none" gives each body's loss, "mean" one loss over all valid entries of the batch.

    Returns:
        KeypointLoss(total, data, latent, betas), each (...) for "none" and () for "mean". Without valid entries data is
        0.

    Raises:
        ValueError: a shape, device, option or the terms do not fit pose.
        TypeError: not a tensor, or another dtype.
    """
    options = (
        _index("model", model, MODELS),
        _index("loss", loss, PENALTIES),
        _index("norm", norm, NORMS),
        float(sigma),
    )
    if reduction not in ("none", "mean"):
        raise ValueError(f"keypoint_loss: reduction: wanted 'none' or 'mean', got {reduction!r}")
    landmarks = terms.num_landmarks
    batch, flat = body_inputs(
        "keypoint_loss",
        pose,
        betas,
        transl,
        terms,
        (
            ("focal", focal, (2,)),
            ("center", center, (2,)),
            ("keypoints", keypoints, (landmarks, 2)),
            ("weights", weights, (landmarks,)),
            ("latent", latent, ("Z",)),
        ),
    )
    pose, betas, transl, *target = flat
    wants_grad = torch.is_grad_enabled() and any(
        t is not None and t.requires_grad for t in (pose, betas, transl, latent)
    )
    sums, count = _loss(pose, betas, transl, *terms_arguments(terms), *target, *options, wants_grad)[:2]
    if reduction == "mean":
        data, latent_term, betas_term = sums.sum(0).unbind()
        people = max(1, sums.shape[0])
        data = data / count.sum().clamp(min=1)
        latent_term, betas_term = latent_term / people, betas_term / people
    else:
        data, latent_term, betas_term = sums.unbind(-1)
        data = data / count.clamp(min=1)
    total = data + latent_weight * latent_term + betas_weight * betas_term
    result = (total, data, latent_term, betas_term)
    if reduction == "none" and len(batch) != 1:
        result = tuple(t.view(batch) for t in result)
    return KeypointLoss(*result)


def _index(name: str, value: str, allowed: tuple[str, ...]) -> int:
    if value not in allowed:
        raise ValueError(f"keypoint_loss: {name}: wanted one of {', '.join(map(repr, allowed))}, got {value!r}")
    return allowed.index(value)


def _loss_outputs(pose, betas, transl, wants_grad):
    sums, count = pose.new_empty(pose.shape[0], 3), pose.new_empty(pose.shape[0])
    grads = empty_grads(pose, betas, transl) if wants_grad else tuple(pose.new_empty(0) for _ in range(3))
    return sums, count, *grads


def _kernel(pose, betas, transl, *rest):
    *tensors, model, penalty, norm, sigma, wants_grad = rest
    outputs = _loss_outputs(pose, betas, transl, wants_grad)
    grads = wanted_grads(outputs[2:], betas, transl) if wants_grad else (None, None, None)
    call("keypoint_loss", (pose, betas, transl, *tensors, *outputs[:2], *grads), model, penalty, norm, sigma)
    return outputs


def _fake(pose, betas, transl, *rest):
    return _loss_outputs(pose, betas, transl, rest[-1])


def _backward_outputs(pose_grad, betas, transl_grad, latent):
    def like(t):
        return pose_grad.new_empty(0) if t is None else pose_grad.new_empty(t.shape)

    return pose_grad.new_empty(pose_grad.shape), like(betas), like(transl_grad), like(latent)


def _backward_kernel(grad, pose_grad, betas_grad, transl_grad, betas, latent):
    outputs = _backward_outputs(pose_grad, betas, transl_grad, latent)
    absent = (False, betas is None, transl_grad is None, latent is None)
    wanted = (None if a else o for o, a in zip(outputs, absent, strict=True))
    call("keypoint_loss_backward", (grad.contiguous(), pose_grad, betas_grad, transl_grad, betas, latent, *wanted))
    return outputs


def _backward_fake(grad, pose_grad, betas_grad, transl_grad, betas, latent):
    return _backward_outputs(pose_grad, betas, transl_grad, latent)


def _setup_context(ctx, inputs, output):
    betas, transl, latent = inputs[1], inputs[2], inputs[14]
    _, count, pose_grad, betas_grad, transl_grad = output
    ctx.mark_non_differentiable(count, pose_grad, betas_grad, transl_grad)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(
        pose_grad, None if betas is None else betas_grad, None if transl is None else transl_grad, betas, latent
    )


def _autograd(ctx, grad, *_):
    pose_grad, betas_grad, transl_grad, betas, latent = ctx.saved_tensors
    if grad is None:
        return (None,) * 20
    grads = _loss_backward(grad, pose_grad, betas_grad, transl_grad, betas, latent)
    absent = (False, betas is None, transl_grad is None, latent is None)
    g = tuple(None if a else o for o, a in zip(grads, absent, strict=True))
    return (g[0], g[1], g[2], *(None,) * 11, g[3], *(None,) * 5)


_TARGET = "Tensor focal, Tensor center, Tensor keypoints, Tensor? weights, Tensor? latent"
_loss = define(
    f"keypoint_loss({BODY_SCHEMA}, {TERMS_SCHEMA}, {_TARGET}, int model, int penalty, int norm, float sigma, bool "
    f"wants_grad)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _kernel,
    _fake,
    _setup_context,
    _autograd,
)
_loss_backward = define(
    "keypoint_loss_backward(Tensor grad, Tensor pose_grad, Tensor? betas_grad, Tensor? transl_grad, Tensor? betas, "
    "Tensor? latent)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
    _backward_kernel,
    _backward_fake,
)
