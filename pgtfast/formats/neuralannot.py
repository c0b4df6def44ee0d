"""The JSON format of the NeuralAnnot and Three Recipes releases, in-the-wild variant."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from .._errors import PgtfastError
from ..files.atomic import replacing

_FIELDS = (
    ("smpl_param", "pose", 72),
    ("smpl_param", "shape", 10),
    ("smpl_param", "trans", 3),
    ("cam_param", "focal", 2),
    ("cam_param", "princpt", 2),
)


class NeuralAnnotFile(NamedTuple):
    """Bodies by annotation id.

    Convention:
        Metres, radians, camera frame. A point X of the posed body plus `trans` is seen at X[:2] / X[2] * focal + princpt, in pixels of the whole image.
    """

    annotation_id: np.ndarray
    """(N,) int64."""
    pose: np.ndarray
    """(N, 72) float64 rotation vectors, root first."""
    shape: np.ndarray
    """(N, 10)."""
    trans: np.ndarray
    """(N, 3)."""
    focal: np.ndarray
    """(N, 2) pixels."""
    princpt: np.ndarray
    """(N, 2) pixels."""

    def __repr__(self) -> str:
        return f"NeuralAnnotFile({', '.join(f'{k}={v.shape}' for k, v in self._asdict().items())})"


def write_neuralannot(path: str | Path, records: pa.Table) -> int:
    """Write the valid rows; the file appears whole or not at all.

    Args:
        path: JSON to write.
        records: rows of the store; rows that are not valid are left out, for the format has no place for them.

    Returns:
        Number of people written.

    Raises:
        PgtfastError: two valid rows have one annotation id, the format's only key; or the file cannot be written.
    """
    path = Path(path)
    rows = records.filter(records["valid"]).to_pylist()
    content: dict[str, Any] = {}
    for row in rows:
        key = str(row["annotation_id"])
        if key in content:
            raise PgtfastError(
                f"{path}: annotation id {key} is there twice and the format has no other key; export one dataset at a time"
            )
        content[key] = {
            "smpl_param": {
                "pose": _short(row["global_orient"] + row["body_pose"]),
                "shape": _short(row["betas"]),
                "trans": _short(row["transl"]),
            },
            "cam_param": {"focal": _short(row["focal"]), "princpt": _short(row["center"])},
        }
    try:
        with replacing(path) as partial, open(partial, "w", encoding="utf-8") as file:
            json.dump(content, file)
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be written ({error.strerror})") from error
    return len(content)


def read_neuralannot(path: str | Path) -> NeuralAnnotFile:
    """Read such a file; further keys in it (fit_err) are let be.

    Raises:
        PgtfastError: naming the file, the annotation id and the key that is missing or not numbers of the right count.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise PgtfastError(f"{path}: not JSON ({error}); truncated? Copy or download it again") from error
    if not isinstance(content, dict):
        raise PgtfastError(f"{path}: wanted an object keyed by annotation id, got {type(content).__name__}")
    ids = np.zeros(len(content), np.int64)
    columns = [np.zeros((len(content), size)) for *_, size in _FIELDS]
    for row, (key, value) in enumerate(content.items()):
        if not (key.isascii() and key.isdigit() and len(key) < 19):
            raise PgtfastError(
                f"{path}: key {key[:40]!r}: wanted an annotation id such as '183545' (the Human3.6M, MPI-INF-3DHP and 3DPW variants are other formats)"
            )
        ids[row] = int(key)
        for column, (group, name, size) in zip(columns, _FIELDS, strict=True):
            held = value.get(group) if isinstance(value, dict) else None
            numbers = held.get(name) if isinstance(held, dict) else None
            if not _are_numbers(numbers, size):
                raise PgtfastError(
                    f"{path}: id {key}: {group}.{name}: wanted {size} finite numbers, got {str(numbers)[:60]}"
                )
            column[row] = numbers
    if len(np.unique(ids)) != len(ids):
        raise PgtfastError(f"{path}: two keys stand for one annotation id")
    return NeuralAnnotFile(ids, *columns)


def _are_numbers(value: Any, size: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == size
        and all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in value)
    )


def _short(values: list[float]) -> list[float]:
    """float32 values with the nine digits that hold them exactly."""
    return [float(f"{v:.9g}") for v in values]
