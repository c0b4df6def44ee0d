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
    joints_3d: np.ndarray | None = None
    """(N, K, 3) float32: metres, axes of the image's camera (x right, y down, z forward), NaN where unknown. Seen from the camera centre
    where `focal` is finite; elsewhere only differences between joints of one person mean anything."""
    focal: np.ndarray | None = None
    """(N, 2) float64: pixels of the image, NaN where unknown."""
    center: np.ndarray | None = None
    """(N, 2) float64: principal point, pixels, NaN where unknown."""
    body_model: str | None = None
    """What `pose`, `betas` and `transl` are parameters of: "smpl", "smplx", "free"; None where the file has none."""
    pose: np.ndarray | None = None
    """(N, J * 3) float32: rotation vectors, radians, the root's in the camera frame; NaN where unknown."""
    betas: np.ndarray | None = None
    """(N, S) float32, NaN where unknown."""
    transl: np.ndarray | None = None
    """(N, 3) float32: metres, camera frame; NaN where unknown."""
    gender: np.ndarray | None = None
    """(N,) object: "neutral", "male" or "female": the file of the body model that `betas` belong to; None where unknown."""

    def __len__(self) -> int:
        return len(self.annotation_id)

    def rows(self, index: np.ndarray | slice) -> People:
        """The people of `index`: indices, a mask or a slice."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        chosen: dict[str, Any] = {k: v[index] if isinstance(v, np.ndarray) else v for k, v in columns.items()}
        return People(**chosen)

    def __repr__(self) -> str:
        usable = sum(r is None for r in self.reason)
        optional = ("joints_3d", "focal", "pose", "betas", "transl", "gender")
        held = "".join(f", {name}" for name in optional if getattr(self, name) is not None)
        return (
            f"People(dataset={self.dataset!r}, people={len(self)}, usable={usable}, "
            f"{self.landmark_set} {self.keypoints.shape}{held})"
        )
