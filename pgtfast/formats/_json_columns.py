"""Columns of numbers out of JSON entries and back, without a Python object for each number."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import simdjson

from .._errors import PgtfastError
from ..datasets._world import LARGEST
from .notes import Notes


class Field(NamedTuple):
    """A value of an entry."""

    keys: tuple[str, ...]
    """Nested keys."""
    shape: tuple[int, ...] | None = ()
    """Of the nested lists of numbers; () is one number, None is text."""
    required: bool = True
    whole: bool = False
    """One whole number of 64 bits, such as an id."""


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
        For each field (N, *shape) float64, NaN where an optional one is missing; (N,) object for text and whole numbers, None where missing.

    Raises:
        PgtfastError: naming entry and key of the first value that is missing or of another kind.
    """
    columns = _empty(len(texts), fields)
    levels = _levels(fields, columns)
    others: Counter[str] = Counter()
    parser = simdjson.Parser()
    try:
        for row, text in enumerate(texts):
            _take(parser.parse(text), levels, row, others)
    except (ValueError, TypeError, AttributeError, RuntimeError):  # not JSON, or not what is wanted: said below
        return _slowly(path, keys, texts, fields, notes)
    if any(column.dtype != object and (np.abs(column) > LARGEST).any() for column in columns):
        return _slowly(path, keys, texts, fields, notes)
    _count_others(others, notes)
    return columns


def _count_others(others: Counter[str], notes: Notes) -> None:
    for name, number in others.items():
        notes.count(f"left aside: key '{name}' of {{n}} entries", number)


def _empty(count: int, fields: Sequence[Field]) -> list[Any]:
    return [
        np.full(count, None, dtype=object)
        if field.shape is None or field.whole
        else np.full((count, *field.shape), np.nan)
        for field in fields
    ]


class _Level(NamedTuple):
    """An object of the entries, and what is read of it."""

    above: tuple[str, ...]
    fields: list[tuple[str, Field, np.ndarray]]
    """Name in the object, and the column that it goes to."""
    known: frozenset[str]
    """Names that are read, or hold others that are."""


def _levels(fields: Sequence[Field], columns: Sequence[np.ndarray]) -> list[_Level]:
    out = []
    for above in dict.fromkeys(field.keys[:n] for field in fields for n in range(len(field.keys))):
        within = [(f, c) for f, c in zip(fields, columns, strict=True) if f.keys[: len(above)] == above]
        here = [(f.keys[-1], f, c) for f, c in within if len(f.keys) == len(above) + 1]
        out.append(_Level(above, here, frozenset(f.keys[len(above)] for f, _ in within)))
    return out


def _take(entry: Any, levels: Sequence[_Level], row: int, others: Counter[str]) -> None:
    """Put the values of an entry in a row of the columns; an error where one is missing or of another kind."""
    for above, fields, known in levels:
        held = entry
        for name in above:
            held = held.get(name, {})
        names = frozenset(held) if type(held) is simdjson.Object else frozenset()
        if len(names) != len(held):
            raise ValueError("a key is there twice")
        for name, field, column in fields:
            value = held[name] if name in names else None
            if value is not None:
                column[row] = _value(value, field)
            elif field.required:
                raise TypeError(name)
        if not names <= known:
            others.update(".".join((*above, name)) for name in names - known)


def _value(value: Any, field: Field) -> Any:
    shape = field.shape
    if not shape:
        if not _fits(value, field):
            raise TypeError(shape)
        return int(value) if field.whole else value
    numbers = np.frombuffer(value.as_buffer(of_type="d")).reshape(shape)
    if len(shape) == 2 and any(len(part) != shape[1] for part in value):
        raise TypeError(shape)
    for size in shape:  # three deep of the first of each; looking at all of them would take longer than parsing
        if len(value) != size:
            raise TypeError(shape)
        value = value[0]
    if type(value) is simdjson.Array:
        raise TypeError(shape)
    return numbers


# ---- entry by entry: says what is wrong where the fast way cannot
def _slowly(
    path: Path, keys: Sequence[tuple[str, ...]], texts: Sequence[bytes], fields: Sequence[Field], notes: Notes
) -> list[np.ndarray]:
    entries = []
    for key, text in zip(keys, texts, strict=True):
        try:
            entry = json.loads(text, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise PgtfastError(f"{path}: {shown(key)}: not JSON ({error}); copy or download it again") from error
        if not isinstance(entry, dict):
            raise PgtfastError(f"{path}: {shown(key)}: wanted an object, got {str(entry)[:40]}")
        entries.append(entry)
    columns = _empty(len(entries), fields)
    for row, entry in enumerate(entries):
        for column, field in zip(columns, fields, strict=True):
            value: Any = entry
            for name in field.keys:
                value = value.get(name) if isinstance(value, dict) else None
            if value is None and not field.required:
                continue
            if not _fits(value, field):
                raise PgtfastError(
                    f"{path}: {shown(keys[row])}: {'.'.join(field.keys)}: wanted {_wanted(field)}, got {value!r:.60}"
                )
            column[row] = int(value) if field.whole else value
    others: Counter[str] = Counter()
    for level in _levels(fields, columns):
        for entry in entries:
            held: Any = entry
            for name in level.above:
                held = held.get(name) if isinstance(held, dict) else None
            if isinstance(held, dict):
                others.update(".".join((*level.above, name)) for name in held if name not in level.known)
    _count_others(others, notes)
    return columns


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object none of whose keys is there twice."""
    held = dict(members)
    if len(held) != len(members):
        counts = Counter(name for name, _ in members)
        raise ValueError(f"key {max(counts, key=counts.__getitem__)[:40]!r} is there twice")
    return held


def _fits(value: Any, field: Field) -> bool:
    """Whether a value is what the field wants."""
    if field.whole:
        return type(value) in (int, float) and -(2**63) <= value < 2**63 and value == int(value)
    if field.shape is None:  # text that UTF-8 can hold: JSON may name half a character
        return isinstance(value, str) and value.encode(errors="replace").decode() == value
    return _are_numbers(value, field.shape)


def _are_numbers(value: Any, shape: tuple[int, ...]) -> bool:
    if not shape:
        return type(value) in (int, float) and abs(value) <= LARGEST
    return isinstance(value, list) and len(value) == shape[0] and all(_are_numbers(part, shape[1:]) for part in value)


def _wanted(field: Field) -> str:
    if field.whole:
        return "a whole number"
    if field.shape is None:
        return "text"
    return f"{' x '.join(map(str, field.shape))} finite numbers" if field.shape else "a finite number"


def shown(keys: Sequence[str]) -> str:
    """Where an entry lies, for messages."""
    return "id " + "/".join(key[:40] for key in keys)


# ---- writing
def row_objects(columns: dict[str, Any]) -> list[dict[str, Any]]:
    """An object for each row of some columns of numbers (N, ...), texts or objects.

    Raises:
        ValueError: a number is not finite, which JSON cannot hold.
    """
    for name, column in columns.items():
        if isinstance(column, np.ndarray) and column.dtype.kind == "f" and not np.isfinite(column).all():
            raise ValueError(f"{name}: not finite")
    columns = {k: np.ascontiguousarray(c) if isinstance(c, np.ndarray) else c for k, c in columns.items()}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def json_text(value: Any) -> bytes:
    """JSON of a value: numbers in the fewest digits that read back as the same number."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
