"""People of several batches as one table, and which of their columns are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from .._errors import PgtfastError
from ..people import People
from ..people.layout import HANDS


def known(people: People) -> dict[str, np.ndarray]:
    """(N,) bool by column: whose value is known. Genders other than neutral are "gender"; "body" is orientation, pose
    and shape together."""
    out: dict[str, np.ndarray] = {
        "body": people.has_body,
        "image_path": np.array([path is not None for path in people.image_path], bool),
        "image_size": np.asarray((people.image_size > 0).all(1)),
        "gender": np.array([gender not in (None, "neutral") for gender in people.gender], bool),
        "keypoints": np.asarray((people.keypoints[..., 2] > 0).any(1)),
    }
    columns = {name: getattr(people, name) for name in ("bbox", "focal", "center", "joints_3d", "latent")}
    for name, column in {**columns, **people.body, **people.scores}.items():
        if column is None:
            continue
        if column.dtype == object:
            out[name] = np.array([value is not None for value in column], bool)
        else:
            out[name] = np.isfinite(column).all(tuple(range(1, column.ndim)))
    out["focal"] &= (people.focal > 0).all(1)
    out.setdefault("transl", np.zeros(len(people), bool))
    return out


def names(people: People, index: np.ndarray) -> list[str]:
    """Names of the first people of a mask or of indices, for messages."""
    return [
        f"annotation {people.annotation_id[row]}" + (f" of {people.image_path[row]}" if people.image_path[row] else "")
        for row in np.arange(len(people))[index][:8]
    ]


def padded(betas: np.ndarray, size: int) -> np.ndarray:
    """(N, S) shapes with zeros up to at least `size` coefficients."""
    return np.pad(betas, ((0, 0), (0, max(0, size - betas.shape[1]))))


def joined(batches: Sequence[People]) -> People:
    """One table of several of one file; what some of them lack is unknown there.

    Raises:
        PgtfastError: they are of different body models, priors or landmark sets, or their hands are measured from
        different poses.
    """
    single = {name: _one_of(name, batches) for name in ("body_model", "prior", "flat_hand_mean")}
    landmark_set = _one_of("landmark_set", [batch for batch in batches if batch.keypoints.shape[1]]) or ""
    points = max(batch.keypoints.shape[1] for batch in batches)
    columns: dict[str, Any] = {}
    for f in fields(People):
        values = [getattr(batch, f.name) for batch in batches]
        if f.name in ("body", "scores"):
            names = dict.fromkeys(name for value in values for name in value)
            columns[f.name] = {name: _stacked([value.get(name) for value in values], batches) for name in names}
        elif f.name == "keypoints":
            columns[f.name] = np.concatenate([v if v.shape[1] else np.zeros((len(v), points, 3)) for v in values])
        elif f.name == "keyed":
            columns[f.name] = all(values)
        elif any(isinstance(value, np.ndarray) for value in values):
            columns[f.name] = _stacked(values, batches)
        else:
            columns[f.name] = values[0]
    return replace(People(**columns), landmark_set=landmark_set, **single)


def _stacked(columns: Sequence[np.ndarray | None], batches: Sequence[People]) -> np.ndarray:
    """Columns one after the other, unknown where there is none; short rows are filled up with zeros."""
    like = next(column for column in columns if column is not None)
    unknown = None if like.dtype == object else np.nan
    kind = like.dtype if like.dtype.kind in "fO" else np.dtype(np.float64)
    if like.ndim == 2:
        width = max(column.shape[1] for column in columns if column is not None)
        columns = [None if column is None else padded(column, width) for column in columns]
        like = padded(like, width)
    parts = [
        np.full((len(batch), *like.shape[1:]), unknown, kind) if column is None else column
        for batch, column in zip(batches, columns, strict=True)
    ]
    return np.concatenate(parts)


def _one_of(name: str, batches: Sequence[People]) -> Any:
    """The value of a field in the batches that have one."""
    found = dict.fromkeys(value for batch in batches if (value := getattr(batch, name)) is not None)
    if len(found) > 1:
        raise PgtfastError(f"{name}: {' and '.join(map(str, found))} cannot go in one file; convert them apart")
    return next(iter(found), None)


def hands(people: People) -> list[str]:
    """Names of the hands' rotations that somebody has."""
    return [name for name in HANDS if name in people.body and np.isfinite(people.body[name]).any()]


def filled(people: People, name: str) -> np.ndarray:
    """(N, width) of a parameter, zero where it is unknown."""
    values = people.body.get(name)
    return np.zeros((len(people), people.layout.parameters[name])) if values is None else np.nan_to_num(values)
