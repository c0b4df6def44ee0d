"""Errors of predicted bodies. Inputs in metres; the unit of a result is in its name."""

from pgtfast.metrics._errors import mpjpe_mm, pa_mpjpe_mm, pve_mm
from pgtfast.metrics._pck import auc, pck3d

__all__ = ["auc", "mpjpe_mm", "pa_mpjpe_mm", "pck3d", "pve_mm"]
