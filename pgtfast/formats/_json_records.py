"""Entries of a large JSON file, block by block: the file is never in memory as a whole.

A block's brackets are found all at once. Each entry is cut out and a mark put in its place; what is left around the entries is completed to a
JSON text of its own and parsed, so that it is checked as strictly as any other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._errors import PgtfastError

BLOCK = 1 << 22
"""Bytes read at once."""
LARGEST_ENTRY = 1 << 26
"""An entry of more bytes is no person."""

_QUOTE, _OPEN, _CLOSE = 1, 2, 3
_KINDS = bytes({'"': _QUOTE, "{": _OPEN, "[": _OPEN, "}": _CLOSE, "]": _CLOSE}.get(chr(c), 0) for c in range(256))
_MARK = b"NaN"


class Entries(NamedTuple):
    """Some entries in file order."""

    keys: list[tuple[str, ...]]
    """Where each lies: the keys of the objects around it; in a list its number among all entries."""
    texts: list[bytes]
    """JSON of each."""


class _Object(list):
    """Pairs of a JSON object, so that a key given twice stays."""


class _Mark(int):
    """Stands for the entry of that number in the block."""


_BEFORE = object()
"""Stands for the members that came in earlier blocks."""


def read_entries(path: str | Path, depth: int, under: str | None = None) -> Iterator[Entries]:
    """Read the objects and lists that lie `depth` objects or lists deep, in blocks.

    Args:
        path: JSON file whose root is an object.
        depth: 1 for the values of the root, 2 for those of its values, ...
        under: only those under this key of the root.

    Raises:
        PgtfastError: the file cannot be read, is not JSON, or a value in that depth is neither object nor list.
    """
    scanner = _Scanner(Path(path), depth, under)
    try:
        with open(path, "rb") as file:
            while True:
                block = file.read(BLOCK)
                entries = scanner.feed(block)
                if entries.texts:
                    yield entries
                if not block:
                    return
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be read ({error.strerror})") from error


class _Scanner:
    def __init__(self, path: Path, depth: int, under: str | None) -> None:
        self.path, self.depth, self.under = path, depth, under
        self.data = b""
        self.start = 0
        """Place of `data` in the file."""
        self.open: list[tuple[str, str | None]] = []
        """Brackets that are open where `data` begins, each with the key that it lies under."""
        self.count = 0

    def feed(self, block: bytes) -> Entries:
        """The entries that have come to their end; an empty block ends the file."""
        self.data += block
        at, kind, after = self._brackets()
        stop = len(self.data)
        if block:
            ends = np.flatnonzero((kind == _CLOSE) & (after == self.depth))
            if not len(ends):
                if len(self.data) > LARGEST_ENTRY:
                    raise self._error(f"no entry ends within {LARGEST_ENTRY >> 20} MB")
                return Entries([], [])
            at, kind, after = (values[: ends[-1] + 1] for values in (at, kind, after))
            stop = int(at[-1]) + 1
        begins = at[(kind == _OPEN) & (after == self.depth + 1)].tolist()
        ends = (at[(kind == _CLOSE) & (after == self.depth)] + 1).tolist()
        if len(begins) != len(ends):
            raise self._error("it ends within an entry")
        outer = np.where(kind == _OPEN, after, after + 1) <= self.depth
        entries = self._cut(begins, ends, stop, at[outer].tolist(), last=not block)
        self.data, self.start = self.data[stop:], self.start + stop
        return entries

    def _brackets(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places and kinds of the brackets outside strings, and how many are open after each."""
        kinds = np.frombuffer(self.data.translate(_KINDS), np.uint8)
        at = np.flatnonzero(kinds != 0)
        kind = kinds[at]
        if b"\\" in self.data:
            behind = [q for q in np.flatnonzero(kind == _QUOTE).tolist() if self.data[at[q] - 1 : at[q]] == b"\\"]
            escaped = [q for q in behind if _backslashes(self.data, int(at[q])) % 2]
            at, kind = np.delete(at, escaped), np.delete(kind, escaped)
        outside = (kind != _QUOTE) & (np.cumsum(kind == _QUOTE) % 2 == 0)
        at, kind = at[outside], kind[outside]
        return at, kind, len(self.open) + np.cumsum(np.where(kind == _OPEN, 1, -1))

    def _cut(self, begins: list[int], ends: list[int], stop: int, outer: list[int], *, last: bool) -> Entries:
        """Cut the entries out and parse what lies around them."""
        data, pieces, texts, place = self.data, [], [], 0
        for begin, end in zip(begins, ends, strict=True):
            pieces.append(data[place:begin])
            texts.append(data[begin:end])
            place = end
        around = _MARK.join([*pieces, data[place:stop]])
        stack = [bracket for bracket, _ in self.open]
        head = "".join(bracket if key is None else f"{json.dumps(key)}:{bracket}" for bracket, key in self.open)
        if stack:
            head += '"":Infinity' if stack[-1] == "{" else "Infinity"
        for place in outer:
            if data[place] in b"{[":
                stack.append(chr(data[place]))
            elif stack:
                stack.pop()
            else:
                raise self._error("more brackets close than open")
        if last and stack:
            raise self._error("it ends before its brackets are closed")
        tail = "".join("}" if bracket == "{" else "]" for bracket in reversed(stack))
        marks: list[Any] = [_Mark(number) for number in reversed(range(len(texts)))]
        constants = {_MARK.decode(): marks, "Infinity": [_BEFORE] if self.open else [], "-Infinity": []}
        try:
            text = head + around.decode("utf-8" if self.start else "utf-8-sig") + tail
            tree = json.loads(text, object_pairs_hook=_Object, parse_constant=lambda name: constants[name].pop())
        except IndexError as error:
            raise self._error("NaN or Infinity where an entry belongs") from error
        except (ValueError, RecursionError) as error:
            raise self._error(f"{type(error).__name__}: {error}") from error
        if not isinstance(tree, _Object):
            raise PgtfastError(f"{self.path}: wanted a JSON object at the root, got {type(tree).__name__}")
        keys: list[tuple[str, ...]] = []
        self._collect(tree, (), keys)
        if len(keys) != len(texts):
            raise self._error("NaN where an entry belongs")
        self.open = self._opened(tree, stack)
        wanted = [self.under in (None, key[0]) for key in keys]
        return Entries(list(compress(keys, wanted)), list(compress(texts, wanted)))

    def _collect(self, tree: Any, above: tuple[str, ...], keys: list[tuple[str, ...]]) -> None:
        """Keys of all entries, in the order of the file."""
        lies_in = len(above) + 1
        members = tree if isinstance(tree, _Object) else [(None, value) for value in tree]
        for key, value in members:
            if value is _BEFORE:
                continue
            here = (*above, str(self.count) if key is None else key)
            if lies_in == self.depth:
                if not isinstance(value, _Mark):
                    if self.under not in (None, here[0]):
                        continue
                    raise PgtfastError(
                        f"{self.path}: {''.join(f'[{k!r}]' for k in here)[:200]}: wanted an object, got {str(value)[:40]!r}"
                    )
                keys.append(here)
                self.count += self.under in (None, here[0])
            elif isinstance(value, list):
                self._collect(value, here, keys)

    def _opened(self, tree: Any, stack: list[str]) -> list[tuple[str, str | None]]:
        """Those of the brackets that the next block goes on with."""
        out: list[tuple[str, str | None]] = []
        key = None
        for bracket in stack:
            out.append((bracket, key))
            last = tree[-1] if tree else None
            key, tree = last if bracket == "{" and last is not None else (None, last)
        return out

    def _error(self, detail: str) -> PgtfastError:
        return PgtfastError(
            f"{self.path}: not JSON, in the {len(self.data)} bytes from byte {self.start} on ({detail}); truncated? Copy or download it again"
        )


def _backslashes(data: bytes, at: int) -> int:
    """How many backslashes lie before a place."""
    start = at
    while start and data[start - 1] == 92:
        start -= 1
    return at - start
