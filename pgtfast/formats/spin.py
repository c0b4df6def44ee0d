"""SPIN's files: the data set npz with pose and shape, and the static fits that lie beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..files.unpickle import load_npy
from ..people import People, Reason, Skip, layout_of
from ..people.table import objects
from ._fits_check import check_rows
from ._npz import framed, frames, has_keys, keypoints_as, labelled, load_columns, note_others, numbers, save
from .columns import joined
from .format import BODY, SMPL, Context, Format
from .recamera import joint_points

_LAYOUT = layout_of("smpl")
_POSE, _BETAS = _LAYOUT.pose_size, _LAYOUT.betas
_READ = ("imgname", "center", "scale", "annot_id", "gender", "pose", "shape", "has_smpl", "part", "openpose")
_KEYPOINTS = {"spin24": "part", "openpose25": "openpose"}


def _read(path: Path, context: Context) -> Iterator[People]:
    """Read a data set npz: one row a person, without a body where `has_smpl` is 0 or the file has no poses.

    Raises:
        PgtfastError: a key is missing or not of its shape.
    """
    held, notes = load_columns(path, ("imgname", "center", "scale")), context.notes
    note_others(held, _READ, notes)
    model = context.model(path, "smpl")
    people = framed(path, held, context)
    count = len(people)
    valid = np.zeros(count, bool)
    if "pose" in held and "shape" in held:
        valid[:] = True
        if "has_smpl" in held:
            valid = numbers(path, held, "has_smpl", count, ()) > 0
        pose, betas = (_finite(path, held, key, size, valid) for key, size in (("pose", _POSE), ("shape", _BETAS)))
        people = people.with_pose(model, pose, betas=betas)
    people.reason[~valid] = Skip(Reason.NO_BODY, "the file has no pose for this row")
    for name, key in _KEYPOINTS.items():
        if key in held and not people.landmark_set:
            points = numbers(path, held, key, count, (len(skeletons.get(name)), 3))
            people = labelled(people, points, name)
        elif key in held:
            notes.count(f"ignored: key '{key}' of {{n}} rows", count)
    yield people


def _read_fits(path: Path, context: Context) -> Iterator[People]:
    """Read static fits as those of the rows of the data set npz of `Context.people`, checked by its keypoints.

    Raises:
        PgtfastError: there is no such npz, or the fits are not those of its rows.
    """
    index, body = context.people, context.body or context.measured
    if index is None or index.path.suffix != ".npz":
        raise PgtfastError(
            f"{path}: fits hold neither names nor boxes; name the data set npz that they lie beside with --people "
            f"DATASET.npz"
        )
    pose, betas, valid = _fits(path)
    if len(pose) != len(index):
        raise PgtfastError(
            f"{path}: holds {len(pose)} fits, {index.path} {len(index)} people: they go by row, so they are not of "
            f"the same set; nothing is written"
        )
    reason = objects([None if ok else Skip(Reason.NO_BODY, "valid_fit is 0") for ok in valid])
    model = context.model(path, "smpl")
    people = replace(index.people, reason=reason).with_pose(model, pose, betas=betas)
    against = None if body is None else check_rows(people, lambda chosen: _named_joints(chosen, body), context.notes)
    if against is not None:
        raise PgtfastError(
            f"{path}: its rows are not those of {index.path}: {against}; take the npz that the fits were made with"
        )
    yield people


def _named_joints(people: People, body: Any) -> tuple[np.ndarray, np.ndarray]:
    """Joints (N, K, 2) from the front and keypoints (N, K, 3) of limbs that both sets name."""
    mine, theirs = skeletons.get("smpl24").index, skeletons.get(people.landmark_set or "spin24").index
    limbs = [f"{side}_{part}" for side in "lr" for part in ("knee", "ankle", "shoulder", "elbow", "wrist", "hip")]
    shared = [name for name in limbs if name in mine and name in theirs]
    flat = joint_points(people, body).numpy()[..., :2]
    points = people.keypoints if people.landmark_set else np.zeros((len(people), len(theirs), 3))
    return flat[:, [mine[name] for name in shared]], points[:, [theirs[name] for name in shared]]


def is_fits(path: Path) -> bool:
    """Whether a file holds static fits alone."""
    return path.suffix == ".npy" or (has_keys(path, "pose+betas") and not has_keys(path, "imgname"))


def _fits(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses (N, 72), shapes (N, 10), and (N,) whether the fit is one, of .npy (N, 82) or .npz of pose, betas and
    valid_fit.

    Raises:
        PgtfastError: the file is of another layout.
    """
    if path.suffix == ".npz":
        held: Mapping[str, Any] = load_columns(path, ("pose", "betas"))
        count = len(np.atleast_1d(held["pose"]))
        valid = numbers(path, held, "valid_fit", count, ()) > 0 if "valid_fit" in held else np.ones(count, bool)
        pose, betas = (_finite(path, held, key, size, valid) for key, size in (("pose", _POSE), ("betas", _BETAS)))
        return pose, betas, valid
    try:
        values = load_npy(path)
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be read ({error.strerror})") from error
    if not isinstance(values, np.ndarray) or values.ndim != 2:
        raise PgtfastError(f"{path}: wanted fits (N, {_POSE + _BETAS}), got {np.shape(values)}")
    both = numbers(path, {"fits": values}, "fits", len(values), (_POSE + _BETAS,))
    return both[:, :_POSE], both[:, _POSE:], np.ones(len(both), bool)


def _finite(path: Path, held: Mapping[str, Any], key: str, size: int, valid: np.ndarray) -> np.ndarray:
    """A column (N, size) whose rows count where `valid` (N,); NaN elsewhere."""
    count = len(valid)
    try:
        value = np.asarray(held[key]).astype(np.float64)
    except (TypeError, ValueError):
        value = np.zeros(())
    if value.shape != (count, size):
        raise PgtfastError(f"{path}: key '{key}': wanted numbers of shape ({count}, {size}), got {np.shape(held[key])}")
    kept = np.where(valid[:, None], value, 0)
    return np.where(valid[:, None], numbers(path, {key: kept}, key, count, (size,)), np.nan)


def _write(path: Path, batches: Iterable[People], context: Context) -> int:
    """Write a data set npz of people with name and box; those without a body have `has_smpl` 0."""
    people = joined([batch for batch in batches if len(batch)])
    pose, betas, valid = _body(people)
    columns: dict[str, np.ndarray] = frames(people, context.notes) | {
        "pose": pose,
        "shape": betas,
        "has_smpl": valid.astype(np.uint8),
        "gender": np.array([(gender or "neutral")[0] for gender in people.gender], dtype=np.str_),
    }
    save(path, columns | keypoints_as(people, _KEYPOINTS, context.notes))
    return len(people)


def _body(people: People) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses, shapes, and (N,) who has a body; zero for all others."""
    valid = people.has_body
    if not valid.any():
        return np.zeros((len(people), _POSE)), np.zeros((len(people), _BETAS)), valid
    known = valid[:, None]
    return np.where(known, people.pose, 0), np.where(known, people.body["betas"][:, :_BETAS], 0), valid


def _write_fits(path: Path, batches: Iterable[People], context: Context) -> int:
    """Write static fits (N, 82) in the rows of the data set npz of `Context.people`.

    Raises:
        PgtfastError: there is none, or a row has no fit, which the file cannot say.
    """
    index = context.people
    if index is None or index.path.suffix != ".npz":
        raise PgtfastError(
            f"{path.name}: fits go by the rows of a data set npz; name it with --people DATASET.npz, or write an .npz"
        )
    people = joined([batch for batch in batches if len(batch)])
    row_of = {int(number): row for row, number in enumerate(index.people.annotation_id)}
    rows = np.array([row_of[int(number)] for number in people.annotation_id], np.int64)
    fits, valid = np.zeros((len(index), _POSE + _BETAS)), np.zeros(len(index), bool)
    pose, betas, valid[rows] = _body(people)
    fits[rows] = np.concatenate([pose, betas], 1)
    if not valid.all():
        raise PgtfastError(
            f"{path.name}: {int((~valid).sum())} of {len(valid)} rows have no body (the first is row "
            f"{int((~valid).argmax())}), which an .npy of "
            "fits cannot say; write an .npz, whose has_smpl does"
        )
    with open(path, "wb") as file:
        np.save(file, fits)
    return int(valid.sum())


_FRAMED = ("image_path", "bbox")
SPIN = Format(
    name="spin",
    about="data set npz with pose and shape (.npz)",
    suffixes=(".npz",),
    sniff=lambda path: has_keys(path, "imgname"),
    models=SMPL,
    holds=frozenset((*BODY, *_FRAMED, "gender", "keypoints")),
    needs=_FRAMED,
    read=_read,
    write=_write,
)
FITS = Format(
    name="spin",
    about="its static fits (.npy, or .npz of pose, betas, valid_fit) beside --people DATASET.npz",
    suffixes=(".npy",),
    sniff=is_fits,
    models=SMPL,
    holds=frozenset(BODY),
    needs=_FRAMED,
    matched=True,
    read=_read_fits,
    write=_write_fits,
)
