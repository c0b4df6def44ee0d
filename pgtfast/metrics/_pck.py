"""Share of correct points in 3D, and the area under its curve (MPI-INF-3DHP, MuPoTS)."""

from __future__ import annotations

import torch
from torch import Tensor

from pgtfast.metrics._errors import MM, align_roots, check_points

AUC_THRESHOLDS_MM = tuple(range(0, 151, 5))


def pck3d(
    pred: Tensor, gt: Tensor, *, root: int | Tensor | None, valid: Tensor | None = None, threshold_mm: float = 150.0
) -> Tensor:
    """Share of joints, over all bodies, that lie less than a threshold from the truth.

    Args:
        pred: (..., K, 3) metres; NaN for a joint or body that was not found, which counts as wrong.
        gt: (..., K, 3) metres.
        root: as of `mpjpe_mm`.
        valid: (..., K) bool, joints that count; None for all.
        threshold_mm: millimetres.

    Returns:
        () share from 0 to 1, NaN where no joint counts.
    """
    return _shares(pred, gt, root, valid, (threshold_mm,))[0]


def auc(pred: Tensor, gt: Tensor, *, root: int | Tensor | None, valid: Tensor | None = None) -> Tensor:
    """Mean of `pck3d` over the thresholds 0, 5, ..., 150 mm. Arguments and result as of `pck3d`."""
    return _shares(pred, gt, root, valid, AUC_THRESHOLDS_MM).mean()


def _shares(
    pred: Tensor, gt: Tensor, root: int | Tensor | None, valid: Tensor | None, thresholds: tuple[float, ...]
) -> Tensor:
    check_points(pred, gt, valid)
    pred, gt = align_roots(pred, gt, root)
    error = MM * torch.linalg.vector_norm(pred - gt, dim=-1)
    error = error.flatten() if valid is None else error[valid]
    limits = torch.tensor(thresholds, dtype=error.dtype, device=error.device)
    return (error[:, None] < limits).to(error.dtype).mean(0)
