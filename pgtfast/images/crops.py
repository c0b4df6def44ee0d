"""Where a person's crop lies: the box, the affine matrix into the crop, and the part of the picture that it shows."""

from __future__ import annotations

import numpy as np

BOX_MARGIN = 1.25
"""How much larger than the person's box a crop is (Pose2Pose, CVPRW 2022)."""
KEYPOINT_MARGIN = 1.2
"""How much larger than the labelled keypoints the box is that stands in for a missing one (Pose2Pose)."""
ROI_BORDER = 4
"""Pixels decoded around what a crop shows, so that neither the interpolation nor the chroma of a JPEG reaches the
edge.
"""


def keypoint_boxes(keypoints: np.ndarray, margin: float = KEYPOINT_MARGIN) -> np.ndarray:
    """Boxes around labelled keypoints.

    Args:
        keypoints: (N, K, 3) pixels and confidence; those with confidence 0 do not count.

    Returns:
        (N, 4) float64 x, y, width, height; NaN where fewer than two places are labelled.
    """
    known = keypoints[..., 2:] > 0
    low = np.where(known, keypoints[..., :2], np.inf).min(1, initial=np.inf)
    high = np.where(known, keypoints[..., :2], -np.inf).max(1, initial=-np.inf)
    none = ~known.any((1, 2))
    low[none], high[none] = 0, 0
    middle, extent = (low + high) / 2, (high - low) * margin
    boxes = np.concatenate([middle - extent / 2, extent], -1)
    boxes[none | ~(extent > 0).all(-1)] = np.nan
    return boxes


def person_boxes(boxes: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """(N, 4) the annotated boxes, and those of the keypoints where there is none."""
    missing = ~np.isfinite(boxes).all(-1)
    if not missing.any():
        return boxes
    out = boxes.copy()
    out[missing] = keypoint_boxes(keypoints[missing])
    return out


def crop_boxes(
    boxes: np.ndarray, sizes: np.ndarray, crop_size: tuple[int, int], margin: float = BOX_MARGIN
) -> np.ndarray:
    """What an unaugmented crop shows of the picture, by Pose2Pose's rule: cut to the picture, grown to the crop's
    shape, and by the margin.

    Args:
        boxes: (N, 4) x, y, width, height in pixels.
        sizes: (N, 2) width and height of each picture; 0 where unknown, which cuts nothing there.
        crop_size: width and height of the crop.

    Returns:
        (N, 4) float64 x, y, width, height; NaN for a box that has no extent within the picture.
    """
    boxes = np.asarray(boxes, np.float64)
    end = np.where(sizes > 0, np.asarray(sizes, np.float64) - 1, np.inf)
    with np.errstate(invalid="ignore"):
        low = np.where(sizes > 0, np.maximum(boxes[:, :2], 0), boxes[:, :2])
        high = np.minimum(end, low + np.maximum(0, boxes[:, 2:] - 1))
        usable = (boxes[:, 2:] > 0).all(-1) & (high > low).all(-1) & np.isfinite(boxes).all(-1)
        middle, extent = (low + high) / 2, high - low
        aspect = crop_size[0] / crop_size[1]
        width = np.maximum(extent[:, 0], aspect * extent[:, 1])
    shape = np.stack([width, width / aspect], -1) * margin
    out = np.concatenate([middle - shape / 2, shape], -1)
    out[~usable] = np.nan
    return out


def crop_matrices(
    boxes: np.ndarray,
    widths: np.ndarray,
    crop_size: tuple[int, int],
    *,
    scale: np.ndarray,
    rotation: np.ndarray,
    flip: np.ndarray,
) -> np.ndarray:
    """Affine maps from pixels of the full picture to pixels of the crop.

    The picture is mirrored first (x becomes width - 1 - x, the box's centre likewise), then turned, scaled and moved:
    the order of Pose2Pose.

    Args:
        boxes: (N, 4) from :func:`crop_boxes`.
        widths: (N,) of the pictures; used where they are mirrored.
        crop_size: width and height of the crop.
        scale: (N,) how much more of the picture the crop shows.
        rotation: (N,) radians by which the picture's content turns, from x towards y.
        flip: (N,) bool.

    Returns:
        (N, 2, 3) float64; ``matrix[:, :, :2] = zoom * R(rotation) * diag(-1 if flip else 1, 1)``. Pixel centres are
        whole numbers.
    """
    zoom = crop_size[0] / (boxes[:, 2] * scale)
    cos, sin = zoom * np.cos(rotation), zoom * np.sin(rotation)
    sign = np.where(flip, -1.0, 1.0)
    offset = np.where(flip, np.asarray(widths, np.float64) - 1, 0.0)
    middle_x = offset + sign * (boxes[:, 0] + boxes[:, 2] / 2)
    middle_y = boxes[:, 1] + boxes[:, 3] / 2
    out = np.empty((len(boxes), 2, 3))
    out[:, 0, 0], out[:, 0, 1] = cos * sign, -sin
    out[:, 1, 0], out[:, 1, 1] = sin * sign, cos
    out[:, 0, 2] = cos * (offset - middle_x) + sin * middle_y + crop_size[0] / 2
    out[:, 1, 2] = sin * (offset - middle_x) - cos * middle_y + crop_size[1] / 2
    return out


def inverse_matrices(matrices: np.ndarray) -> np.ndarray:
    """(N, 2, 3) float64: from pixels of the crop back to pixels of the picture."""
    linear = np.linalg.inv(matrices[:, :, :2])
    return np.concatenate([linear, -linear @ matrices[:, :, 2:]], -1)


def corner_based(matrices: np.ndarray) -> np.ndarray:
    """The same maps between coordinates that have the *corner* of the first pixel at (0, 0), as DALI's `warp_affine`
    takes them: T(.5) M T(-.5).
    """
    out = matrices.copy()
    out[:, :, 2] += 0.5 - 0.5 * matrices[:, :, :2].sum(-1)
    return out


def regions(
    inverse: np.ndarray, sizes: np.ndarray, crop_size: tuple[int, int], border: int = ROI_BORDER
) -> tuple[np.ndarray, np.ndarray]:
    """The part of each picture that its crop is interpolated from.

    Args:
        inverse: (N, 2, 3) from crop to picture.
        sizes: (N, 2) width and height of the pictures.
        crop_size: width and height of the crop.

    Returns:
        (N, 2) int32 first column and row, and (N, 2) int32 width and height: at least one pixel, within the picture.
    """
    w, h = crop_size
    corners = np.array([(0, 0, 1), (w - 1, 0, 1), (0, h - 1, 1), (w - 1, h - 1, 1)], np.float64)
    places = np.einsum("nij,cj->nci", inverse, corners)
    sizes = np.asarray(sizes, np.int64)
    low = np.clip(np.floor(places.min(1)) - border, 0, sizes - 1)
    high = np.clip(np.ceil(places.max(1)) + border + 1, low + 1, sizes)
    return low.astype(np.int32), (high - low).astype(np.int32)
