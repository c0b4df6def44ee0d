"""Body files -> frozen arrays: official SMPL, SMPL-H, SMPL-X, MANO (.pkl, .npz) and the free body."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from pgtfast.body._arrays import BodyArrays, BodyFileError, Regressor, Source, checked
from pgtfast.body._names import KIND_OF_JOINTS, joint_names_of
from pgtfast.files.unpickle import SparseMatrix, load_npz, load_pickle

_KEYS = (
    "v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f", "bs_type", "bs_style",
    "joint_names", "kind", "gender", "hands_meanl", "hands_meanr", "hands_mean",
)  # fmt: skip
_NEEDED = ("v_template", "shapedirs", "J_regressor", "weights", "kintree_table", "f")
_MOST_NUMBERS = 2**26
_LANDMARKS = "landmarks/"
_ROOT_MARKERS = (-1, 2**32 - 1, 2**64 - 1)
_HANDS = {"hands_meanl": "left_hand_pose", "hands_meanr": "right_hand_pose", "hands_mean": "hand_pose"}
_GENDERS = ("neutral", "male", "female")


def read_body(
    path: Path, *, num_betas: int | None = None, num_expression: int | None = None, gender: str | None = None
) -> BodyArrays:
    """Reads and checks a body file.

    Args:
        path: .pkl or .npz.
        num_betas: shape coefficients to keep; None keeps ten, or all where there are fewer.
        num_expression: likewise for SMPL-X's expression coefficients.
        gender: "neutral", "male" or "female"; None takes it from the file name.
    """
    data = _read(path)
    missing = [key for key in _NEEDED if key not in data]
    if missing:
        raise BodyFileError(
            f"{path}: not a body file: it lacks {', '.join(missing)} (it has {', '.join(data) or 'nothing'})"
        )
    for key, wanted in (("bs_type", "lrotmin"), ("bs_style", "lbs")):
        if key in data and str(data[key]) != wanted:
            raise BodyFileError(f"{path}: {key}: wanted {wanted!r} (linear blend skinning), got {str(data[key])!r}")
    parents = _parents(path, data["kintree_table"])
    kind = str(data["kind"]) if "kind" in data else _kind(data, len(parents))
    template = _floats(path, data, "v_template")
    shapedirs = _floats(path, data, "shapedirs")
    if shapedirs.ndim != 3:
        raise BodyFileError(f"{path}: shapedirs: wanted (V, 3, S), got {shapedirs.shape}")
    betas, expression = _shape_columns(path, kind, shapedirs.shape[2], num_betas, num_expression)
    names = joint_names_of(kind, len(parents))
    if "joint_names" in data:
        names = tuple(str(name) for name in np.ravel(data["joint_names"]))
    return checked(
        BodyArrays(
            v_template=template,
            shapedirs=np.ascontiguousarray(np.concatenate([shapedirs[..., betas], shapedirs[..., expression]], -1)),
            posedirs=_floats(path, data, "posedirs") if "posedirs" in data else np.zeros((len(template), 3, 0)),
            joint_regressor=_floats(path, data, "J_regressor"),
            weights=_floats(path, data, "weights"),
            parents=parents,
            faces=_integers(path, data, "f"),
            joint_names=names,
            kind=kind,
            gender=_gender(path, data, gender, "neutral" if kind == "free" else "unknown"),
            num_betas=betas.stop - betas.start,
            num_expression=expression.stop - expression.start,
            source=Source(str(path), hashlib.sha256(path.read_bytes()).hexdigest()),
            regressors=_regressors(path, data),
            hands_mean={
                name: _floats(path, data, key)
                for key, name in _HANDS.items()
                if key in data and kind in KIND_OF_JOINTS.values()
            },
        )
    )


def _read(path: Path) -> dict[str, Any]:
    if path.suffix == ".npz":
        data = load_npz(path, lambda key: key in _KEYS or key.startswith(_LANDMARKS))
    elif path.suffix in (".pkl", ".pickle"):
        data = load_pickle(path)
    else:
        raise BodyFileError(f"{path}: a body file ends in .pkl or .npz")
    if not isinstance(data, dict):
        raise BodyFileError(f"{path}: wanted a dictionary of arrays, got a {type(data).__name__}")
    return {key: value for key, value in data.items() if isinstance(key, str)}


def _floats(path: Path, data: dict[str, Any], key: str) -> np.ndarray:
    value = data[key]
    if isinstance(value, SparseMatrix):
        if value.shape[0] * value.shape[1] > _MOST_NUMBERS:
            raise BodyFileError(f"{path}: {key}: a sparse matrix of {value.shape} belongs to no body")
        value = value.toarray()
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        got = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
        raise BodyFileError(f"{path}: {key}: wanted an array of numbers, got {got} ({error})") from error


def _integers(path: Path, data: dict[str, Any], key: str) -> np.ndarray:
    value = _floats(path, data, key)
    if not np.array_equal(value, np.floor(value)):
        raise BodyFileError(f"{path}: {key}: wanted whole numbers")
    return value.astype(np.int64)


def _parents(path: Path, table: Any) -> np.ndarray:
    try:
        rows = np.asarray(table).astype(object)
        first = [int(parent) for parent in rows[0]]
        order = [int(joint) for joint in rows[1]]
    except (TypeError, ValueError, IndexError) as error:
        raise BodyFileError(f"{path}: kintree_table: wanted (2, J) whole numbers, got {table!r:.60}") from error
    if order != list(range(len(first))):
        raise BodyFileError(f"{path}: kintree_table: wanted joints 0 to {len(first) - 1} in order, got {order}")
    plain = [-1 if parent in _ROOT_MARKERS else parent for parent in first]
    return np.array([parent if -1 <= parent < len(plain) else len(plain) for parent in plain], dtype=np.int32)


def _kind(data: dict[str, Any], joints: int) -> str:
    if any(key.startswith(_LANDMARKS) for key in data):
        return "free"
    return KIND_OF_JOINTS.get(joints, "other")


def _shape_columns(
    path: Path, kind: str, columns: int, num_betas: int | None, num_expression: int | None
) -> tuple[slice, slice]:
    """Which columns of shapedirs are betas and which expression (SMPL-X: 300 + 100, or 10 + 10 in the small files)."""
    start = columns
    if kind == "smplx":
        start = 300 if columns >= 400 else min(10, columns)
    betas = _count(path, "num_betas", num_betas, min(start, columns))
    expression = _count(path, "num_expression", num_expression, columns - start)
    return slice(0, betas), slice(start, start + expression)


def _count(path: Path, name: str, wanted: int | None, available: int) -> int:
    if wanted is None:
        return min(10, available)
    if not 0 <= wanted <= available:
        raise ValueError(f"{name}: {path} has {available} such coefficients, {wanted} were asked for")
    return wanted


def _gender(path: Path, data: dict[str, Any], wanted: str | None, default: str) -> str:
    if wanted is not None and wanted not in _GENDERS:
        raise ValueError(f"gender: wanted one of {', '.join(_GENDERS)}, got {wanted!r}")
    words = re.split(r"[^a-z]+", f"{path.parent.name if path.stem == 'model' else ''} {path.stem}".lower())
    found = str(data["gender"]) if "gender" in data else None
    for gender, marks in (("neutral", ("neutral",)), ("male", ("male", "m")), ("female", ("female", "f"))):
        if found is None and any(mark in words for mark in marks):
            found = gender
    if wanted and found in _GENDERS and wanted != found:
        raise ValueError(f"gender: {path} is a {found} body, {wanted!r} was asked for")
    return wanted or found or default


def _regressors(path: Path, data: dict[str, Any]) -> dict[str, Regressor]:
    """Landmark sets in the file: `landmarks/SET/{names, row, col, val}`."""
    made = {}
    for key in data:
        if not (key.startswith(_LANDMARKS) and key.endswith("/names")):
            continue
        stem = key[: -len("names")]
        lacking = [part for part in ("row", "col", "val") if stem + part not in data]
        if lacking:
            raise BodyFileError(f"{path}: {stem}: lacks {', '.join(lacking)}")
        names = tuple(str(one) for one in np.ravel(data[key]))
        row, col = _integers(path, data, stem + "row"), _integers(path, data, stem + "col")
        value = _floats(path, data, stem + "val")
        inside = row.shape == col.shape == value.shape and row.ndim == 1 and len(row) > 0
        if (
            not inside
            or row.min() < 0
            or row.max() >= len(names)
            or col.min() < 0
            or col.max() >= len(data["v_template"])
        ):
            raise BodyFileError(f"{path}: {stem}: row, col and val do not describe {len(names)} rows over the vertices")
        made[stem[len(_LANDMARKS) : -1]] = Regressor(names, row, col, value)
    return made
