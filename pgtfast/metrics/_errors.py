"""Mean distances between predicted and true points."""

from __future__ import annotations

import torch
from torch import Tensor

from pgtfast import ops

MM = 1000.0


def mpjpe_mm(
    pred: Tensor, gt: Tensor, *, root: int | Tensor | None, valid: Tensor | None = None, per_axis: bool = False
) -> Tensor:
    """Mean per-joint position error of each body.

    Args:
        pred: (..., K, 3) metres.
        gt: (..., K, 3) metres.
        root: joint at which both are laid on each other, or a pair of points (2, ..., 3), or None to compare as they
            are.
        valid: (..., K) bool, joints that count; None for all.
        per_axis: also the mean absolute x, y and z errors.

    Returns:
        (...) millimetres; with `per_axis` (..., 4): the error, then x, y, z. NaN for a body without a valid joint.
    """
    check_points(pred, gt, valid)
    pred, gt = align_roots(pred, gt, root)
    return mean_error(pred - gt, valid, per_axis)


def pa_mpjpe_mm(pred: Tensor, gt: Tensor, *, valid: Tensor | None = None, per_axis: bool = False) -> Tensor:
    """Mean per-joint position error of each body after the best similarity (scale, rotation, translation).

    Arguments and result as of `mpjpe_mm`; joints that are not valid do not take part in the alignment either.
    """
    check_points(pred, gt, valid)
    if valid is None:
        weights = None
    else:
        weights = valid.to(pred.dtype)
        pred, gt = (torch.where(valid[..., None], points, torch.zeros_like(points)) for points in (pred, gt))
    aligned = ops.procrustes_align(pred, gt, weights).aligned
    return mean_error(aligned - gt, valid, per_axis)


def pve_mm(pred: Tensor, gt: Tensor, *, pred_root: Tensor | None, gt_root: Tensor | None) -> Tensor:
    """Mean per-vertex error of each body.

    Args:
        pred: (..., V, 3) metres.
        gt: (..., V, 3) metres.
        pred_root: (..., 3) point that is laid on `gt_root`, or None for both to compare as they are.
        gt_root: (..., 3).

    Returns:
        (...) millimetres.
    """
    check_points(pred, gt, None)
    if (pred_root is None) != (gt_root is None):
        raise ValueError("pred_root, gt_root: give both points, or None for both")
    if pred_root is not None and gt_root is not None:
        pred, gt = pred - pred_root[..., None, :], gt - gt_root[..., None, :]
    return mean_error(pred - gt, None, False)


def check_points(pred: Tensor, gt: Tensor, valid: Tensor | None) -> None:
    """Both (..., K, 3) of one shape, `valid` (..., K) bool."""
    if pred.shape != gt.shape or pred.ndim < 2 or pred.shape[-1] != 3:
        raise ValueError(
            f"pred, gt: wanted two (..., K, 3) of one shape, got {tuple(pred.shape)} and {tuple(gt.shape)}"
        )
    if valid is not None and (valid.shape != pred.shape[:-1] or valid.dtype != torch.bool):
        raise ValueError(f"valid: wanted bool {tuple(pred.shape[:-1])}, got {valid.dtype} {tuple(valid.shape)}")


def align_roots(pred: Tensor, gt: Tensor, root: int | Tensor | None) -> tuple[Tensor, Tensor]:
    """Moves both so that their roots lie at the origin."""
    if root is None:
        return pred, gt
    if isinstance(root, Tensor):
        if root.shape[:1] != (2,) or root.shape[-1:] != (3,):
            raise ValueError(f"root: wanted (2, ..., 3), the root of pred and of gt, got {tuple(root.shape)}")
        return pred - root[0][..., None, :], gt - root[1][..., None, :]
    return pred - pred[..., root, None, :], gt - gt[..., root, None, :]


def mean_error(difference: Tensor, valid: Tensor | None, per_axis: bool) -> Tensor:
    """Mean over joints, in millimetres, of differences (..., K, 3) in metres."""
    errors = torch.linalg.vector_norm(difference, dim=-1)[..., None]
    if per_axis:
        errors = torch.cat([errors, difference.abs()], -1)
    if valid is None:
        mean = errors.mean(-2)
    else:
        errors = torch.where(valid[..., None], errors, torch.zeros_like(errors))
        mean = errors.sum(-2) / valid.sum(-1, keepdim=True)
    return MM * (mean if per_axis else mean[..., 0])
