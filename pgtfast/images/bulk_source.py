"""Encoded pictures of a bulk run: none from outside their folder, and none called missing because the folder went
away.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

from .._errors import PgtfastError

ABSENT = (
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO,
)  # fmt: skip
"""What the system says of a file that is not there or may not be read; all else is a disk or network in trouble."""


def leads_out(name: str) -> bool:
    """Whether an image name leads out of the folder of the images."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts


class Place(NamedTuple):
    """Where a picture lies in a tar."""

    name: str
    tar: int
    """Which of the tars."""
    offset: int
    """Byte of its first."""
    size: int
    """Bytes."""


class Pictures(Protocol):
    """Where the pictures of a bulk run lie."""

    def read(self, name: str, place: Place | None) -> bytes:
        """The encoded picture.

        Args:
            name: as annotated.
            place: where it lies, for pictures in tars.

        Raises:
            LookupError: "code: detail" where there is no such picture.
            PgtfastError: the disk or the network is in trouble.
        """


class FolderPictures:
    """Pictures of a folder.

    Args:
        root: the folder.
        follow_links: whether links may lead out of it.

    Raises:
        PgtfastError: there is no such folder.
    """

    def __init__(self, root: Path, *, follow_links: bool = False) -> None:
        self.root, self.follow_links = root, follow_links
        self.identity = self._identity()
        if self.identity is None:
            raise PgtfastError(
                f"{root}: no such image folder; name the folder that the annotations' file names are relative to"
            )
        self._real = os.path.join(os.path.realpath(root), "")

    def _identity(self) -> tuple[int, int] | None:
        try:
            held = os.stat(self.root)
        except OSError:
            return None
        return (held.st_dev, held.st_ino) if stat.S_ISDIR(held.st_mode) else None

    def read(self, name: str, place: Place | None = None) -> bytes:
        path = os.path.join(self._real, name)
        try:
            # without waiting, lest a named pipe stop the run
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                if not self.follow_links and not _opened(file, path).startswith(self._real):
                    raise LookupError(
                        f"outside: {name[:200]} is a link that leaves the folder of images; see --follow-links"
                    )
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    raise LookupError("missing: not a file")
                with open(file, "rb", closefd=False) as content:
                    return content.read()
            finally:
                os.close(file)
        except OSError as error:
            if error.errno not in ABSENT:
                raise PgtfastError(
                    f"{path}: cannot be read ({error.strerror}); mend the disk or the network, then the same command "
                    "goes on"
                ) from error
            if self._identity() != self.identity:
                raise PgtfastError(
                    f"{self.root}: the image folder went away; bring it back, then the same command goes on"
                ) from error
            raise LookupError(f"missing: {error.strerror}") from error


def _opened(file: int, path: str) -> str:
    """Where the file that was opened as `path` lies, behind all links."""
    try:
        return os.readlink(f"/proc/self/fd/{file}")  # of the very file, whatever the path names by now
    except OSError:  # no /proc
        return os.path.realpath(path)


class TarPictures:
    """Pictures in uncompressed tars, read at their places.

    Raises:
        PgtfastError: a tar cannot be opened.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self._files: list[int] = []
        for path in paths:
            try:
                self._files.append(os.open(path, os.O_RDONLY))
            except OSError as error:
                self.close()
                raise PgtfastError(f"{path}: cannot be read ({error.strerror})") from error

    def read(self, name: str, place: Place | None) -> bytes:
        if place is None:
            raise LookupError("missing: not in the tars")
        try:
            data = os.pread(self._files[place.tar], place.size, place.offset)
            while len(data) < place.size and (
                more := os.pread(self._files[place.tar], place.size - len(data), place.offset + len(data))
            ):
                data += more
        except OSError as error:
            raise PgtfastError(
                f"{self.paths[place.tar]}: cannot be read ({error.strerror}); mend the disk or the network, then the "
                "same command goes on"
            ) from error
        return data

    def close(self) -> None:
        """Close the tars."""
        while self._files:
            os.close(self._files.pop())

    def __del__(self) -> None:
        self.close()
