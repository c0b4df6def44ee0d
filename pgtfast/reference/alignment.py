"""Similarity Procrustes alignment of point sets."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class ProcrustesResult(NamedTuple):
    """Result of :func:`procrustes_align`."""

    aligned: Tensor
    scale: Tensor
    rotation: Tensor
    translation: Tensor


def procrustes_align(
    points: Tensor, target: Tensor, weights: Tensor | None = None, with_scale: bool = True
) -> ProcrustesResult:
    """Least-squares similarity that carries `points` onto `target` (Umeyama 1991, Eq. 40-43).

    Args:
        points: (..., K, 3), any length unit.
        target: (..., K, 3).
        weights: (..., K), none negative, or None for ones.
        with_scale: False keeps the scale at one (rigid alignment).

    Returns:
        ProcrustesResult: aligned (..., K, 3) = scale * points @ rotation^T + translation, scale (...), rotation (..., 3, 3), always proper,
        translation (..., 3). Degenerate input is guarded: points that all coincide keep scale 1 and a proper rotation; without any weight the result is the identity.
        The gradient is that of the alignment where the rotation is determined, and finite elsewhere.
    """
    w = points.new_ones(points.shape[:-1]) if weights is None else weights
    total = w.sum(-1, keepdim=True)
    w = w / torch.where(total > 0, total, 1.0)
    mean_p, mean_t = (w[..., None] * points).sum(-2), (w[..., None] * target).sum(-2)
    p, t = points - mean_p[..., None, :], target - mean_t[..., None, :]
    covariance = (w[..., None] * t).transpose(-1, -2) @ p
    variance = (w[..., None] * p * p).sum((-2, -1))
    rotation = _nearest_rotation(covariance)
    alive = variance > 0
    fitted = (rotation * covariance).sum((-2, -1)) / torch.where(alive, variance, 1.0)
    scale = torch.where(alive, fitted, 1.0) if with_scale else torch.ones_like(variance)
    translation = mean_t - scale[..., None] * (rotation @ mean_p[..., None]).squeeze(-1)
    aligned = scale[..., None, None] * (points @ rotation.transpose(-1, -2)) + translation[..., None, :]
    return ProcrustesResult(aligned, scale, rotation, translation)


def _nearest_rotation(matrix: Tensor) -> Tensor:
    """Proper rotation R that maximises trace(R^T matrix), differentiable where it is unique."""
    with torch.no_grad():
        u, s, vh = torch.linalg.svd(matrix)
        sign = torch.where(torch.linalg.det(u @ vh) < 0, -1.0, 1.0).to(matrix.dtype)
        last = torch.stack((torch.ones_like(sign), torch.ones_like(sign), sign), -1)
        s = s * last
        u = u * last[..., None, :]
        rotation = u @ vh
    if not matrix.requires_grad:
        return rotation
    # dR = U Omega V^T with Omega_ij = (A_ij - A_ji) / (s_i + s_j), A = U^T dM V; written so that autograd forms it, value unchanged.
    a = u.transpose(-1, -2) @ matrix @ vh.transpose(-1, -2)
    denominator = s[..., :, None] + s[..., None, :]
    tiny = denominator.abs() <= 1e-9 * s[..., :1, None].abs().clamp(min=1e-30)
    omega = torch.where(tiny, 0.0, (a - a.transpose(-1, -2)) / torch.where(tiny, 1.0, denominator))
    return rotation + u @ (omega - omega.detach()) @ vh
