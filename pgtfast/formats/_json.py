"""Columns of numbers out of typed JSON entries and back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import orjson
import simdjson

from .._errors import PgtfastError
from ..files.json import LARGEST, as_strict, brief, loose
from .notes import Notes

_DIGITS = b"0123456789.+-eE \t\r\n"
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Field(NamedTuple):
    """A value of an entry."""

    keys: tuple[str, ...]
    """Nested keys. At least one field of each object is required."""
    shape: tuple[int, ...] | None = ()
    """Of the nested lists of numbers; () is one number, None is text."""
    required: bool = True
    whole: bool = False
    """One whole number of 64 bits, such as an id."""

    @property
    def wanted(self) -> str:
        """What the value must be, for messages."""
        if self.whole:
            return "a whole number"
        if self.shape is None:
            return "text"
        return f"{' x '.join(map(str, self.shape))} finite numbers" if self.shape else "a finite number"


class EntryReader:
    """Reads entries of one type in columns.

    Args:
        path: the file, for messages.
        fields: what to read; other keys are counted in `notes`.
        notes: gets the keys that are ignored.
    """

    def __init__(self, path: Path, fields: Sequence[Field], notes: Notes) -> None:
        self.path, self.fields, self.notes = path, fields, notes
        self.tree: dict[str, Any] = {}
        """Names of the objects and fields that are read."""
        for field in fields:
            level = self.tree
            for name in field.keys[:-1]:
                level = level.setdefault(name, {})
            level[field.keys[-1]] = field
        self.decoder = msgspec.json.Decoder(_struct(self.tree))
        self.getters = [attrgetter(".".join(field.keys)) for field in fields]
        self.colons = sum(field.required for field in fields) + len(
            {f.keys[:n] for f in fields for n in range(1, len(f.keys))}
        )
        """Members of an entry that has nothing optional."""
        self.optional = [getter for getter, field in zip(self.getters, fields, strict=True) if not field.required]

    def read(self, keys: Sequence[tuple[str, ...]], texts: Sequence[bytes]) -> list[np.ndarray]:
        """Columns of N entries.

        Args:
            keys: where each lies, for messages.
            texts: JSON of each.

        Returns:
            For each field (N, *shape) float64, NaN where an optional one is missing; (N,) object for text and whole
            numbers, None where missing.

        Raises:
            PgtfastError: naming entry and key of the first value that is missing or of another kind, or of a key that
            is there twice.
        """
        values: list[list[Any]] = [[] for _ in self.fields]
        puts = [_put(field, column) for field, column in zip(self.fields, values, strict=True)]
        others: Counter[str] = Counter()
        decode_one, plan = self.decoder.decode, list(zip(puts, self.getters, strict=True))
        for key, text in zip(keys, texts, strict=True):
            try:
                entry = decode_one(text)
            except (msgspec.DecodeError, RecursionError):
                entry, text = self._again(key, text)
            try:
                for put, get in plan:
                    put(get(entry))
            except (ValueError, TypeError):
                raise self._wrong(key, text) from None
            more = text.count(b":") - self.colons
            if more and more != sum(get(entry) not in (None, msgspec.UNSET) for get in self.optional):
                self._count_others(key, text, others)
        for name, number in others.items():
            self.notes.count(f"ignored: key '{name}' of {{n}} entries", number)
        columns = [_column(field, column, len(texts)) for field, column in zip(self.fields, values, strict=True)]
        for column in columns:
            if column.dtype != object and (np.abs(column) > LARGEST).any():
                row = int((np.abs(column) > LARGEST).reshape(len(texts), -1).any(1).argmax())
                raise self._wrong(keys[row], texts[row])
        return columns

    def _again(self, key: tuple[str, ...], text: bytes) -> tuple[Any, bytes]:
        """An entry that is not strict JSON, or not of the type; the text that it was decoded from."""
        strict = as_strict(text, f"{self.path}: {shown(key)}")
        try:
            return self.decoder.decode(strict), text
        except msgspec.DecodeError:
            raise self._wrong(key, strict) from None

    def _wrong(self, key: tuple[str, ...], text: bytes) -> PgtfastError:
        """What is wrong with an entry."""
        where = f"{self.path}: {shown(key)}"
        entry = loose(text, where)
        if not isinstance(entry, dict):
            return PgtfastError(f"{where}: wanted an object, got {brief(entry)}")
        for field in self.fields:
            value: Any = entry
            for name in field.keys:
                value = value.get(name) if isinstance(value, dict) else None
            if not (value is None and not field.required) and not _fits(value, field):
                return PgtfastError(f"{where}: {'.'.join(field.keys)}: wanted {field.wanted}, got {brief(value)}")
        raise AssertionError(f"{where}: decoder and check differ")

    def _count_others(self, key: tuple[str, ...], text: bytes, others: Counter[str]) -> None:
        """Count the keys that are not read.

        Raises:
            PgtfastError: a key is there twice.
        """
        found: list[str] = []
        try:
            plain = b"\\" not in text and _colons(text, self.tree, "", found) == text.count(b":")
        except msgspec.DecodeError:  # NaN and Infinity
            plain = False
        if not plain:
            found = []
            try:
                _walk(json.loads(text, object_pairs_hook=_Members), self.tree, "", found)
            except ValueError as error:
                raise PgtfastError(f"{self.path}: {shown(key)}: {error}") from error
        others.update(found)


class _Members(list):
    """Pairs of a JSON object, so that a key given twice stays."""


def _colons(text: Any, tree: Mapping[str, Any], above: str, found: list[str]) -> int:
    """Colons of an object's text when no key is there twice; the names that are not in `tree` go to `found`."""
    total = 0
    for name, value in _MEMBERS.decode(text).items():
        total += 1 + name.count(":")
        level = tree.get(name)
        if isinstance(level, dict):
            total += _colons(value, level, f"{above}{name}.", found)
        else:
            total += bytes(value).count(b":")
            if level is None:
                found.append(above + name)
    return total


def _walk(members: Any, tree: Mapping[str, Any], above: str, found: list[str]) -> None:
    """The same for parsed pairs; an error where a key is there twice."""
    counts = Counter(name for name, _ in members)
    for name, value in members:
        if counts[name] > 1:
            raise ValueError(f"key {name[:40]!r} is there twice")
        level = tree.get(name)
        if isinstance(level, dict):
            _walk(value, level, f"{above}{name}.", found)
        elif level is None:
            found.append(above + name)


def _struct(tree: Mapping[str, Any]) -> type[msgspec.Struct]:
    """The type of an object."""
    required: list[Any] = []
    optional: list[Any] = []
    for name, level in tree.items():
        if isinstance(level, dict):
            required.append((name, _struct(level)))
        elif level.required:
            required.append((name, _kind(level)))
        elif _nested(level):
            optional.append((name, _kind(level) | msgspec.UnsetType, msgspec.UNSET))
        else:
            optional.append((name, _kind(level) | None, None))
    return msgspec.defstruct("Entry", [*required, *optional], gc=False)


def _nested(field: Field) -> bool:
    return field.shape is not None and len(field.shape) > 1


def _kind(field: Field) -> Any:
    if field.whole:
        return int | float
    if field.shape is None:
        return str
    if not field.shape:
        return float
    # lists of lists stay text, whose numbers are read all at once: Python lists of them would take three times as long
    return (
        msgspec.Raw
        if _nested(field)
        else Annotated[list[float], msgspec.Meta(min_length=field.shape[0], max_length=field.shape[0])]
    )


def _put(field: Field, column: list[Any]) -> Callable[[Any], None]:
    """What adds a value of an entry to its column."""
    if field.whole:
        return lambda value: column.append(None if value is None else _whole(value))
    if not field.shape:
        return column.append
    missing = [np.nan] * int(np.prod(field.shape))
    if not _nested(field):
        return column.extend if field.required else lambda value: column.extend(missing if value is None else value)
    skeleton = "".join(str(np.zeros(field.shape, int).tolist()).split()).replace("0", "").encode()
    parser, absent = simdjson.Parser(), np.array(missing).tobytes()

    def put(value: Any) -> None:
        text = b"null" if value is msgspec.UNSET else bytes(value)
        if text == b"null" and not field.required:
            column.append(absent)
        elif text.translate(None, _DIGITS) == skeleton:
            parsed: Any = parser.parse(text)
            column.append(parsed.as_buffer(of_type="d"))
        else:
            raise ValueError(field.wanted)

    return put


def _whole(value: float) -> int:
    if value != int(value) or not -(2**63) <= value < 2**63:
        raise ValueError("a whole number")
    return int(value)


def _column(field: Field, values: list[Any], count: int) -> np.ndarray:
    if field.shape is None or field.whole:
        column = np.full(count, None, object)
        column[:] = values
        return column
    if _nested(field):
        return np.frombuffer(b"".join(values)).reshape(count, *field.shape).copy()
    if not field.shape:
        values = [np.nan if value is None else value for value in values]
    return np.fromiter(values, np.float64, len(values)).reshape(count, *field.shape)


def _fits(value: Any, field: Field) -> bool:
    """Whether a value is what the field wants."""
    if field.whole:
        return type(value) in (int, float) and value == int(value) and -(2**63) <= value < 2**63
    return isinstance(value, str) if field.shape is None else _are_numbers(value, field.shape)


def _are_numbers(value: Any, shape: tuple[int, ...]) -> bool:
    if not shape:
        return type(value) in (int, float) and abs(value) <= LARGEST
    return isinstance(value, list) and len(value) == shape[0] and all(_are_numbers(part, shape[1:]) for part in value)


def shown(keys: Sequence[str]) -> str:
    """Where an entry lies, for messages."""
    return "id " + "/".join(key[:40] for key in keys)


# ---- writing
def json_text(value: Any) -> bytes:
    """JSON of a value, arrays included: numbers in the fewest digits that read back as the same number."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def row_objects(columns: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """An object for each row of some columns: arrays of numbers (N, ...), iterables of texts or objects.

    Columns whose numbers are all those of float32, as the store has them, get the digits that tell float32 numbers
    apart: nine at most.

    Raises:
        ValueError: a number is not finite, which JSON cannot hold.
    """
    held = [
        _shortest(name, c) if isinstance(c, np.ndarray) and c.dtype.kind == "f" else c for name, c in columns.items()
    ]
    return (dict(zip(columns, row, strict=True)) for row in zip(*held, strict=True))


def _shortest(name: str, column: np.ndarray) -> np.ndarray:
    if not np.isfinite(column).all():
        raise ValueError(f"{name}: not finite")
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(column, np.float32)
    return single if (single == column).all() else np.ascontiguousarray(column)
