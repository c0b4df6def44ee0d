"""SAM 3D Body's annotations in Parquet: keypoints, boxes and cameras. Their MHR parameters are of another body and are
ignored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .._errors import PgtfastError
from ..people import People, Reason, Skip, empty_people
from ..people.names import person_ids
from ..people.table import objects
from ._npz import intrinsics, labelled, numbers
from .format import Context, Format
from .notes import Notes

_COLUMNS = ("image", "keypoints_2d", "cam_int", "bbox")
_OPTIONAL = ("dataset", "bbox_format", "person_id")
_ROWS = 2048


def _read(path: Path, context: Context) -> Iterator[People]:
    """Read the Parquet files of a folder, or one file, in blocks; nobody has a body.

    Keypoints are MHR's 70, named "mhr70". People are numbered in file order, for their `person_id` is unique within an
    image at most.

    Raises:
        PgtfastError: a file is damaged, or lacks a column.
    """
    notes = context.notes
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise PgtfastError(f"{path}: wanted a Parquet file, or a folder of them; found none")
    start = 0
    for file in files:
        for rows in _batches(file, notes):
            people = _people(file, rows, context.dataset, start)
            start += len(people)
            yield people
    notes.count("{n} people have no annotation id and are numbered in file order", start)


def _batches(file: Path, notes: Notes) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(file) as held:
            names = held.schema_arrow.names
            for name in _COLUMNS:
                if name not in names:
                    raise PgtfastError(
                        f"{file}: column '{name}' is missing; wanted SAM 3D Body's annotations, got "
                        f"{', '.join(names)[:200]}"
                    )
            kept = [name for name in (*_COLUMNS, *_OPTIONAL) if name in names]
            for name in names:
                if name not in kept:
                    notes.count(f"ignored: column '{name}' of {{n}} people", held.metadata.num_rows)
            for batch in held.iter_batches(batch_size=_ROWS, columns=kept):
                yield batch.to_pydict()
    except (pa.ArrowException, OSError) as error:
        raise PgtfastError(
            f"{file}: not a readable Parquet file ({str(error).splitlines()[0]}); copy or download it again"
        ) from error


def _people(file: Path, rows: dict[str, Any], dataset: str, start: int) -> People:
    count = len(rows["image"])
    for row, name in enumerate(rows["image"]):
        if not isinstance(name, str) or not name:
            raise PgtfastError(f"{file}: column 'image': row {start + row}: wanted a name, got {str(name)[:40]!r}")
    people = empty_people(dataset, np.arange(start, start + count))
    points = numbers(file, rows, "keypoints_2d", count, (-1, 3)) if count else np.zeros((0, 70, 3))
    focal, center = intrinsics(file, rows, "cam_int", count)
    box = numbers(file, rows, "bbox", count, (4,))
    for row, kind in enumerate(rows.get("bbox_format") or []):
        if kind not in ("xyxy", "xywh"):
            raise PgtfastError(
                f"{file}: column 'bbox_format': row {start + row}: wanted 'xyxy' or 'xywh', got {kind!r}"
            )
        if kind == "xyxy":
            box[row, 2:] -= box[row, :2]
    people.reason[:] = Skip(Reason.NO_BODY, "MHR parameters are of another body than SMPL and are ignored")
    people = replace(
        people,
        image_path=objects(rows["image"]),
        person_id=person_ids(rows["image"]),
        bbox=np.where((box[:, 2:] > 0).all(1, keepdims=True), box, np.nan),
        focal=focal,
        center=center,
        keyed=False,
    )
    return labelled(people, points, f"mhr{points.shape[1]}")


def sniff_columns(path: Path) -> list[str]:
    """Names of the columns of a Parquet file; none of other files.

    Raises:
        PgtfastError: the file is damaged.
    """
    if path.suffix != ".parquet" or not path.is_file():
        return []
    try:
        return pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise PgtfastError(
            f"{path}: not a readable Parquet file ({str(error).splitlines()[0]}); copy it again"
        ) from error


def _sniff(path: Path) -> bool:
    if path.is_dir():
        return next(path.glob("*.parquet"), None) is not None
    return not {"keypoints_3d", "cam_int"}.isdisjoint(sniff_columns(path))


SAM3D_BODY = Format(
    name="sam3dbody",
    about="SAM 3D Body's Parquet (reading): keypoints and cameras; the MHR parameters are ignored",
    sniff=_sniff,
    read=_read,
)
