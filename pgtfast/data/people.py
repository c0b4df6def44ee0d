"""Annotated people of a dataset, in columns."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True, eq=False)
class People:
    """N annotated people; row i of every column is the same person, keyed by (dataset, image_path, annotation_id).

    A person who cannot be used keeps a row: `reason` says why, and the unusable columns hold NaN, 0 or None.
    """

    dataset: str
    landmark_set: str
    """Name of the keypoints' order, e.g. "coco17" (see :mod:`pgtfast.skeletons`)."""
    image_path: np.ndarray
    """(N,) object: str relative to the image folder, or None where the file names no image."""
    image_size: np.ndarray
    """(N, 2) int64: width and height in pixels, 0 where unknown."""
    annotation_id: np.ndarray
    """(N,) int64."""
    person_id: np.ndarray
    """(N,) int64: place among the people of the image, in file order."""
    bbox: np.ndarray
    """(N, 4) float64: x, y, width, height in pixels, NaN where the file has none."""
    keypoints: np.ndarray
    """(N, K, 3) float64: x, y in pixels (centre of the first pixel at (0, 0)) and confidence in [0, 1]; all zero where not labelled."""
    reason: np.ndarray
    """(N,) object: None, or "code: detail" for a person who cannot be used."""

    def __len__(self) -> int:
        return len(self.annotation_id)

    def rows(self, index: np.ndarray | slice) -> People:
        """The people of `index`: indices, a mask or a slice."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        chosen: dict[str, Any] = {k: v[index] if isinstance(v, np.ndarray) else v for k, v in columns.items()}
        return People(**chosen)

    def __repr__(self) -> str:
        usable = sum(r is None for r in self.reason)
        return (
            f"People(dataset={self.dataset!r}, people={len(self)}, usable={usable}, keypoints={self.keypoints.shape})"
        )
