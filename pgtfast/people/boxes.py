"""Boxes around keypoints, for people whose file gives none."""

from __future__ import annotations

import numpy as np

KEYPOINT_MARGIN = 1.2
"""How much larger than the labelled keypoints a box around them is (Pose2Pose, CVPRW 2022)."""


def keypoint_boxes(keypoints: np.ndarray, margin: float = KEYPOINT_MARGIN) -> np.ndarray:
    """Boxes around the labelled keypoints.

    Args:
        keypoints: (N, K, 3) pixels and confidence; those with confidence 0 do not count.
        margin: how much larger than their extent.

    Returns:
        (N, 4) float64 x, y, width, height; NaN where fewer than two keypoints, or no area, are labelled.
    """
    low, high = _extent(keypoints)
    boxes = np.full((len(keypoints), 4), np.nan)
    good = (high > low).all(axis=1)
    size, middle = high[good] - low[good], (high[good] + low[good]) / 2
    boxes[good] = np.concatenate([middle - margin / 2 * size, margin * size], axis=1)
    return boxes


def box_side(bbox: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """(N,) pixels: longer side of the box, of the keypoints' extent where there is none; at least 1."""
    low, high = _extent(keypoints)
    around = np.where(np.isfinite(low), high - low, 0)
    return np.maximum(np.where(np.isnan(bbox[:, 2:]), around, bbox[:, 2:]).max(1), 1.0)


def _extent(keypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) least and greatest x, y of the labelled keypoints; infinite and minus infinite where there are none."""
    labelled = keypoints[..., 2:] > 0
    low = np.where(labelled, keypoints[..., :2], np.inf).min(axis=1, initial=np.inf)
    high = np.where(labelled, keypoints[..., :2], -np.inf).max(axis=1, initial=-np.inf)
    return low, high
