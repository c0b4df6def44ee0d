"""The record: one annotated person and the body found for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa


def _vector(size: int) -> pa.DataType:
    return pa.list_(pa.float32(), size)


_REQUIRED = {
    "dataset",
    "annotation_id",
    "person_id",
    "body_model",
    "gender",
    "valid",
    "method",
    "weights_sha256",
    "pgtfast_version",
}

SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=name not in _REQUIRED)
        for name, kind in (
            ("dataset", pa.string()),
            ("image_path", pa.string()),  # relative to the image folder
            ("image_width", pa.int32()),
            ("image_height", pa.int32()),
            ("annotation_id", pa.int64()),
            ("person_id", pa.int32()),  # place among the people of the image
            ("bbox_xywh", _vector(4)),
            ("body_model", pa.string()),  # kind of the body: "smpl", "free"
            ("gender", pa.string()),
            ("global_orient", _vector(3)),
            ("body_pose", _vector(69)),
            ("betas", _vector(10)),
            ("transl", _vector(3)),
            ("latent", _vector(32)),
            ("prior", pa.string()),
            ("focal", _vector(2)),
            ("center", _vector(2)),
            ("camera_model", pa.string()),  # "perspective"
            ("landmark_set", pa.string()),
            ("landmarks_2d", pa.list_(_vector(3))),  # what the body was fitted to: x, y in pixels and confidence
            ("reprojection_px", pa.float32()),
            ("reprojection_rel", pa.float32()),
            ("visible_keypoints", pa.int32()),
            ("prior_energy", pa.float32()),
            ("flip_disagreement_mm", pa.float32()),
            ("jitter_mm", pa.float32()),
            ("truncation", pa.float32()),
            ("limit_violation", pa.float32()),
            ("quality", pa.float32()),
            ("valid", pa.bool_()),
            ("reason", pa.string()),
            ("method", pa.string()),
            ("weights_sha256", pa.string()),
            ("pgtfast_version", pa.string()),
        )
    ]
)
"""Columns of the store. Metres, radians, pixels; translation and orientation in the camera frame. Rows with `valid` false hold null in every
column that a fit would fill, and say in `reason` why."""

KEY = ("dataset", "image_path", "annotation_id")
"""Columns that name a person."""


def record_table(columns: Mapping[str, Any]) -> pa.Table:
    """Make a table of the store's schema.

    Args:
        columns: name -> N values: a list, or an array (N,) or (N, size) whose rows that hold NaN become null, or (N, K, 3) whose rows of nothing but NaN do. Missing columns are null.

    Raises:
        ValueError: a column is unknown, of a wrong size, or lacks a value that every row must have.
    """
    unknown = sorted(set(columns) - set(SCHEMA.names))
    if unknown:
        raise ValueError(f"columns: {', '.join(unknown)} not in the record; it has {', '.join(SCHEMA.names)}")
    rows = {len(v) for v in columns.values()}
    if len(rows) != 1:
        raise ValueError(f"columns: wanted one length, got {sorted(rows)}")
    (count,) = rows
    arrays = []
    for field in SCHEMA:
        if field.name not in columns:
            array = pa.nulls(count, field.type)
        else:
            try:
                array = _column(columns[field.name], field.type)
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise ValueError(f"column {field.name}: wanted {field.type}: {error}") from error
        if not field.nullable and array.null_count:
            raise ValueError(f"column {field.name}: {array.null_count} of {count} rows have no value")
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    """Values as a column; an array's rows that hold NaN are null, lists of points where all is NaN."""
    if not isinstance(values, np.ndarray) or values.dtype == object:
        return pa.array(list(values), kind)
    if values.dtype.kind != "f":
        return pa.array(values.tolist() if values.ndim > 1 else values, kind)
    missing: Any = np.isnan(values)
    if values.ndim == 3 and pa.types.is_list(kind):
        missing = missing.all((1, 2))
        points = values[~missing].reshape(-1, values.shape[2])
        starts = values.shape[1] * np.append(0, np.cumsum(~missing))
        vectors = _vectors(points, kind.value_type, np.zeros(len(points), bool))
        return pa.ListArray.from_arrays(
            pa.array(starts, pa.int32(), mask=np.append(missing, False)), vectors, type=kind
        )
    if values.ndim == 2 and pa.types.is_fixed_size_list(kind):
        return _vectors(values, kind, missing.any(1))
    return pa.array(values, mask=missing).cast(kind)


def _vectors(values: np.ndarray, kind: pa.FixedSizeListType, missing: np.ndarray) -> pa.Array:
    """(N, size) as lists of one size, the missing (N,) ones null."""
    if values.shape[1] != kind.list_size:
        raise pa.ArrowInvalid(f"got {values.shape[1]} values a row")
    numbers = values.astype(np.float32)
    numbers[missing] = 0  # lies under the null
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), type=kind, mask=pa.array(missing))
