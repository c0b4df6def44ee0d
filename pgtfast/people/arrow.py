"""People as rows of the store, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa

from .._errors import PgtfastError
from .columns import COEFFICIENTS, NO_MODEL, OPTIONAL, PENDING, SCHEMA, SCORES, VERSION, VERSION_KEY
from .layout import LAYOUTS
from .reason import Reason, Skip
from .table import People, empty_people, objects


def conformed(table: pa.Table, columns: Sequence[str] | None = None) -> pa.Table:
    """A part of a store of any version as a table of :data:`SCHEMA`; optional columns that it lacks are null.

    Args:
        table: as read from its file.
        columns: their names; None takes all.

    Raises:
        ValueError: the table is of a newer version, lacks a column, or holds one of another type.
    """
    told = int((table.schema.metadata or {}).get(VERSION_KEY, b"1"))
    if told > VERSION:
        raise ValueError(f"schema version {told}, this pgtfast reads up to {VERSION}: update pgtfast")
    arrays, names = [], list(SCHEMA.names if columns is None else columns)
    for name in names:
        kind = SCHEMA.field(name).type
        if name in table.column_names:
            arrays.append(table[name].cast(kind))
        elif name in OPTIONAL:
            arrays.append(pa.chunked_array([pa.nulls(len(table), kind)]))
        else:
            raise ValueError(f"no column {name!r}")
    return pa.Table.from_arrays(arrays, schema=pa.schema([SCHEMA.field(name) for name in names], SCHEMA.metadata))


def present(schema: pa.Schema, columns: Sequence[str] | None = None) -> list[str]:
    """Of these columns (None: of all) those that a file has, to be read before :func:`conformed`."""
    return [n for n in (SCHEMA.names if columns is None else columns) if n in schema.names or n not in OPTIONAL]


# ---- people to rows


def to_arrow(people: People, *, method: str = "", pending: bool = False) -> pa.Table:
    """Rows of the store, one a person, without the optional columns that nobody has; float64 becomes float32.

    Args:
        people: N people.
        method: what found their bodies, where `people.scores` does not say it.
        pending: rows of :data:`PENDING` alone, of people whose bodies are yet to be found: having none is no reason
            against them.

    Raises:
        ValueError: a parameter is not as wide as the body model has it, or a score is not one of :data:`SCORES`.
    """
    unknown = sorted(set(people.scores) - set(SCORES))
    if unknown:
        raise ValueError(f"scores: {', '.join(unknown)}: not a column; the store has {', '.join(SCORES)}")
    count, valid, values = len(people), people.has_body, _person(people)
    for name, parameter in people.body.items():
        width = people.layout.parameters[name]
        if name in COEFFICIENTS:
            parameter = np.pad(parameter, ((0, 0), (0, max(0, width - parameter.shape[1]))))
        elif parameter.shape[1] != width:
            raise ValueError(f"{name}: wanted {width} numbers of {people.body_model!r}, got {parameter.shape[1]}")
        values[name] = np.where(valid[:, None], parameter, np.nan)
    if people.flat_hand_mean is not None:
        values["flat_hand_mean"] = _of(people.flat_hand_mean, valid)
    if people.latent is not None:
        values |= {"latent": people.latent, "prior": _of(people.prior, np.isfinite(people.latent).all(1))}
    if people.keypoints.shape[1]:
        visible = (people.keypoints[..., 2] > 0).sum(1)
        values["landmark_set"] = [people.landmark_set or None] * count
        values["landmarks_2d"] = np.where(visible[:, None, None] > 0, people.keypoints, np.nan)
        values["visible_keypoints"] = visible
    values |= people.scores
    for name, default in (("method", method), ("weights_sha256", ""), ("pgtfast_version", version("pgtfast"))):
        values[name] = [default if value is None else value for value in values.get(name, [None] * count)]
    arrays: dict[str, pa.Array] = {}
    if pending:
        values["reason"] = people.reason
    for field in map(SCHEMA.field, PENDING if pending else SCHEMA.names):
        array = _array(values[field.name], field.type) if field.name in values else pa.nulls(count, field.type)
        if not field.nullable and array.null_count:
            raise ValueError(f"column {field.name}: {array.null_count} of {count} rows have no value")
        if field.name not in OPTIONAL or array.null_count < count:
            arrays[field.name] = array
    schema = pa.schema([SCHEMA.field(name) for name in arrays], SCHEMA.metadata)
    return pa.Table.from_arrays(list(arrays.values()), schema=schema)


def _person(people: People) -> dict[str, Any]:
    """What every row has: the key, the image, the camera, and whether there is a body."""
    count, valid = len(people), people.has_body
    sized = (people.image_size > 0).all(1)
    no_body = Skip(Reason.NO_BODY, "the file holds no body for this person")
    return {
        "dataset": [people.dataset] * count,
        "image_path": people.image_path,
        "image_width": np.where(sized, people.image_size[:, 0], np.nan),
        "image_height": np.where(sized, people.image_size[:, 1], np.nan),
        "annotation_id": people.annotation_id,
        "person_id": people.person_id,
        "bbox_xywh": people.bbox,
        "body_model": [people.body_model or NO_MODEL] * count,
        "gender": [gender or "neutral" for gender in people.gender],
        "focal": people.focal,
        "center": people.center,
        "camera_model": _of("perspective", np.isfinite(people.focal).all(1)),
        "valid": valid,
        "reason": [None if ok else reason or no_body for ok, reason in zip(valid, people.reason, strict=True)],
    }


def _of(value: Any, rows: np.ndarray) -> list[Any]:
    """The value in these rows, None in others."""
    return [value if chosen else None for chosen in rows]


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    """Values as a column: an array's rows that hold NaN are null, lists of points where all is NaN."""
    if not isinstance(values, np.ndarray) or values.dtype == object:
        return pa.array(list(values), kind)
    if values.dtype.kind != "f":
        return pa.array(values, kind)
    missing: Any = np.isnan(values)
    if values.ndim == 3:
        missing = missing.all((1, 2))
        points = values[~missing].reshape(-1, values.shape[2])
        vectors = _vectors(points, kind.value_type, np.zeros(len(points), bool))
        return _lists(vectors, values.shape[1], missing, kind)
    if values.ndim == 2 and pa.types.is_fixed_size_list(kind):
        return _vectors(values, kind, missing.any(1))
    if values.ndim == 2:
        missing = missing.any(1)
        return _lists(pa.array(values[~missing].astype(np.float32).ravel()), values.shape[1], missing, kind)
    return pa.array(values, mask=missing).cast(kind)


def _vectors(values: np.ndarray, kind: pa.FixedSizeListType, missing: np.ndarray) -> pa.Array:
    """(N, size) as lists of one size, the missing (N,) ones null."""
    if values.shape[1] != kind.list_size:
        raise ValueError(f"wanted {kind.list_size} values a row, got {values.shape[1]}")
    numbers = values.astype(np.float32)
    numbers[missing] = 0  # lies under the null
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), type=kind, mask=pa.array(missing))


def _lists(items: pa.Array, size: int, missing: np.ndarray, kind: pa.ListType) -> pa.Array:
    """`size` items for each row that is not missing."""
    starts = size * np.append(0, np.cumsum(~missing))
    return pa.ListArray.from_arrays(pa.array(starts, pa.int32(), mask=np.append(missing, False)), items, type=kind)


# ---- rows to people


def from_arrow(table: pa.Table, where: str, columns: Sequence[str] = tuple(SCHEMA.names)) -> People:
    """Rows of the store as people.

    Args:
        table: of :data:`SCHEMA`, of any version; optional columns may be missing.
        where: the file, for messages.
        columns: those that are read, the ids among them; what others say counts as unknown. Without `valid` nobody has
            a body, which is no reason
            against them: they are people whose bodies are yet to be found, as :data:`PENDING` has them.

    Raises:
        PgtfastError: the rows are of several datasets, body models, landmark sets or priors, or hold parameters of
        another width.
    """
    try:
        table = conformed(table, columns)
    except (pa.ArrowException, ValueError) as error:
        raise PgtfastError(f"{where}: not rows of a store ({error})") from error
    names = [name for name in columns if table[name].null_count < len(table)]
    single = {name: _single(table, name, where) for name in _SINGLE if name in names}
    known: dict[str, Any] = {_NAMED.get(name, name): _values(table[name], where) for name in names if name in _ARRAYS}
    if "image_width" in names and "image_height" in names:
        size = [table[name].fill_null(0).to_numpy() for name in ("image_width", "image_height")]
        known["image_size"] = np.stack(size, 1).astype(np.int64)
    if "landmarks_2d" in names:
        known["keypoints"] = _points(table["landmarks_2d"], where)
    reason: list[Skip | None] = [None] * len(table)
    if "reason" in names:
        reason = [Skip.parse(text) if text else None for text in table["reason"].to_pylist()]
    if "valid" in names:
        no_body = Skip(Reason.NO_BODY, "not valid, and no reason is given")
        valid = table["valid"].to_numpy()
        reason = [None if ok else why or no_body for ok, why in zip(valid, reason, strict=True)]
    kind = single.get("body_model", NO_MODEL)
    if kind != NO_MODEL:
        known |= {"body_model": kind, "body": _body_of(table, kind, names, where)}
    landmark_set = single.get("landmark_set", "")
    empty = empty_people(
        single.get("dataset", ""),
        table["annotation_id"].to_numpy(),
        landmark_set="" if "keypoints" in known else landmark_set,
    )
    return replace(
        empty,
        reason=objects(reason),
        landmark_set=landmark_set,
        flat_hand_mean=single.get("flat_hand_mean"),
        prior=single.get("prior"),
        scores={name: _values(table[name], where) for name in names if name in SCORES},
        **known,
    )


_SINGLE = ("dataset", "body_model", "landmark_set", "prior", "flat_hand_mean")
"""Columns that hold one value in one table of people."""
_NAMED = {"bbox_xywh": "bbox"}
_ARRAYS = ("image_path", "person_id", "bbox_xywh", "focal", "center", "gender", "latent")
"""Columns that are arrays of people as they are."""


def _body_of(table: pa.Table, kind: str, names: Sequence[str], where: str) -> dict[str, np.ndarray]:
    """Parameters by name, without those that nobody has."""
    if kind not in LAYOUTS:
        raise PgtfastError(f"{where}: column body_model: wanted one of {', '.join(LAYOUTS)}, got {kind!r}")
    widths = LAYOUTS[kind].parameters
    body = {name: vectors(table[name], where) for name in widths if name in names}
    for name, values in body.items():
        if name not in COEFFICIENTS and values.shape[1] != widths[name]:
            raise PgtfastError(
                f"{where}: column {name}: wanted {widths[name]} numbers of {kind!r}, got {values.shape[1]}"
            )
    return body


def _single(table: pa.Table, name: str, where: str) -> Any:
    """The one value of a column that is not null, None where there is none."""
    values = sorted(v for v in table[name].unique().to_pylist() if v is not None)
    if len(values) > 1:
        told = ", ".join(map(str, values))
        raise PgtfastError(
            f"{where}: holds rows of several kinds in column {name!r} ({told}); they cannot go in one file: "
            f"convert them apart"
        )
    return values[0] if values else None


def _objects(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) object: strings, one object for each value."""
    coded = column.combine_chunks().dictionary_encode()
    words = objects([*coded.dictionary.to_pylist(), None])
    return words[coded.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)]


def _values(column: pa.ChunkedArray, where: str) -> np.ndarray:
    """(N,) objects or float64, (N,) int64 of `person_id`, or (N, size) float64."""
    if pa.types.is_string(column.type):
        return _objects(column)
    if pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
        return vectors(column, where)
    return column.cast(pa.float64() if column.null_count or column.type != pa.int32() else pa.int64()).to_numpy()


def vectors(column: pa.ChunkedArray, where: str) -> np.ndarray:
    """(N, size) float64 of a column of lists, null as NaN.

    Raises:
        PgtfastError: the lists are of several lengths.
    """
    array = column.combine_chunks()
    there = array.drop_null()
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
    else:
        lengths = there.value_lengths().unique().to_pylist()
        if len(lengths) > 1:
            raise PgtfastError(f"{where}: holds lists of several lengths ({', '.join(map(str, sorted(lengths)))})")
        size = lengths[0] if lengths else 0
    out = np.full((len(array), size), np.nan)
    out[array.is_valid().to_numpy(zero_copy_only=False)] = (
        there.flatten().to_numpy(zero_copy_only=False).reshape(-1, size)
    )
    return out


def _points(column: pa.ChunkedArray, where: str) -> np.ndarray | None:
    """(N, K, 3), zero where null; None where all are."""
    array = column.combine_chunks()
    there = array.drop_null()
    if not len(there):
        return None
    lengths = there.value_lengths().unique().to_pylist()
    if len(lengths) > 1:
        raise PgtfastError(f"{where}: column {'landmarks_2d'!r}: holds people with several numbers of keypoints")
    out = np.zeros((len(array), lengths[0], 3))
    numbers = there.flatten().flatten().to_numpy(zero_copy_only=False)
    out[array.is_valid().to_numpy(zero_copy_only=False)] = numbers.reshape(len(there), lengths[0], 3)
    return out
