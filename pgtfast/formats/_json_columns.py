"""Columns of numbers out of JSON entries and back, without a Python object for each number."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from .._errors import PgtfastError
from .bodies import objects
from .notes import Notes

_ONE_LINE = bytes.maketrans(b"\0\n\r", b"\n  ")
_PARSED = 1 << 21
"""Bytes that one thread parses at once."""


class Field(NamedTuple):
    """A value of an entry."""

    keys: tuple[str, ...]
    """Nested keys."""
    shape: tuple[int, ...] | None = ()
    """Of the nested lists of numbers; () is one number, None is text."""
    required: bool = True


def read_columns(
    path: Path, keys: Sequence[tuple[str, ...]], texts: Sequence[bytes], fields: Sequence[Field], notes: Notes
) -> list[np.ndarray]:
    """Columns of entries.

    Args:
        path: the file, for messages.
        keys: where each of N entries lies, for messages.
        texts: JSON of each.
        fields: what to read; other keys are counted in `notes`.

    Returns:
        For each field (N, *shape) float64, NaN where an optional one is missing; (N,) object for text, None where missing.

    Raises:
        PgtfastError: naming entry and key of the first value that is missing or of another kind.
    """
    try:
        table = _parse(texts, fields)
    except pa.ArrowInvalid:
        return _slowly(path, keys, texts, fields, notes)
    columns = [_column(table, field, len(texts)) for field in fields]
    if any(column is None for column in columns):
        return _slowly(path, keys, texts, fields, notes)
    _count_others(table, fields, notes)
    return [column for column in columns if column is not None]


def _parse(texts: Sequence[bytes], fields: Sequence[Field]) -> pa.Table:
    data = b"\0".join(texts).translate(_ONE_LINE)  # a line break within an entry is but white space
    return pj.read_json(
        pa.BufferReader(data),
        read_options=pj.ReadOptions(block_size=_PARSED),
        parse_options=pj.ParseOptions(explicit_schema=pa.schema(_schema(fields, 0)), unexpected_field_behavior="infer"),
    )


def _schema(fields: Sequence[Field], level: int) -> list[pa.Field]:
    out: list[pa.Field] = []
    for name in dict.fromkeys(field.keys[level] for field in fields):
        inner = [field for field in fields if field.keys[level] == name]
        if len(inner[0].keys) > level + 1:
            kind: pa.DataType = pa.struct(_schema(inner, level + 1))
        else:
            kind = pa.string() if inner[0].shape is None else pa.float64()
            for _ in inner[0].shape or ():
                kind = pa.list_(kind)
        out.append(pa.field(name, kind))
    return out


def _column(table: pa.Table, field: Field, count: int) -> np.ndarray | None:
    """A field of all rows; None where a value is missing or not of its shape."""
    if table.num_rows != count:
        return None
    array = table[field.keys[0]].combine_chunks()
    missing = array.is_null().to_numpy(zero_copy_only=False)
    for key in field.keys[1:]:
        array = pc.struct_field(array, key)
        missing = missing | array.is_null().to_numpy(zero_copy_only=False)
    if field.required and missing.any():
        return None
    if field.shape is None:
        return objects(array.to_pylist())
    held = array.filter(pa.array(~missing))
    for size in field.shape:
        if held.null_count or pc.any(pc.not_equal(held.value_lengths(), size)).as_py():
            return None
        held = held.flatten()
    if held.null_count:
        return None
    values = held.to_numpy(zero_copy_only=False)
    if not np.isfinite(values).all():
        return None
    out = np.full((count, *field.shape), np.nan)
    out[~missing] = values.reshape(-1, *field.shape)
    return out


def _count_others(table: pa.Table, fields: Sequence[Field], notes: Notes) -> None:
    """Say which keys of the entries are not read."""
    known = {field.keys[:n] for field in fields for n in range(1, len(field.keys) + 1)}
    for column in table.schema:
        held = table[column.name].combine_chunks()
        if (column.name,) not in known:
            notes.count(f"left aside: key '{column.name}' of {{n}} entries", len(held) - held.null_count)
        elif pa.types.is_struct(column.type):
            for inner in column.type:
                if (column.name, inner.name) not in known:
                    values = pc.struct_field(held, inner.name)
                    number = len(values) - values.null_count
                    notes.count(f"left aside: key '{column.name}.{inner.name}' of {{n}} entries", number)


# ---- entry by entry: says what is wrong where the fast way cannot
def _slowly(
    path: Path, keys: Sequence[tuple[str, ...]], texts: Sequence[bytes], fields: Sequence[Field], notes: Notes
) -> list[np.ndarray]:
    entries = []
    for key, text in zip(keys, texts, strict=True):
        try:
            entry = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise PgtfastError(f"{path}: {shown(key)}: not JSON ({error}); copy or download it again") from error
        if not isinstance(entry, dict):
            raise PgtfastError(f"{path}: {shown(key)}: wanted an object, got {str(entry)[:40]}")
        for name in set(entry) - {field.keys[0] for field in fields}:
            notes.count(f"left aside: key '{name}' of {{n}} entries")
        entries.append(entry)
    columns: list[Any] = [
        np.full(len(entries), None, dtype=object)
        if field.shape is None
        else np.full((len(entries), *field.shape), np.nan)
        for field in fields
    ]
    for row, entry in enumerate(entries):
        for column, field in zip(columns, fields, strict=True):
            value: Any = entry
            for name in field.keys:
                value = value.get(name) if isinstance(value, dict) else None
            if value is None and not field.required:
                continue
            if field.shape is None:
                fits = isinstance(value, str)
            else:
                fits = _fits(value, field.shape)
            if not fits:
                wanted = "text" if field.shape is None else _wanted(field.shape)
                raise PgtfastError(
                    f"{path}: {shown(keys[row])}: {'.'.join(field.keys)}: wanted {wanted}, got {str(value)[:60]}"
                )
            column[row] = value
    return columns


def _fits(value: Any, shape: tuple[int, ...]) -> bool:
    if not shape:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and abs(value) < 1e300 and math.isfinite(value)
    return isinstance(value, list) and len(value) == shape[0] and all(_fits(part, shape[1:]) for part in value)


def _wanted(shape: tuple[int, ...]) -> str:
    if not shape:
        return "a finite number"
    return f"{' x '.join(map(str, shape))} finite numbers"


def shown(keys: Sequence[str]) -> str:
    """Where an entry lies, for messages."""
    return "id " + "/".join(key[:40] for key in keys)


# ---- writing
def number_texts(values: np.ndarray) -> pa.Array:
    """JSON of each row: (N, *shape) numbers as nested lists, in the fewest digits that read back as the same number."""
    flat: pa.Array = pc.cast(pa.array(np.ascontiguousarray(values).reshape(-1)), pa.string())
    for size in reversed(values.shape[1:]):
        lists = pa.ListArray.from_arrays(pa.array(np.arange(0, len(flat) + 1, size), pa.int32()), flat)
        flat = pc.binary_join_element_wise("[", pc.binary_join(lists, ", "), "]", "")
    return flat


def object_texts(members: dict[str, pa.Array]) -> pa.Array:
    """JSON of each row: objects of the members given."""
    parts: list[Any] = []
    for name, texts in members.items():
        parts += [f"{', ' if parts else '{'}{json.dumps(name)}: ", texts]
    return pc.binary_join_element_wise(*parts, "}", "")


def plain_texts(values: Sequence[Any]) -> pa.Array:
    """JSON of each of some Python values."""
    return pa.array([json.dumps(value) for value in values], pa.string())


def write_joined(file: IO[bytes], texts: pa.Array) -> None:
    """Write the texts, a comma and a line break between them."""
    whole = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
    file.write(memoryview(pc.binary_join(whole, ",\n")[0].as_buffer()))
