"""JSON of any size: the lists of a file's outermost object, an entry at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from .._errors import PgtfastError
from .json_values import brief

BLOCK = 1 << 20
"""Characters read at once."""
LONGEST = 1 << 26
"""Characters of the longest entry: what does not end by then is no such file."""
_SPACE = re.compile(r"[ \t\n\r]*")


def stream_lists(
    path: str | Path,
    keys: tuple[str, ...],
    what: str,
    *,
    required: tuple[str, ...] = (),
    progress: Callable[[int], object] | None = None,
) -> Iterator[tuple[str, int, Any]]:
    """Entries of the lists under some keys of the object that a JSON file holds; no more than one entry is in memory.

    Args:
        path: UTF-8 JSON.
        keys: the lists wanted, in whatever order the file has them; values under other keys are passed over.
        what: the expected content, for messages.
        required: those of the lists that must be there, be they empty.
        progress: is told how many characters have been read since it was last called.

    Yields:
        key, place in its list, entry.

    Raises:
        PgtfastError: the file cannot be read, is no JSON object, a wanted key holds no list, or a required one is missing.
    """
    path = Path(path)
    try:
        with open(path, encoding="utf-8-sig") as file:
            yield from _Walk(path, file, what, progress).lists(keys, required)
    except FileNotFoundError as error:
        raise PgtfastError(f"{path}: no such file") from error
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise PgtfastError(f"{path}: not JSON ({type(error).__name__}); wanted {what} as UTF-8 JSON") from error


class _Walk:
    """A place in a file, and the text around it."""

    def __init__(self, path: Path, file: TextIO, what: str, progress: Callable[[int], object] | None) -> None:
        self.path, self.file, self.what, self.progress = path, file, what, progress
        self.text, self.at, self.before, self.ended = "", 0, 0, False
        self.decode = json.JSONDecoder().raw_decode

    def lists(self, keys: tuple[str, ...], required: tuple[str, ...]) -> Iterator[tuple[str, int, Any]]:
        if self.peek() != "{":
            named = " and ".join(repr(key) for key in keys)
            got = brief(self.text[self.at : self.at + 200]) if self.text else "an empty file"
            raise PgtfastError(f"{self.path}: wanted a JSON object with {named} ({self.what}), got {got}")
        seen = set[str]()
        for key in self.members():
            seen.add(key)
            if self.peek() == "[":
                for place, entry in self.entries():
                    if key in keys:
                        yield key, place, entry
            else:
                value = self.value()
                if key in keys:
                    raise PgtfastError(
                        f"{self.path}: key '{key}': wanted a list of objects ({self.what}), got {brief(value)}"
                    )
        if self.peek():
            raise self.damaged("text after the object's end")
        for key in required:
            if key not in seen:
                raise PgtfastError(f"{self.path}: key '{key}': wanted a list of objects ({self.what}), got none")

    def members(self) -> Iterator[str]:
        """Keys of the object at hand; whoever asks for the next has taken the value."""
        self.at += 1
        if self.peek() == "}":
            self.at += 1
            return
        while True:
            if self.peek() != '"':
                raise self.damaged("wanted a key")
            key = self.value()
            if self.peek() != ":":
                raise self.damaged("wanted ':'")
            self.at += 1
            yield key
            if not self.more("}"):
                return

    def entries(self) -> Iterator[tuple[int, Any]]:
        """The entries of the list at hand."""
        self.at += 1
        if self.peek() == "]":
            self.at += 1
            return
        place = 0
        while True:
            yield place, self.value()
            place += 1
            if not self.more("]"):
                return

    def more(self, end: str) -> bool:
        """Pass a comma, or the end."""
        mark = self.peek()
        if mark not in (",", end) or not mark:
            raise self.damaged(f"wanted ',' or '{end}'")
        self.at += 1
        return mark == ","

    def peek(self) -> str:
        """The next character that is no space; "" at the end of the file."""
        while True:
            self.at = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.read(BLOCK):
                return ""

    def value(self) -> Any:
        """The value at hand."""
        self.peek()
        size = BLOCK
        while True:
            try:
                value, end = self.decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if len(self.text) - self.at > LONGEST or not self.read(size):
                    raise self.damaged(error.msg, error.pos) from error
            except ValueError as error:
                where = self.before + self.at
                raise PgtfastError(f"{self.path}: cannot be read behind character {where} ({error})") from error
            else:
                # a number may go on behind what has been read: of "1e-7", "1e-" reads as 1
                if end + len("e-") < len(self.text) or not self.read(size):
                    self.at = end
                    return value
            size *= 2

    def read(self, size: int) -> bool:
        """Take in more text; whether there was any."""
        block = "" if self.ended else self.file.read(size)
        if not block:
            self.ended = True
            return False
        self.before += self.at
        self.text, self.at = self.text[self.at :] + block, 0
        if self.progress is not None:
            self.progress(len(block))
        return True

    def damaged(self, told: str, at: int | None = None) -> PgtfastError:
        where = self.before + (self.at if at is None else at)
        return PgtfastError(
            f"{self.path}: not JSON ({told} at character {where}); truncated? Copy or download it again"
        )
