"""SAM 3D Body's annotations in Parquet: keypoints, boxes and cameras. Their MHR parameters are of another body and are left aside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .._errors import PgtfastError
from ._npz import intrinsics, numbers, put_names
from .bodies import Bodies, empty_bodies
from .notes import Notes

_COLUMNS = ("image", "keypoints_2d", "cam_int", "bbox")
_OPTIONAL = ("dataset", "bbox_format", "person_id")
_ROWS = 2048


def read_sam3d_body(path: str | Path, *, dataset: str, notes: Notes) -> Iterator[Bodies]:
    """Read the Parquet files of a folder, or one file, in blocks; nobody has a body.

    Keypoints are MHR's 70, named "mhr70". People are numbered in file order, for their `person_id` is unique within an image at most.

    Raises:
        PgtfastError: a file is damaged, or lacks a column.
    """
    path = Path(path)
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise PgtfastError(f"{path}: wanted a Parquet file, or a folder of them; found none")
    start = 0
    for file in files:
        for rows in _batches(file, notes):
            bodies = _bodies(file, rows, dataset, start)
            start += len(bodies)
            yield bodies
    notes.count("{n} people have no annotation id and are numbered in file order", start)


def _batches(file: Path, notes: Notes) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(file) as held:
            names = held.schema_arrow.names
            for name in _COLUMNS:
                if name not in names:
                    raise PgtfastError(
                        f"{file}: column '{name}' is missing; wanted SAM 3D Body's annotations, got {', '.join(names)[:200]}"
                    )
            wanted = [name for name in (*_COLUMNS, *_OPTIONAL) if name in names]
            for name in names:
                if name not in wanted:
                    notes.count(f"left aside: column '{name}' of {{n}} people", held.metadata.num_rows)
            for batch in held.iter_batches(batch_size=_ROWS, columns=wanted):
                yield batch.to_pydict()
    except (pa.ArrowException, OSError) as error:
        raise PgtfastError(
            f"{file}: not a readable Parquet file ({str(error).splitlines()[0]}); copy or download it again"
        ) from error


def _bodies(file: Path, rows: dict[str, Any], dataset: str, start: int) -> Bodies:
    count = len(rows["image"])
    for row, name in enumerate(rows["image"]):
        if not isinstance(name, str) or not name:
            raise PgtfastError(f"{file}: column 'image': row {start + row}: wanted a name, got {str(name)[:40]!r}")
    bodies = empty_bodies(dataset, None, np.arange(start, start + count))
    put_names(bodies, rows["image"])
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
    bodies.reason[:] = "no-body: MHR parameters are of another body than SMPL and are left aside"
    return replace(
        bodies,
        bbox=np.where((box[:, 2:] > 0).all(1, keepdims=True), box, np.nan),
        focal=focal,
        center=center,
        keypoints=np.where(points[..., 2:] > 0, points, 0),
        landmark_set=f"mhr{points.shape[1]}",
        keyed=False,
    )
