"""Projection and the keypoint loss that drives fits and 2D supervision."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .chain import landmarks
from .terms import LandmarkTerms

MIN_DEPTH = 1e-2
"""Metres. Points nearer than this, or behind the camera, are projected as if they lay at this depth."""


class KeypointLoss(NamedTuple):
    """Result of :func:`keypoint_loss`: per person (...) with reduction "none", scalars with "mean"."""

    total: Tensor
    data: Tensor
    latent: Tensor
    betas: Tensor


def project(points: Tensor, focal: Tensor, center: Tensor, model: str = "perspective") -> Tensor:
    """Project camera-space points to pixels.

    Args:
        points: (..., K, 3) metres, camera space (x right, y down, z forward).
        focal: (..., 2) pixels; with model "weak" pixels per metre.
        center: (..., 2) principal point in pixels.
        model: "perspective" (u = f X / Z + c, with Z at least 1 cm) or "weak" (u = f X + c).

    Returns:
        (..., K, 2) pixels, the centre of the first pixel at (0, 0).
    """
    if model == "perspective":
        flat = points[..., :2] / points[..., 2:].clamp(min=MIN_DEPTH)
    elif model == "weak":
        flat = points[..., :2]
    else:
        raise ValueError(f"model: wanted 'perspective' or 'weak', got {model!r}")
    return flat * focal[..., None, :] + center[..., None, :]


def robust(residual: Tensor, loss: str, sigma: float, norm: str) -> Tensor:
    """Robust penalty of 2D residuals: (..., 2) pixels -> (..., 2) with norm "coordinate", (..., 1) with "euclidean"."""
    if norm == "euclidean":
        square = (residual * residual).sum(-1, keepdim=True)
    elif norm == "coordinate":
        square = residual * residual
    else:
        raise ValueError(f"norm: wanted 'coordinate' or 'euclidean', got {norm!r}")
    if loss == "mse":
        return square
    if loss == "l1":
        zero = square == 0
        return torch.where(zero, 0.0, torch.where(zero, 1.0, square).sqrt())
    if loss == "geman_mcclure":
        return sigma**2 * square / (sigma**2 + square)
    raise ValueError(f"loss: wanted 'l1', 'mse' or 'geman_mcclure', got {loss!r}")


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
    """2D keypoint loss of posed bodies with L2 on latent and shape.

    ``data = sum_k w_k rho(project(X_k) - keypoint_k) / number of valid entries``, an entry being valid where its weight
    is positive (two entries a joint with norm "coordinate", one with "euclidean"); ``latent = mean(z^2)``,
    ``betas = mean(beta^2)``; ``total = data + latent_weight * latent + betas_weight * betas``. Invalid entries count
    neither in the sum nor in the denominator.

    Args:
        pose: (..., J, 3) rotation vectors or (..., J, 3, 3) matrices.
        betas: (..., S) or None.
        transl: (..., 3) metres, camera space, or None.
        terms: constants of the body and the landmark set (K landmarks).
        focal: (..., 2) pixels (pixels per metre with model "weak"). No gradient.
        center: (..., 2) pixels. No gradient.
        keypoints: (..., K, 2) pixels. May hold NaN where the weight is zero.
        weights: (..., K), none negative, or None for ones.
        loss: "l1", "mse" or "geman_mcclure" (sigma^2 e^2 / (sigma^2 + e^2)).
        sigma: scale of Geman-McClure, pixels.
        norm: "coordinate" penalises x and y apart, "euclidean" their distance.
        latent: (..., Z) prior latent, or None.
        latent_weight: factor of mean(z^2).
        betas_weight: factor of mean(beta^2).
        model: camera model, see :func:`project`.
        reduction: "none" gives each person's loss, "mean" one loss over all valid entries of the batch.

    Returns:
        KeypointLoss(total, data, latent, betas). A person, or a batch, without valid entries has data 0.
    """
    pixels = project(landmarks(pose, betas, transl, terms), focal, center, model)
    if weights is None:
        weights = torch.ones_like(pixels[..., 0])
    valid = weights > 0
    residual = torch.where(valid[..., None], pixels - keypoints, 0.0)
    penalty = torch.where(valid, weights, 0.0)[..., None] * robust(residual, loss, sigma, norm)
    data, count = penalty.sum((-2, -1)), valid.expand(penalty.shape[:-1]).sum(-1) * penalty.shape[-1]
    batch = data.shape
    latent_term = data.new_zeros(batch) if latent is None else _mean_square(latent).expand(batch)
    betas_term = data.new_zeros(batch) if betas is None else _mean_square(betas).expand(batch)
    if reduction == "mean":
        people = max(1, batch.numel())
        data, count = data.sum(), count.sum()
        latent_term, betas_term = latent_term.sum() / people, betas_term.sum() / people
    elif reduction != "none":
        raise ValueError(f"reduction: wanted 'none' or 'mean', got {reduction!r}")
    data = data / count.clamp(min=1)
    return KeypointLoss(data + latent_weight * latent_term + betas_weight * betas_term, data, latent_term, betas_term)


def _mean_square(x: Tensor) -> Tensor:
    """(..., n) -> (...); zero where n is 0."""
    return (x * x).sum(-1) / max(1, x.shape[-1])
