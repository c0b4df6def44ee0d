"""Boxes around keypoints, for datasets that give none."""

from __future__ import annotations

import numpy as np

_GROW = 1.2


def keypoint_boxes(keypoints: np.ndarray) -> np.ndarray:
    """Boxes around the labelled keypoints, a fifth larger, as the authors of the paper make them for MPII.

    Args:
        keypoints: (N, K, 3) pixels and confidence.

    Returns:
        (N, 4) x, y, width, height; NaN where fewer than two keypoints, or no area, are labelled.
    """
    labelled = keypoints[..., 2:] > 0
    low = np.where(labelled, keypoints[..., :2], np.inf).min(axis=1, initial=np.inf)
    high = np.where(labelled, keypoints[..., :2], -np.inf).max(axis=1, initial=-np.inf)
    boxes = np.full((len(keypoints), 4), np.nan)
    good = (high > low).all(axis=1)
    size, middle = high[good] - low[good], (high[good] + low[good]) / 2
    boxes[good] = np.concatenate([middle - _GROW / 2 * size, _GROW * size], axis=1)
    return boxes
