"""JSON as people write it: read whole, checked entry by entry, and numbers that may be written as strings."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import PgtfastError


def load_json(path: str | Path, what: str) -> Any:
    """The content of a JSON file of any kind; `what` names the expected content in messages, e.g. "COCO person keypoints"."""
    path = Path(path)
    try:
        with open(path, encoding="utf-8-sig") as file:
            return json.load(file)
    except FileNotFoundError as error:
        raise PgtfastError(f"{path}: no such file") from error
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be read ({error.strerror})") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise PgtfastError(
            f"{path}: not JSON ({error.msg} at {where}); truncated? Copy or download it again"
        ) from error
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise PgtfastError(f"{path}: not JSON ({type(error).__name__}); wanted {what} as UTF-8 JSON") from error


def load_object(path: str | Path, what: str, keys: Iterable[str] = (), content: Any = None) -> dict[str, Any]:
    """The object that a JSON file holds (`content`, where it has been loaded already).

    `keys` are named in the message when it holds something else; they are not required here.
    """
    content = load_json(path, what) if content is None else content
    if not isinstance(content, dict):
        named = " and ".join(repr(key) for key in keys)
        raise PgtfastError(
            f"{path}: wanted a JSON object{f' with {named}' if named else ''} ({what}), got {brief(content)}"
        )
    return content


def load_list(path: str | Path, what: str) -> list[Mapping]:
    """The list of objects that a JSON file holds."""
    content = load_json(path, what)
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
                f"{path}: {key}[{at}]: id {number} is already that of {key}[{first[number]}]; ids must be unique, remove or renumber one"
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
    """Nested lists of numbers (also as strings) as a float64 array of that shape, -1 standing for any length; else None."""
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
