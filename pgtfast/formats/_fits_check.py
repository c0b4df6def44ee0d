"""Whether static fits, which hold no names, are those of the rows that they lie beside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..people import People
from .notes import Notes

_LEAST = 8
"""Keypoints of a row, and rows, that it takes to compare."""
_CLEAR = 0.7
"""The residual of the own row must be less than this fraction of the next row's."""


def check_rows(
    people: People, joints_of: Callable[[People], tuple[np.ndarray, np.ndarray]], notes: Notes
) -> str | None:
    """Whether bodies that were matched to people row by row are theirs, seen from the keypoints.

    Args:
        people: with bodies, boxes and keypoints.
        joints_of: gives joints (N, K, 2) from the front and the keypoints (N, K, 3) of the same names.
        notes: gets what was compared.

    Returns:
        What speaks against it, or None. The same bodies one row off must fit clearly worse, in every stretch of rows.
    """
    usable = people.has_body & np.isfinite(people.bbox).all(1)
    usable &= (people.keypoints[..., 2] > 0).sum(1) >= _LEAST
    rows = np.flatnonzero(usable)
    if len(rows) < _LEAST:
        notes.count(
            "rows: fits hold no names, and {n} rows have keypoints to compare them with: they are taken in their "
            "order, unchecked",
            max(len(rows), 1),
        )
        return None
    flat, points = joints_of(people.rows(rows))
    side = people.bbox[rows, 2:].max(1)
    own, shifted = (_residual(np.roll(flat, by, 0), points) / side for by in (0, 1))
    for stretch in np.array_split(np.arange(len(rows)), max(1, min(20, len(rows) // 25))):
        if np.median(own[stretch]) > _CLEAR * np.median(shifted[stretch]):
            return (
                f"between rows {rows[stretch[0]]} and {rows[stretch[-1]]} the bodies miss the keypoints of their "
                f"rows by {100 * np.median(own[stretch]):.1f} % of the "
                f"box, those one row off by {100 * np.median(shifted[stretch]):.1f} %"
            )
    notes.count(
        f"rows: fits hold no names; {{n}} rows were checked by their keypoints: bodies miss those of their own row "
        f"by {100 * np.median(own):.1f} % of the box, "
        f"of the next by {100 * np.median(shifted):.1f} %",
        len(rows),
    )
    return None


def _residual(flat: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N,) pixels, root mean square, between keypoints (N, K, 3) and joints (N, K, 2) under the best scale and
    shift."""
    weight = (points[..., 2:] > 0).astype(float)
    total = weight.sum(1, keepdims=True)
    x = (flat - (flat * weight).sum(1, keepdims=True) / total) * weight
    y = (points[..., :2] - (points[..., :2] * weight).sum(1, keepdims=True) / total) * weight
    scale = np.maximum((x * y).sum((1, 2)), 0) / np.maximum((x * x).sum((1, 2)), 1e-12)
    return np.sqrt(((y - scale[:, None, None] * x) ** 2).sum((1, 2)) / total[:, 0, 0])
