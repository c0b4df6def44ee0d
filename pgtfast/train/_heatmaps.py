"""Heat maps to learn 2D poses from (Xiao et al., ECCV 2018), and their loss."""

from __future__ import annotations

import torch
from torch import Tensor


def heatmap_targets(keypoints: Tensor, size: tuple[int, int], stride: int, sigma: float) -> Tensor:
    """Gaussians of height 1, centred on the exact keypoint rather than on the nearest bin.

    Args:
        keypoints: (B, J, 2) pixels of the crop, the centre of the first at (0, 0).
        size: width and height of the maps.
        stride: pixels of the crop a bin.
        sigma: bins.

    Returns:
        (B, J, height, width).
    """
    width, height = size
    center = (keypoints + 0.5) / stride - 0.5
    x = torch.arange(width, device=keypoints.device, dtype=keypoints.dtype) - center[..., :1]
    y = torch.arange(height, device=keypoints.device, dtype=keypoints.dtype) - center[..., 1:]
    across = torch.exp(-x.square() / (2 * sigma**2))
    down = torch.exp(-y.square() / (2 * sigma**2))
    return down[..., :, None] * across[..., None, :]


def heatmap_loss(prediction: Tensor, target: Tensor, counted: Tensor) -> Tensor:
    """Half the squared error, a mean over the bins of each map and a sum over the maps that count.

    The caller divides by the number of maps that count in the whole step.

    Args:
        prediction, target: (B, J, h, w).
        counted: (B, J) bool.
    """
    error = (prediction.float() - target).square().mean((-2, -1))
    return 0.5 * torch.where(counted, error, 0.0).sum()
