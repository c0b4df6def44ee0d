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
        points: (..., K, 3), any length unit, K at least 1.
        target: (..., K, 3).
        weights: (..., K), none negative, or None for ones. No gradient.
        with_scale: False keeps the scale at one (rigid alignment).

    Returns:
        ProcrustesResult: aligned (..., K, 3) = scale * points @ rotation^T + translation, scale (...), rotation (...,
            3, 3), always proper,
        translation (..., 3). Where the points leave the rotation open, it is the smallest of the best: the identity for
        points that coincide (then scale is 1, too) or have no weight, the shortest turn for points on a line. The
        gradient is that of the alignment where the rotation is determined, and finite elsewhere.
    """
    w = points.new_ones(points.shape[:-1]) if weights is None else weights.detach()
    total = w.sum(-1, keepdim=True)
    w = w / torch.where(total > 0, total, 1.0)
    mean_p, mean_t = (w[..., None] * points).sum(-2), (w[..., None] * target).sum(-2)
    p, t = points - mean_p[..., None, :], target - mean_t[..., None, :]
    covariance = (w[..., None] * t).transpose(-1, -2) @ p
    variance = (w[..., None] * p * p).sum((-2, -1))
    # Points whose spread is within rounding of their distance from the origin count as coinciding.
    apart = variance > _tolerance(points) ** 2 * (mean_p * mean_p).sum(-1)
    covariance = torch.where(apart[..., None, None], covariance, 0.0)
    rotation = _nearest_rotation(covariance)
    fitted = (rotation * covariance).sum((-2, -1)) / torch.where(apart, variance, 1.0)
    scale = torch.where(apart, fitted, 1.0) if with_scale else torch.ones_like(variance)
    translation = mean_t - scale[..., None] * (rotation @ mean_p[..., None]).squeeze(-1)
    aligned = scale[..., None, None] * (p @ rotation.transpose(-1, -2)) + mean_t[..., None, :]
    return ProcrustesResult(aligned, scale, rotation, translation)


def _tolerance(like: Tensor) -> float:
    """Relative size under which a singular value, or the spread of points, is rounding."""
    return 64 * torch.finfo(like.dtype).eps


def _nearest_rotation(matrix: Tensor) -> Tensor:
    """Proper rotation R that maximises trace(R^T matrix), the smallest such where the matrix has rank one or zero;
    differentiable where it is unique.
    """
    with torch.no_grad():
        u, s, vh = torch.linalg.svd(matrix)
        (u1, u2, _), (v1, v2, _) = u.unbind(-1), vh.unbind(-2)
        u1 = torch.where(s[..., :1] > 0, u1, v1)
        thin = s[..., 1:2] <= _tolerance(matrix) * s[..., :1]
        u2 = torch.where(thin, _carry(v1, v2, u1), u2)
        u = torch.stack((u1, u2, torch.linalg.cross(u1, u2)), -1)
        v = torch.stack((v1, v2, torch.linalg.cross(v1, v2)), -1)
        s = (u * (matrix @ v)).sum(-2)
        rotation = u @ v.transpose(-1, -2)
    if not matrix.requires_grad:
        return rotation
    # dR = U Omega V^T with Omega_ij = (A_ij - A_ji) / (s_i + s_j), A = U^T dM V; written so that autograd forms it,
    # value unchanged.
    a = u.transpose(-1, -2) @ matrix @ v
    denominator = s[..., :, None] + s[..., None, :]
    tiny = denominator <= _tolerance(matrix) * s[..., :1, None]
    omega = torch.where(tiny, 0.0, (a - a.transpose(-1, -2)) / torch.where(tiny, 1.0, denominator))
    return rotation + u @ (omega - omega.detach()) @ v.transpose(-1, -2)


def _carry(v1: Tensor, v2: Tensor, u1: Tensor) -> Tensor:
    """Where the smallest rotation from v1 to u1 takes v2 (v1, v2 orthonormal); if u1 is opposite to v1, half a turn
    about v2.
    """
    gap, lean = 1 + (u1 * v1).sum(-1, keepdim=True), (u1 * v2).sum(-1, keepdim=True)
    opposite = gap < 1e-3
    step = lean / torch.where(opposite, 1.0, gap)
    carried = v2 - torch.where(opposite, lean * u1, step * (u1 + v1))
    return carried / carried.norm(dim=-1, keepdim=True)
