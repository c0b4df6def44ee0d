"""Entries of a large JSON file, block by block: the file is never in memory as a whole.

A block's brackets are found all at once. Each entry is cut out and a mark put in its place; what is left around the
entries is completed to a JSON text of its own and parsed, so that it is checked as strictly as any other.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._errors import PgtfastError
from .json import brief, decode

BLOCK = 1 << 22
"""Bytes read at once."""
LARGEST_ENTRY = 1 << 26
"""An entry of more bytes is no person."""

_QUOTE, _OPEN, _CLOSE = 1, 2, 3
_KINDS = bytes({'"': _QUOTE, "{": _OPEN, "[": _OPEN, "}": _CLOSE, "]": _CLOSE}.get(chr(c), 0) for c in range(256))
_MARK, _BEFORE = (f"{name} {secrets.token_hex(8)}" for name in ("entry", "before"))
"""Texts that no file holds: in place of an entry, and of the members that came in earlier blocks."""


class Entries(NamedTuple):
    """Some entries in file order."""

    keys: list[tuple[str, ...]]
    """Where each lies: the keys of the objects around it; in a list its number among all entries."""
    texts: list[bytes]
    """JSON of each."""


class _Object(list):
    """Pairs of a JSON object, so that a key given twice stays."""


def read_entries(
    path: str | Path,
    depth: int,
    under: Sequence[str] = (),
    *,
    required: Sequence[str] = (),
    what: str = "",
    progress: Callable[[int], object] | None = None,
) -> Iterator[Entries]:
    """Read the objects and lists that lie `depth` objects or lists deep, in blocks.

    Args:
        path: UTF-8 JSON file whose root is an object.
        depth: 1 for the values of the root, 2 for those of its values, ...
        under: only those under these keys of the root, in whatever order the file has them; at depth 2 these keys hold
            lists. None takes all.
        required: keys of the root that must be there, be they empty.
        what: the expected content, for messages.
        progress: is told how many bytes have been read since it was last called.

    Raises:
        PgtfastError: the file cannot be read, is not JSON, a value in that depth is neither object nor list, a key
        holds no list or is missing.
    """
    scanner = _Scanner(Path(path), depth, tuple(under), what)
    try:
        with open(path, "rb") as file:
            while True:
                block = file.read(BLOCK)
                entries = scanner.feed(block)
                if progress is not None and block:
                    progress(len(block))
                if entries.texts:
                    yield entries
                if not block:
                    break
    except FileNotFoundError as error:
        raise PgtfastError(f"{path}: no such file") from error
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be read ({error.strerror})") from error
    for key in required:
        if key not in scanner.seen:
            raise PgtfastError(f"{path}: key '{key}': wanted a list of objects ({what}), got none")


def stream_lists(
    path: str | Path,
    kinds: Mapping[str, Any],
    what: str,
    *,
    required: Sequence[str] = (),
    progress: Callable[[int], object] | None = None,
) -> Iterator[tuple[str, int, Any]]:
    """Entries of the lists under some keys of the object that a JSON file holds, decoded one at a time.

    Args:
        path: UTF-8 JSON.
        kinds: key -> type of its entries, as `decode` takes it; values under other keys are ignored.
        what: the expected content, for messages.
        required: those of the lists that must be there, be they empty.
        progress: is told how many bytes have been read since it was last called.

    Yields:
        key, index in its list, entry.

    Raises:
        PgtfastError: as :func:`read_entries`; or an entry is of another type: the message names list, index and key.
    """
    for block in read_entries(path, 2, tuple(kinds), required=required, what=what, progress=progress):
        for (key, index), text in zip(block.keys, block.texts, strict=True):
            yield key, int(index), decode(text, kinds[key], f"{path}: {key}[{index}]")


class _Scanner:
    def __init__(self, path: Path, depth: int, under: tuple[str, ...], what: str) -> None:
        self.path, self.depth, self.under = path, depth, under
        self.what = what or "an object of people"
        self.seen: set[str] = set()
        """Keys of the root."""
        self.data = b""
        self.start = 0
        """Where `data` begins in the file."""
        self.open: list[tuple[str, str | None]] = []
        """Brackets that are open where `data` begins, each with the key that it lies under."""
        self.counts: Counter[tuple[str, ...]] = Counter()
        """Entries so far of each list."""

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
        around = f'"{_MARK}"'.encode().join([*pieces, data[place:stop]])
        stack = [bracket for bracket, _ in self.open]
        head = "".join(bracket if key is None else f"{json.dumps(key)}:{bracket}" for bracket, key in self.open)
        if stack:
            head += f'"":"{_BEFORE}"' if stack[-1] == "{" else f'"{_BEFORE}"'
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
        try:
            text = head + around.decode("utf-8" if self.start else "utf-8-sig") + tail
            tree = json.loads(text, object_pairs_hook=_Object)
        except json.JSONDecodeError as error:
            raise self._error(error.msg) from error
        except (ValueError, RecursionError) as error:
            raise self._error(f"{type(error).__name__}: {error}") from error
        if not isinstance(tree, _Object):
            named = f" with {' and '.join(map(repr, self.under))}" if self.under else ""
            raise PgtfastError(f"{self.path}: wanted a JSON object{named} ({self.what}), got {brief(tree)}")
        keys: list[tuple[str, ...]] = []
        chosen: list[bool] = []
        self._collect(tree, (), keys, chosen)
        self.open = self._opened(tree, stack)
        return Entries(keys, list(compress(texts, chosen)))

    def _collect(self, tree: Any, above: tuple[str, ...], keys: list[tuple[str, ...]], chosen: list[bool]) -> None:
        """Keys of the chosen entries in the order of the file, and of all entries whether they are chosen."""
        lies_in = len(above) + 1
        members = tree if isinstance(tree, _Object) else [(None, value) for value in tree]
        for key, value in members:
            if value == _BEFORE:
                continue
            here = (*above, str(self.counts[above]) if key is None else key)
            wanted = not self.under or here[0] in self.under
            if lies_in == 1:
                self.seen.add(here[0])
            if lies_in == self.depth:
                self.counts[above] += 1
                if value == _MARK:
                    chosen.append(wanted)
                    keys += [here] if wanted else []
                elif wanted:
                    place = here[0] + "".join(f"[{k}]" for k in here[1:])
                    raise PgtfastError(f"{self.path}: {place[:200]}: wanted an object, got {brief(value)}")
            elif wanted and self.under and type(value) is not list:
                raise PgtfastError(
                    f"{self.path}: key '{key}': wanted a list of objects ({self.what}), got {brief(value)}"
                )
            elif isinstance(value, list):
                self._collect(value, here, keys, chosen)

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
            f"{self.path}: not JSON, in the {len(self.data)} bytes from byte {self.start} on ({detail}); "
            f"truncated? Copy or download it again"
        )


def _backslashes(data: bytes, at: int) -> int:
    """How many backslashes lie before a place."""
    start = at
    while start and data[start - 1] == 92:
        start -= 1
    return at - start
