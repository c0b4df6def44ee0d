"""JSON as people write it: decoded by type, errors that name file, entry, key and what was wanted; numbers that may be
written as strings."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._errors import PgtfastError

if TYPE_CHECKING:
    import msgspec

LARGEST = 1e9
"""No number of an annotation is as large; one that is comes from damage."""

_WANTED = {"object": "an object", "array": "a list", "str": "text", "float": "a number", "int": "a whole number"}
_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>.*)`)?")


@functools.lru_cache(maxsize=64)
def decoder(kind: Any) -> msgspec.json.Decoder:
    """The decoder of a type: `msgspec.Struct`, list, dict, ... or Any."""
    import msgspec

    return msgspec.json.Decoder(kind)


def decode(text: bytes, kind: Any, where: str) -> Any:
    """A JSON text as a value of a type.

    NaN and Infinity, which Python writes though JSON has no such numbers, count as null.

    Args:
        text: UTF-8, a byte order mark is ignored.
        kind: type to decode to, as `msgspec` takes it; Any for anything.
        where: file and entry, for messages.

    Raises:
        PgtfastError: the text is not JSON, or of another type; the message names `where`, the key and what was wanted.
    """
    import msgspec

    try:
        return decoder(kind).decode(text)
    except msgspec.ValidationError as error:
        raise PgtfastError(f"{where}: {_explained(error, text, where)}") from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        value = loose(text, where)
        if kind is Any or (kind is dict and isinstance(value, dict)):
            return value  # half a character in it is for whoever reads that text
        strict = as_strict(text, where)
    try:
        return decoder(kind).decode(strict)
    except msgspec.ValidationError as error:
        raise PgtfastError(f"{where}: {_explained(error, strict, where)}") from error


def loose(text: bytes, where: str) -> Any:
    """The value of a text as Python's json reads it, with None in place of NaN and Infinity.

    Raises:
        PgtfastError: it cannot be read.
    """
    try:
        return json.loads(text.decode("utf-8-sig"), parse_constant=lambda _: None, parse_int=_integer)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise PgtfastError(
            f"{where}: not JSON ({error.msg} at {place}); truncated? Copy or download it again"
        ) from error
    except (UnicodeError, RecursionError) as error:
        raise PgtfastError(f"{where}: not JSON ({type(error).__name__}: {error}); wanted UTF-8 JSON") from error


def _integer(digits: str) -> float:
    return int(digits) if len(digits) < 19 else float(digits)


def as_strict(text: bytes, where: str) -> bytes:
    """A text that Python's json reads as one of strict JSON: without byte order mark, null in place of NaN and
    Infinity.

    Raises:
        PgtfastError: it cannot be read, or holds half a character.
    """
    import msgspec

    try:
        return msgspec.json.encode(loose(text, where))
    except UnicodeError as error:
        raise PgtfastError(f"{where}: not JSON ({type(error).__name__}: {error}); wanted UTF-8 JSON") from error


def _explained(error: Exception, text: bytes, where: str) -> str:
    """What a decoder says, in the words of the other messages: key, wanted, got."""
    told = _MESSAGE.fullmatch(str(error))
    what, place = (told["what"], told["path"] or "$") if told else (str(error), "$")
    value, keys = loose(text, where), re.findall(r"\.([^.\[]+)|\[(\d+)\]", place)
    for name, index in keys:
        try:
            value = value[name] if name else value[int(index)]
        except (KeyError, IndexError, TypeError):
            return f"{place.removeprefix('$').lstrip('.')}: {what}"
    key = place.removeprefix("$").lstrip(".")
    missing = re.fullmatch(r"Object missing required field `(.*)`", what)
    if missing:
        return f"key '{f'{key}.' if key else ''}{missing[1]}': wanted, got none"
    kind = re.match(
        r"Expected `(\w+)`(?: \| `null`|\|null`)?(?: of length (.*?))?(?:, got.*)?$", what.replace(" | null`", "`")
    )
    wanted = what if kind is None else _WANTED.get(kind[1], kind[1]) + (f" of length {kind[2]}" if kind[2] else "")
    return f"{f'{key}: ' if key else ''}wanted {wanted}, got {brief(value)}"


def load(path: str | Path, what: str, kind: Any = Any) -> Any:
    """The content of a JSON file.

    Args:
        path: the file.
        what: the expected content, for messages, e.g. "COCO person keypoints".
        kind: type to decode to.

    Raises:
        PgtfastError: the file cannot be read, is not JSON, or of another type.
    """
    path = Path(path)
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        raise PgtfastError(f"{path}: no such file") from error
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be read ({error.strerror})") from error
    return decode(text, kind, f"{path}" if kind is Any else f"{path} ({what})")


def load_object(path: str | Path, what: str, keys: Iterable[str] = (), content: Any = None) -> dict[str, Any]:
    """The object that a JSON file holds (`content`, where it has been loaded already).

    `keys` are named in the message when it holds something else; they are not required here.
    """
    content = load(path, what) if content is None else content
    if not isinstance(content, dict):
        named = " and ".join(repr(key) for key in keys)
        raise PgtfastError(
            f"{path}: wanted a JSON object{f' with {named}' if named else ''} ({what}), got {brief(content)}"
        )
    return content


def load_list(path: str | Path, what: str) -> list[Mapping]:
    """The list of objects that a JSON file holds."""
    content = load(path, what)
    if not isinstance(content, list):
        raise PgtfastError(f"{path}: wanted a JSON list of objects ({what}), got {brief(content)}")
    return _objects(path, "", content)


def entries(path: str | Path, content: Mapping, key: str, what: str) -> list[Mapping]:
    """The list of objects under `key`."""
    held = content.get(key)
    if not isinstance(held, list):
        got = "none" if key not in content else brief(held)
        raise PgtfastError(f"{path}: key '{key}': wanted a list of objects ({what}), got {got}")
    return _objects(path, key, held)


def _objects(path: str | Path, key: str, held: list) -> list[Mapping]:
    for at, entry in enumerate(held):
        if not isinstance(entry, dict):
            raise PgtfastError(f"{path}: {key}[{at}]: wanted an object, got {brief(entry)}")
    return held


def unique_ids(path: str | Path, key: str, held: list[Mapping]) -> list[int]:
    """Ids of the entries of list `key`; people are keyed by them, so each must be there, once."""
    first: dict[int, int] = {}
    for at, entry in enumerate(held):
        number = integer(entry.get("id"))
        if number is None or not -(2**63) <= number < 2**63:
            raise PgtfastError(f"{path}: {key}[{at}]: key 'id': wanted a whole number, got {brief(entry.get('id'))}")
        if number in first:
            raise PgtfastError(
                f"{path}: {key}[{at}]: id {number} is already that of {key}[{first[number]}]; ids must be unique, "
                f"remove or renumber one"
            )
        first[number] = at
    return list(first)


def by_id(path: str | Path, content: Mapping, key: str, what: str) -> dict[int, Mapping]:
    """The entries under `key`, by their id."""
    held = entries(path, content, key, what)
    return dict(zip(unique_ids(path, key, held), held, strict=True))


def number(value: Any) -> float | None:
    """A finite number, also one written as a string; else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def integer(value: Any) -> int | None:
    """A whole number, also one written as a string or as 3.0; else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
    read = number(value)
    return int(read) if read is not None and read.is_integer() else None


def numbers(value: Any, count: int | None = None) -> list[float] | None:
    """A flat list of `count` (any, if None) finite numbers; else None."""
    if not isinstance(value, list) or (count is not None and len(value) != count):
        return None
    read = [number(v) for v in value]
    return None if None in read else read  # type: ignore[return-value]


def array(value: Any, shape: tuple[int, ...], *, finite: bool = True) -> np.ndarray | None:
    """Nested lists of numbers (also as strings) as a float64 array of that shape, -1 standing for any length; else
    None."""
    try:
        read = np.array(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    fits = read.ndim == len(shape) and all(want in (-1, got) for want, got in zip(shape, read.shape, strict=True))
    return read if fits and (not finite or bool(np.isfinite(read).all())) else None


def brief(value: Any) -> str:
    """A value for a message, cut short."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
