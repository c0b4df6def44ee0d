"""SPIN's files: the data set npz with pose and shape, and the static fits that lie beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from .._errors import PgtfastError
from ..files.unpickle import load_npy
from ._npz import framed, frames, load_columns, note_others, numbers, save
from .bodies import Bodies, objects
from .notes import Notes

HOLDS = frozenset(("image_path", "bbox", "gender", "pose", "betas", "keypoints"))
"""Columns of `Bodies` that the data set npz keeps; its keypoints are SPIN's 24 or OpenPose's 25."""
HOLDS_FITS = frozenset(("pose", "betas"))
"""Columns that the fits keep: whose they are is told by their row alone."""

_READ = ("imgname", "center", "scale", "annot_id", "gender", "pose", "shape", "has_smpl", "part", "openpose")


def read_spin_bodies(path: str | Path, *, dataset: str, body_model: str | None, notes: Notes) -> Bodies:
    """Read a data set npz: one row a person, without a body where `has_smpl` is 0 or the file has no poses.

    Raises:
        PgtfastError: a key is missing or not of its shape.
    """
    path = Path(path)
    held = load_columns(path, ("imgname", "center", "scale"))
    note_others(held, _READ, notes)
    bodies = framed(path, held, dataset=dataset, body_model=smpl_only(path, body_model), notes=notes)
    count = len(bodies)
    valid = np.zeros(count, bool)
    if "pose" in held and "shape" in held:
        valid[:] = True
        if "has_smpl" in held:
            valid = numbers(path, held, "has_smpl", count, ()) > 0
        pose, betas = _bodies(path, held, count, valid)
        bodies = replace(bodies, pose=pose, betas=betas)
    for row in np.flatnonzero(~valid):
        bodies.reason[row] = "no-body: the file has no pose for this row"
    for key, name, joints in (("part", "spin24", 24), ("openpose", "openpose25", 25)):
        if key in held and bodies.keypoints is None:
            points = numbers(path, held, key, count, (joints, 3))
            bodies = replace(bodies, keypoints=np.where(points[..., 2:] > 0, points, 0), landmark_set=name)
        elif key in held:
            notes.count(f"left aside: key '{key}' of {{n}} rows", count)
    return bodies


def smpl_only(path: Path, body_model: str | None) -> str:
    """The body model of a layout that holds SMPL's 24 joints.

    Raises:
        PgtfastError: another is asked for.
    """
    if body_model not in (None, "smpl", "free"):
        raise PgtfastError(
            f"{path}: this layout holds SMPL parameters, not {body_model!r} ones; they are not exchangeable"
        )
    return body_model or "smpl"


def is_fits(path: Path) -> bool:
    """Whether a file holds static fits alone."""
    if path.suffix == ".npy":
        return True
    held = load_columns(path, ())
    return "imgname" not in held and "pose" in held and "betas" in held


def read_fits(path: str | Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read static fits: .npy (N, 82), or .npz of pose, betas and valid_fit.

    Returns:
        Poses (N, 72), shapes (N, 10), and (N,) whether the fit is one.

    Raises:
        PgtfastError: the file is of another layout.
    """
    path = Path(path)
    if path.suffix == ".npz":
        held: Mapping[str, Any] = load_columns(path, ("pose", "betas"))
        count = len(np.atleast_1d(held["pose"]))
        valid = numbers(path, held, "valid_fit", count, ()) > 0 if "valid_fit" in held else np.ones(count, bool)
        pose, betas = (_finite(path, held, key, count, size, valid) for key, size in (("pose", 72), ("betas", 10)))
        return pose, betas, valid
    try:
        values = load_npy(path)
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be read ({error.strerror})") from error
    if not isinstance(values, np.ndarray) or values.ndim != 2:
        raise PgtfastError(f"{path}: wanted fits (N, 82), got {np.shape(values)}")
    both = numbers(path, {"fits": values}, "fits", len(values), (82,))
    return both[:, :72], both[:, 72:], np.ones(len(both), bool)


def with_fits(people: Bodies, fits: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Bodies:
    """People of a data set npz with the fits of the same rows."""
    pose, betas, valid = fits
    reason = objects([None if ok else "no-body: valid_fit is 0" for ok in valid])
    return replace(people, pose=pose, betas=betas, reason=reason)


def write_spin(file: IO[bytes], bodies: Bodies, notes: Notes) -> int:
    """Write a data set npz of people with name and box; those without a body have `has_smpl` 0."""
    valid = bodies.with_body()
    columns: dict[str, np.ndarray] = frames(bodies, notes) | {
        "pose": np.where(valid[:, None], bodies.pose, 0),
        "shape": np.where(valid[:, None], bodies.betas[:, :10], 0),
        "has_smpl": valid.astype(np.uint8),
        "gender": np.array([g[0] for g in bodies.gender], dtype=np.str_),
    }
    key = {"spin24": "part", "openpose25": "openpose"}.get(bodies.landmark_set or "")
    if key and bodies.keypoints is not None:
        columns[key] = bodies.keypoints
    elif bodies.keypoints is not None:
        pointed = int(bodies.known()["keypoints"].sum())
        notes.count(f"not held: keypoints of {{n}} people in the order of {bodies.landmark_set}", pointed)
    save(file, columns)
    return len(bodies)


def write_fits(file: IO[bytes], path: Path, pose: np.ndarray, betas: np.ndarray, valid: np.ndarray) -> None:
    """Write static fits (N, 82), row by row those of a data set npz.

    Raises:
        PgtfastError: a row has no fit, which the file cannot say.
    """
    if not valid.all():
        raise PgtfastError(
            f"{path}: {int((~valid).sum())} of {len(valid)} rows have no body (the first is row {int((~valid).argmax())}), which an .npy of fits "
            "cannot say; write an .npz, whose has_smpl does"
        )
    np.save(file, np.concatenate([pose, betas], 1))


def _bodies(path: Path, held: Mapping[str, Any], count: int, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _finite(path, held, "pose", count, 72, valid), _finite(path, held, "shape", count, 10, valid)


def _finite(path: Path, held: Mapping[str, Any], key: str, count: int, size: int, valid: np.ndarray) -> np.ndarray:
    """A column (count, size) whose rows count where valid; NaN elsewhere."""
    try:
        value = np.asarray(held[key]).astype(np.float64)
    except (TypeError, ValueError):
        value = np.zeros(())
    if value.shape != (count, size):
        raise PgtfastError(f"{path}: key '{key}': wanted numbers of shape ({count}, {size}), got {np.shape(held[key])}")
    kept = np.where(valid[:, None], value, 0)
    return np.where(valid[:, None], numbers(path, {key: kept}, key, count, (size,)), np.nan)
