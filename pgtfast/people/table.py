"""The one table of people, from the reader of a file to the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from .. import skeletons
from .layout import BodyLayout, layout_of


@dataclass(frozen=True, kw_only=True, eq=False)
class People:
    """N people; row i of every column is the same person, keyed by (dataset, image_path, annotation_id).

    A person who cannot be used keeps a row: `reason` says why. What is not known of a person is NaN, 0 or None, as each
    column says.

    Convention:
        Pixels of the whole image with the centre of the first pixel at (0, 0); metres and radians in the frame of the
        image's camera (x right,
        y down, z forward). A posed body moved by `transl` is seen at ``X[:2] / X[2] * focal + center``. The body turns
        about its rest pelvis, as
        in `smplx`: the pelvis lies at rest pelvis + transl.
    """

    dataset: str
    annotation_id: np.ndarray
    """(N,) int64."""
    image_path: np.ndarray
    """(N,) object: str relative to the image folder, None where the file names no image."""
    image_size: np.ndarray
    """(N, 2) int64: width and height, 0 where unknown."""
    person_id: np.ndarray
    """(N,) int64: index among the people of the image, in file order."""
    bbox: np.ndarray
    """(N, 4) float64: x, y, width, height; NaN where the file has none."""
    focal: np.ndarray
    """(N, 2) float64: focal lengths, NaN where unknown."""
    center: np.ndarray
    """(N, 2) float64: principal point, NaN where unknown."""
    gender: np.ndarray
    """(N,) object: "neutral", "male" or "female": the file of the body model that `betas` belong to; None where
    unknown."""
    reason: np.ndarray
    """(N,) object: None, or the :class:`Skip` of a person who cannot be used."""
    landmark_set: str
    """Name of the keypoints' and 3D joints' order, e.g. "coco17" (see :mod:`pgtfast.skeletons`); "" where there are
    none."""
    keypoints: np.ndarray
    """(N, K, 3) float64: x, y and confidence in [0, 1]; all zero where not labelled. K is 0 where there are none."""
    joints_3d: np.ndarray | None = None
    """(N, K, 3) float32, NaN where unknown. Seen from the camera where `focal` is known; elsewhere only differences
    between joints of one person
    mean anything."""
    body_model: str | None = None
    """Kind of the model that `body` holds parameters of ("smpl", "smplx", "free", ...); None where there are none."""
    body: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Parameters by the names of the model's :class:`BodyLayout`, each (N, width) float, NaN where unknown; those that
    nobody has are absent."""
    flat_hand_mean: bool | None = None
    """Whether the hands' rotations are measured from a flat hand (True, as in BEDLAM) or from the model's mean hand
    (False, as in NeuralAnnot's
    SMPL-X files); None where there are no hands, or nothing says so."""
    latent: np.ndarray | None = None
    """(N, 32) of the pose prior `prior`, NaN where unknown."""
    prior: str | None = None
    """Version of the prior."""
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What is reported of the bodies, by the names of the store's columns: (N,) each; NaN or None where unknown; those
    that nobody has are absent."""
    keyed: bool = True
    """Whether the ids are those of the data set's annotation file; else people are numbered in the order of the
    file."""

    def __len__(self) -> int:
        return len(self.annotation_id)

    @property
    def layout(self) -> BodyLayout:
        """Widths of `body`.

        Raises:
            PgtfastError: there is no body model, or an unknown one.
        """
        return layout_of(self.body_model or "none")

    @property
    def usable(self) -> np.ndarray:
        """(N,) bool: who has no reason against them."""
        return np.array([reason is None for reason in self.reason], bool)

    @property
    def has_body(self) -> np.ndarray:
        """(N,) bool: who is usable and has root, pose and shape."""
        found = self.usable
        for name in ("global_orient", "body_pose", "hand_pose", "betas"):
            if self.body_model is None or (name in self.layout.parameters and name not in self.body):
                return np.zeros(len(self), bool)
            if name in self.body:
                found &= np.isfinite(self.body[name]).all(1)
        return found

    @property
    def pose(self) -> np.ndarray:
        """(N, 3 J) rotation vectors of all joints in kinematic order; parts that are absent or unknown are zero beside
        a known body, NaN elsewhere."""
        columns = []
        known = (
            np.isfinite(self.body["global_orient"]).all(1)
            if "global_orient" in self.body
            else np.zeros(len(self), bool)
        )
        for name, size in self.layout.rotations.items():
            values = self.body.get(name, np.full((len(self), size), np.nan))
            if name not in ("global_orient", "body_pose", "hand_pose"):
                values = np.where(known[:, None] & ~np.isfinite(values).all(1, keepdims=True), 0, values)
            columns.append(values)
        return np.concatenate(columns, 1)

    def rows(self, index: np.ndarray | slice) -> People:
        """The people of `index`: indices, a mask or a slice."""
        chosen: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray):
                value = value[index]
            elif isinstance(value, Mapping):
                value = {name: column[index] for name, column in value.items()}
            chosen[f.name] = value
        return People(**chosen)

    def with_body(self, body_model: str, **parameters: np.ndarray) -> People:
        """The people with these parameters in place of any others.

        Args:
            body_model: kind of the model.
            parameters: (N, width) by the names of its layout.
        """
        unknown = set(parameters) - set(layout_of(body_model).parameters)
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: not a parameter of {body_model!r}")
        return replace(self, body_model=body_model, body=parameters)

    def with_pose(self, body_model: str, pose: np.ndarray, **parameters: np.ndarray) -> People:
        """As :meth:`with_body`, with the root and body rotations in one array (N, 3 n): what is left of the pose
        (hands, face) goes by name."""
        root = 3
        return self.with_body(body_model, global_orient=pose[:, :root], body_pose=pose[:, root:], **parameters)

    def __repr__(self) -> str:
        parts = [f"dataset={self.dataset!r}", f"people={len(self)}", f"usable={int(self.usable.sum())}"]
        if self.landmark_set:
            parts.append(f"{self.landmark_set} {self.keypoints.shape}")
        if self.joints_3d is not None:
            parts.append("joints_3d")
        if self.body_model is not None:
            parts.append(f"{self.body_model} ({', '.join(self.body)})")
        return f"People({', '.join(parts)})"


def concatenated(parts: Sequence[People]) -> People:
    """One table of the people of several, of one data set and with the same columns.

    Args:
        parts: at least one; parts without people count only where there are no others.
    """
    columns: dict[str, Any] = {}
    parts = [part for part in parts if len(part)] or parts[:1]  # a file without people knows no column of bodies
    for f in fields(People):
        values = [getattr(part, f.name) for part in parts]
        if isinstance(values[0], np.ndarray):
            columns[f.name] = np.concatenate(values)
        elif isinstance(values[0], Mapping):
            columns[f.name] = {name: np.concatenate([v[name] for v in values]) for name in values[0]}
        else:
            columns[f.name] = values[0]
    return People(**columns)


def objects(values: Sequence[Any]) -> np.ndarray:
    """(N,) object array of N values of any kind."""
    out = np.full(len(values), None, dtype=object)
    out[:] = values
    return out


def spread(values: np.ndarray, index: np.ndarray, count: int) -> np.ndarray:
    """(count, ...) float64: the values in these rows, NaN in all others."""
    out = np.full((count, *values.shape[1:]), np.nan)
    out[index] = values
    return out


def empty_people(
    dataset: str, ids: Sequence[int] | np.ndarray, *, landmark_set: str = "", gender: str | None = None
) -> People:
    """Rows of which nothing but the id is known yet, to be filled in place or replaced.

    Args:
        dataset: first part of each person's key.
        ids: N annotation ids.
        landmark_set: name of the keypoints' order; "" leaves keypoints out.
        gender: of everybody.
    """
    count = len(ids)
    return People(
        dataset=dataset,
        annotation_id=np.array(ids, np.int64),
        image_path=np.full(count, None, object),
        image_size=np.zeros((count, 2), np.int64),
        person_id=np.zeros(count, np.int64),
        bbox=np.full((count, 4), np.nan),
        focal=np.full((count, 2), np.nan),
        center=np.full((count, 2), np.nan),
        gender=np.full(count, gender, object),
        reason=np.full(count, None, object),
        landmark_set=landmark_set,
        keypoints=np.zeros((count, len(skeletons.get(landmark_set)) if landmark_set else 0, 3)),
    )
