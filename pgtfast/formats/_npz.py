"""What the npz formats of people share: columns of one length, image names, boxes by centre and scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import PgtfastError
from ..files.json import LARGEST
from ..files.unpickle import load_npz
from ..people import People, empty_people
from ..people.names import gender_of as _gender
from ..people.names import person_ids
from ..people.table import objects
from .columns import known
from .format import Context
from .notes import Notes
from .recamera import BOX_UNIT, boxes_of, grown_boxes


def load_columns(path: Path, required: Sequence[str]) -> dict[str, Any]:
    """All arrays of a file; each of the required ones has one row for each image name.

    Raises:
        PgtfastError: the file cannot be read, a key is missing, or of another length.
    """
    try:
        held = load_npz(path)
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be read ({error.strerror})") from error
    for key in required:
        if key not in held:
            raise PgtfastError(f"{path}: key '{key}' is missing; the file has {', '.join(map(str, held))[:200]}")
    return held


def numbers(path: Path, held: Mapping[str, Any], key: str, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """A column as (count, *shape) float64; -1 in the shape stands for any size.

    Raises:
        PgtfastError: it is of another shape, or not of finite numbers.
    """
    try:
        value = np.asarray(held[key]).astype(np.float64)
    except (TypeError, ValueError):
        value = np.zeros(())
    fits = value.ndim == len(shape) + 1 and all(
        n in (-1, got) for n, got in zip((count, *shape), value.shape, strict=True)
    )
    if (
        not fits
        and value.ndim
        and len(value) == count
        and value.size == count * int(np.prod(shape))
        and -1 not in shape
    ):
        value, fits = value.reshape(count, *shape), True
    if not fits:
        wanted = ", ".join("?" if n < 0 else str(n) for n in (count, *shape))
        raise PgtfastError(f"{path}: key '{key}': wanted numbers of shape ({wanted}), got {np.shape(held[key])}")
    bad = ~(np.abs(value) < LARGEST).reshape(count, -1).all(1)
    if bad.any():
        raise PgtfastError(f"{path}: key '{key}': row {int(bad.argmax())} holds a number that is not finite")
    return value


def whole_numbers(path: Path, held: Mapping[str, Any], key: str, count: int) -> np.ndarray:
    """A column of ids as (count,) int64.

    Raises:
        PgtfastError: it is of another shape, or not of whole numbers of 64 bits.
    """
    value = np.asarray(held[key])
    if value.dtype == object:  # as pickles hold them
        value = np.array(value.tolist())
    fits = value.size == count and value.dtype.kind in "iuf"
    whole = (
        value.reshape(-1).astype(np.int64)
        if fits and np.isfinite(value).all() and (np.abs(value) < 2**63).all()
        else None
    )
    if whole is None or (whole != value.reshape(-1)).any():
        raise PgtfastError(f"{path}: key '{key}': wanted {count} whole numbers, got {str(value)[:60]}")
    return whole


def texts(path: Path, held: Mapping[str, Any], key: str) -> list[str]:
    """A column of text.

    Raises:
        PgtfastError: it is none, or one of them is empty.
    """
    column = held[key]
    if not isinstance(column, (np.ndarray, list)) or np.ndim(np.asarray(column, dtype=object)) != 1:
        raise PgtfastError(f"{path}: key '{key}': wanted one name a row, got {np.shape(column)}")
    out = []
    for row, value in enumerate(column):
        text = value.decode("latin1") if isinstance(value, bytes) else value
        if not isinstance(text, str) or not text:
            raise PgtfastError(f"{path}: key '{key}': row {row}: wanted text, got {str(value)[:40]!r}")
        out.append(str(text))
    return out


def framed(path: Path, held: Mapping[str, Any], context: Context) -> People:
    """Rows with image names, square boxes and ids of a file with imgname, center and scale (px / 200); bodies are
    filled in by the caller.

    The id is `annot_id` where the file has it, else the row.
    """
    names = texts(path, held, "imgname")
    count = len(names)
    center, scale = numbers(path, held, "center", count, (2,)), numbers(path, held, "scale", count, ())
    if count and scale.min() <= 0:
        raise PgtfastError(
            f"{path}: key 'scale': row {int(scale.argmin())}: wanted a size above 0, got {scale.min():g}"
        )
    ids = np.arange(count)
    if "annot_id" in held:
        ids = whole_numbers(path, held, "annot_id", count)
    else:
        context.notes.count("{n} rows have no annotation id and are numbered in file order", count)
    return replace(
        empty_people(context.dataset, ids),
        image_path=objects(names),
        person_id=person_ids(names),
        gender=genders_of(path, "gender", held.get("gender", ["neutral"] * count), count),
        bbox=boxes_of(center, scale * BOX_UNIT),
        keyed="annot_id" in held,
    )


def genders_of(path: Path, key: str, column: Any, count: int) -> np.ndarray:
    """(count,) genders of what files write.

    Raises:
        PgtfastError: there are not as many, or one is another word.
    """
    if not isinstance(column, (np.ndarray, list)) or len(column) != count:
        raise PgtfastError(f"{path}: key '{key}': wanted {count} rows, got {np.shape(column)}")
    words = [value.decode("latin1") if isinstance(value, bytes) else value for value in column]
    genders = [_gender(word) for word in words]
    if None in genders:
        row = genders.index(None)
        raise PgtfastError(
            f"{path}: key '{key}': row {row}: wanted male, female or neutral, got {str(words[row])[:40]!r}"
        )
    return objects(genders)


def labelled(people: People, points: np.ndarray, landmark_set: str) -> People:
    """The people with keypoints (N, K, 3); those of no confidence are zero."""
    return replace(people, keypoints=np.where(points[..., 2:] > 0, points, 0), landmark_set=landmark_set)


def keypoints_as(people: People, sets: Mapping[str, str], notes: Notes) -> dict[str, np.ndarray]:
    """The keypoints under the key that `sets` has for their order; `notes` gets those of another order."""
    if people.landmark_set in sets:
        return {sets[people.landmark_set]: people.keypoints}
    pointed = int(known(people)["keypoints"].sum())
    notes.count(f"not held: keypoints of {{n}} people in the order of {people.landmark_set}", pointed)
    return {}


def frames(people: People, notes: Notes) -> dict[str, np.ndarray]:
    """imgname, center, scale and annot_id of people."""
    center, side = grown_boxes(people.bbox, notes)
    return {
        "imgname": np.array(people.image_path.tolist(), dtype=np.str_),
        "center": center,
        "scale": side / BOX_UNIT,
        "annot_id": people.annotation_id,
    }


def note_others(held: Mapping[str, Any], read: Sequence[str], notes: Notes) -> None:
    """Say which keys of the file are not read."""
    for key, value in held.items():
        if key not in read:
            size = len(value) if isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim) else 1
            notes.count(f"ignored: key '{key}' of {{n}} rows", max(size, 1))


def intrinsics(path: Path, held: Mapping[str, Any], key: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Focal lengths (count, 2) and principal points (count, 2) of matrices [[fx, 0, cx], [0, fy, cy], [0, 0, 1]].

    Raises:
        PgtfastError: they are other matrices.
    """
    matrix = numbers(path, held, key, count, (3, 3))
    focal, center = matrix[:, (0, 1), (0, 1)], matrix[:, :2, 2]
    rest = np.abs(matrix[:, (0, 1, 2, 2), (1, 0, 0, 1)]).max(1, initial=0) + np.abs(matrix[:, 2, 2] - 1)
    bad = (rest > 1e-6) | (focal <= 0).any(1)
    if bad.any():
        row = int(bad.argmax())
        raise PgtfastError(
            f"{path}: key '{key}': row {row}: wanted [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], got {matrix[row].tolist()}"
        )
    return focal, center


def matrices(focal: np.ndarray, center: np.ndarray) -> np.ndarray:
    """(N, 3, 3) intrinsics; undoes `intrinsics`."""
    out = np.tile(np.eye(3), (len(focal), 1, 1))
    out[:, (0, 1), (0, 1)], out[:, :2, 2] = focal, center
    return out


def has_keys(path: Path, *needed: str) -> bool:
    """Whether a file is an npz that has one of some keys; of "a+b" both."""
    names: list[str] = []
    if path.suffix != ".npz" or not path.is_file():
        return False
    load_npz(path, keys=lambda key: bool(names.append(key)))  # type: ignore[func-returns-value]
    return any(set(key.split("+")) <= set(names) for key in needed)


def save(path: Path, columns: Mapping[str, Any]) -> None:
    """Write arrays as a compressed npz; dictionaries and text become 0-d arrays, as numpy's own savez makes them."""
    with open(path, "wb") as file:
        np.savez_compressed(file, **columns)  # type: ignore[arg-type]
