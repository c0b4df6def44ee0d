"""People and their bodies in columns, whatever file they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa

from .._errors import PgtfastError
from ..people import People, Skip
from ..people.arrow import from_arrow, to_arrow
from ..people.table import objects as objects

POSE_SIZES = {"smpl": 72, "free": 72, "smplh": 66, "smplx": 66}
"""Numbers of `Bodies.pose` by body model: root and body joints; SMPL's two hand joints are among its 24."""

PARTS = {
    "left_hand_pose": 45, "right_hand_pose": 45, "jaw_pose": 3, "leye_pose": 3, "reye_pose": 3, "expression": 10,
}  # fmt: skip
"""Further parameters of SMPL-X and how many numbers each has."""

OTHERS = (
    "reprojection_px", "reprojection_rel", "visible_keypoints", "prior_energy", "flip_disagreement_mm", "jitter_mm", "truncation",
    "limit_violation", "quality", "method", "weights_sha256", "pgtfast_version",
)  # fmt: skip
"""Columns of the record that no published format has."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bodies:
    """N people; row i of every column is the same person, keyed by (dataset, image_path, annotation_id).

    Convention:
        Metres, radians, camera frame. A posed body moved by `transl` is seen at ``X[:2] / X[2] * focal + center``, pixels of the whole image.
        The body turns about its rest pelvis, as `smplx` has it: the pelvis lies at rest pelvis + transl. Unknown numbers are NaN.
    """

    dataset: str
    body_model: str | None
    """"smpl", "smplx", "smplh", "free"; None where the file holds no such body."""
    annotation_id: np.ndarray
    """(N,) int64."""
    image_path: np.ndarray
    """(N,) object: str or None."""
    image_size: np.ndarray
    """(N, 2) int64 width and height, 0 where unknown."""
    person_id: np.ndarray
    """(N,) int64 place among the people of the image."""
    bbox: np.ndarray
    """(N, 4) x, y, width, height in pixels."""
    gender: np.ndarray
    """(N,) object: "neutral", "male", "female"."""
    pose: np.ndarray
    """(N, P) rotation vectors, root first; P of `POSE_SIZES`."""
    betas: np.ndarray
    """(N, S)."""
    transl: np.ndarray
    """(N, 3)."""
    focal: np.ndarray
    """(N, 2)."""
    center: np.ndarray
    """(N, 2)."""
    reason: np.ndarray
    """(N,) object: None, or "code: detail" for a person without a body."""
    latent: np.ndarray | None = None
    """(N, 32) of the pose prior `prior`."""
    prior: str | None = None
    keypoints: np.ndarray | None = None
    """(N, K, 3) pixels and confidence; zero where not labelled."""
    landmark_set: str | None = None
    parts: dict[str, np.ndarray] = field(default_factory=dict)
    """SMPL-X's hands, face and eyes, by the names of `PARTS`; rotation vectors, hands about their flat pose."""
    others: dict[str, np.ndarray] = field(default_factory=dict)
    """Columns of the record that no published format has: scores, method, hashes."""
    keyed: bool = True
    """Whether the ids are those of the data set's annotation file; else people are numbered in the order of the file."""

    def __len__(self) -> int:
        return len(self.annotation_id)

    def rows(self, index: np.ndarray | slice) -> Bodies:
        """The people of `index`: indices, a mask or a slice."""
        columns: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray):
                value = value[index]
            elif isinstance(value, dict):
                value = {name: column[index] for name, column in value.items()}
            columns[f.name] = value
        return Bodies(**columns)

    def names(self, index: np.ndarray) -> list[str]:
        """Names of people for messages."""
        return [
            f"annotation {self.annotation_id[row]}" + (f" of {self.image_path[row]}" if self.image_path[row] else "")
            for row in np.arange(len(self))[index][:8]
        ]

    def known(self) -> dict[str, np.ndarray]:
        """(N,) bool by column: whose value is known. Genders other than neutral are "gender"."""
        out: dict[str, np.ndarray] = {
            "image_path": np.array([path is not None for path in self.image_path], bool),
            "image_size": np.asarray((self.image_size > 0).all(1)),
            "gender": np.array([g is not None and g != "neutral" for g in self.gender], bool),
        }
        for name in ("bbox", "pose", "betas", "transl", "focal", "center"):
            out[name] = np.asarray(np.isfinite(getattr(self, name)).all(1))
        out["focal"] &= (self.focal > 0).all(1)
        if self.latent is not None:
            out["latent"] = np.asarray(np.isfinite(self.latent).all(1))
        if self.keypoints is not None:
            out["keypoints"] = np.asarray((self.keypoints[..., 2] > 0).any(1))
        for name, column in (self.parts | self.others).items():
            if column.dtype == object:
                out[name] = np.array([value is not None for value in column], bool)
            else:
                finite = np.isfinite(column)
                out[name] = np.asarray(finite.all(1) if finite.ndim > 1 else finite)
        return out

    def with_body(self) -> np.ndarray:
        """(N,) bool: who has a body."""
        if self.body_model is None:
            return np.zeros(len(self), bool)
        told = np.array([reason is None for reason in self.reason], bool)
        return np.asarray(told & np.isfinite(self.pose).all(1) & np.isfinite(self.betas).all(1))


def empty_bodies(dataset: str, body_model: str | None, ids: Sequence[int] | np.ndarray, betas: int = 10) -> Bodies:
    """Rows of which nothing but the id is known yet, to be filled in place or replaced."""
    count = len(ids)
    return Bodies(
        dataset=dataset,
        body_model=body_model,
        annotation_id=np.array(ids, np.int64),
        image_path=np.full(count, None, dtype=object),
        image_size=np.zeros((count, 2), np.int64),
        person_id=np.zeros(count, np.int64),
        bbox=np.full((count, 4), np.nan),
        gender=np.full(count, "neutral", dtype=object),
        pose=np.full((count, POSE_SIZES.get(body_model or "", 0)), np.nan),
        betas=np.full((count, betas), np.nan),
        transl=np.full((count, 3), np.nan),
        focal=np.full((count, 2), np.nan),
        center=np.full((count, 2), np.nan),
        reason=np.full(count, None, dtype=object),
    )


def joined(batches: Sequence[Bodies]) -> Bodies:
    """One table of several of one file; what some of them lack is unknown there.

    Raises:
        PgtfastError: they are of different body models, priors or landmark sets.
    """
    single = {name: _one_of(name, batches) for name in ("body_model", "prior", "landmark_set")}
    batches = [_completed(batch, batches, single) for batch in batches]
    columns: dict[str, Any] = {}
    for f in fields(Bodies):
        values = [getattr(batch, f.name) for batch in batches]
        if isinstance(values[0], np.ndarray):
            columns[f.name] = np.concatenate(values)
        elif isinstance(values[0], dict):
            shared = [name for name in values[0] if all(name in v for v in values)]
            columns[f.name] = {name: np.concatenate([v[name] for v in values]) for name in shared}
        else:
            columns[f.name] = values[0]
    return Bodies(**(columns | single | {"keyed": all(batch.keyed for batch in batches)}))


def _one_of(name: str, batches: Sequence[Bodies]) -> str | None:
    """The value of a field in the batches that have one."""
    found = dict.fromkeys(value for batch in batches if (value := getattr(batch, name)) is not None)
    if len(found) > 1:
        raise PgtfastError(f"{name}: {' and '.join(found)} cannot go in one file; convert them apart")
    return next(iter(found), None)


def _completed(bodies: Bodies, all_: Sequence[Bodies], single: dict[str, str | None]) -> Bodies:
    """The same people with the optional columns that others have."""
    count = len(bodies)
    columns: dict[str, Any] = {"betas": padded(bodies.betas, max(batch.betas.shape[1] for batch in all_))}
    if bodies.body_model is None and single["body_model"] is not None:
        columns["pose"] = np.full((count, POSE_SIZES[single["body_model"]]), np.nan)
    if (
        bodies.keypoints is None
        and (held := next((b.keypoints for b in all_ if b.keypoints is not None), None)) is not None
    ):
        columns["keypoints"] = np.zeros((count, *held.shape[1:]))
    if bodies.latent is None and (held := next((b.latent for b in all_ if b.latent is not None), None)) is not None:
        columns["latent"] = np.full((count, held.shape[1]), np.nan)
    return replace(bodies, **columns)


def padded(betas: np.ndarray, size: int = 10) -> np.ndarray:
    """(N, S) shapes with zeros up to at least `size` coefficients."""
    return np.pad(betas, ((0, 0), (0, max(0, size - betas.shape[1]))))


def to_table(bodies: Bodies, method: str) -> pa.Table:
    """Rows of the store; float64 becomes float32.

    Args:
        bodies: of SMPL's 24 joints, or of none.
        method: for those that do not bring one.

    Raises:
        PgtfastError: they are of another body model.
    """
    if bodies.body_model is not None and POSE_SIZES[bodies.body_model] != 72:
        raise PgtfastError(
            f"the store holds SMPL's 24 joints; these are {bodies.body_model!r} parameters, which are not exchangeable with SMPL's. "
            "Choose --to neuralannot, humandata, bedlam or smplify-x"
        )
    return to_arrow(to_people(bodies), method=method)


def from_table(table: pa.Table, where: str) -> Bodies:
    """Rows of the store as bodies.

    Raises:
        PgtfastError: the rows are of several data sets, body models or priors.
    """
    people = from_arrow(table, where)
    if people.body_model is not None and POSE_SIZES.get(people.body_model) != 72:
        raise PgtfastError(f"{where}: column body_model: wanted a body of SMPL's 24 joints, got {people.body_model!r}")
    return to_bodies(people)


def to_people(bodies: Bodies) -> People:
    """The same people as :class:`People`."""
    shared = {f.name: getattr(bodies, f.name) for f in fields(Bodies) if f.name in {g.name for g in fields(People)}}
    points = np.zeros((len(bodies), 0, 3)) if bodies.keypoints is None else bodies.keypoints
    shared |= {"keypoints": points, "landmark_set": bodies.landmark_set or "", "scores": bodies.others}
    shared["reason"] = objects([None if text is None else Skip.parse(text) for text in bodies.reason])
    people = People(**shared)
    if bodies.body_model is None:
        return people
    return people.with_pose(bodies.body_model, bodies.pose, betas=bodies.betas, transl=bodies.transl, **bodies.parts)


def to_bodies(people: People) -> Bodies:
    """The same people as :class:`Bodies`."""
    count = len(people)
    own = {f.name for f in fields(Bodies)}
    shared: dict[str, Any] = {f.name: getattr(people, f.name) for f in fields(People) if f.name in own}
    if not people.landmark_set and not people.keypoints.shape[1]:
        shared |= {"keypoints": None, "landmark_set": None}
    empty = empty_bodies(people.dataset, people.body_model, people.annotation_id)
    body = dict(people.body)
    pose = [body.pop(name, np.full((count, 3), np.nan)) for name in ("global_orient", "body_pose")]
    shared["pose"] = np.concatenate(pose, 1) if "body_pose" in people.body else empty.pose
    for name in ("betas", "transl"):
        shared[name] = body.pop(name, getattr(empty, name))
    others = {name: column for name, column in people.scores.items() if name in OTHERS}
    return Bodies(**shared, parts=body, others=others)
