"""How far an op may lie from the float64 reference: the larger of the table's floor and twice plain PyTorch's own error
in the same dtype.
"""

from __future__ import annotations

import torch

FORWARD = {torch.float32: 32 * torch.finfo(torch.float32).eps, torch.float64: 32 * torch.finfo(torch.float64).eps}
"""Largest absolute error over the larger of one and the largest magnitude of the output."""

GRADIENT = {torch.float32: 128 * torch.finfo(torch.float32).eps, torch.float64: 128 * torch.finfo(torch.float64).eps}
"""Relative L2 error of a gradient."""

OWN_ERROR_FACTOR = 2.0


def allowed(floor: float, own_error: float) -> float:
    """The bound for an error whose plain PyTorch counterpart is `own_error`."""
    return max(floor, OWN_ERROR_FACTOR * own_error)
