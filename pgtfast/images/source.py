"""Encoded images by name, from a folder or tars: none from outside, and none missing because the folder went away."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from .._errors import PgtfastError
from ..files.tars import tar_members
from ..people import ImageSet, Reason, Skip
from .headers import UnreadableError, check_decodable, read_header

PROBED = 32
"""So many images of a set are looked for before anything is read."""
SIZE_TOLERANCE = 2
"""Pixels by which an annotation's image size may differ from the file's."""
ABSENT = (
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO,
)  # fmt: skip
"""Errors of the system for a file that does not exist or may not be read; others are a disk or network in trouble."""
_CURE = "fix the disk or the network, then the same command resumes"


def escapes_root(name: str) -> bool:
    """Whether an image name leads out of the folder of the images."""
    return name.startswith("/") or ".." in name.split("/")


class Location(NamedTuple):
    """Where an image lies in tars."""

    name: str
    tar: int
    """Index of the tar."""
    offset: int
    """Its first byte."""
    size: int
    """Bytes."""


class NoImageError(LookupError):
    """There is no such image that may be read.

    Args:
        code: of the reason.
        detail: what was found in its place.
    """

    def __init__(self, code: Reason, detail: str) -> None:
        self.skip = Skip(code, detail)
        super().__init__(self.skip)


class ImageSource(Protocol):
    """Where encoded images lie."""

    def read(self, name: str, location: Location | None = None) -> bytes:
        """The encoded image.

        Args:
            name: as annotated.
            location: where it lies, for images in tars that were not indexed.

        Raises:
            NoImageError: there is no such image.
            PgtfastError: the disk or the network is in trouble.
        """

    def close(self) -> None:
        """Close what is open."""


class FolderSource:
    """Images of a folder.

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
            status = os.stat(self.root)
        except OSError:
            return None
        return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None

    def read(self, name: str, location: Location | None = None) -> bytes:
        """See :meth:`ImageSource.read`."""
        if escapes_root(name):
            raise NoImageError(Reason.OUTSIDE, f"{name[:200]} leaves the folder of images; write names relative to it")
        path = self._real + name
        try:
            # without waiting, lest a named pipe stop the run
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                if not self.follow_links and not _opened(file, path).startswith(self._real):
                    raise NoImageError(
                        Reason.OUTSIDE,
                        f"{name[:200]} is a link that leaves the folder of images; see --follow-links",
                    )
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    raise NoImageError(Reason.MISSING, "not a file")
                with open(file, "rb", closefd=False) as content:
                    return content.read()
            finally:
                os.close(file)
        except OSError as error:
            if error.errno not in ABSENT:
                raise PgtfastError(f"{path}: cannot be read ({error.strerror}); {_CURE}") from error
            if self._identity() != self.identity:
                raise PgtfastError(
                    f"{self.root}: the image folder went away; bring it back, then the same command resumes"
                ) from error
            raise NoImageError(Reason.MISSING, str(error.strerror)) from error
        except ValueError as error:  # a zero byte, or no Unicode
            raise NoImageError(Reason.BAD_IMAGE, f"file_name: {error}") from error

    def close(self) -> None:
        """Nothing is open."""


def _opened(file: int, path: str) -> str:
    """Where the file that was opened as `path` lies, behind all links."""
    try:
        return os.readlink(f"/proc/self/fd/{file}")  # of the very file, whatever the path names by now
    except OSError:  # no /proc
        return os.path.realpath(path)


class TarSource:
    """Images in uncompressed tars, read at their locations.

    Args:
        paths: the tars.
        indexed: whether to go through the tars for the locations of all images; else each is given to :meth:`read`.

    Raises:
        PgtfastError: a tar cannot be opened.
    """

    def __init__(self, paths: Sequence[Path], *, indexed: bool = True) -> None:
        self.paths = list(paths)
        self._files: list[int] = []
        self._index: dict[str, Location] = {}
        for number, path in enumerate(paths):
            if indexed:
                self._index.update((name, Location(name, number, *at)) for name, *at in tar_members(path))
            try:
                self._files.append(os.open(path, os.O_RDONLY))
            except OSError as error:
                self.close()
                raise PgtfastError(f"{path}: cannot be read ({error.strerror})") from error

    def read(self, name: str, location: Location | None = None) -> bytes:
        """See :meth:`ImageSource.read`."""
        location = location or self._index.get(name)
        if location is None:
            raise NoImageError(Reason.MISSING, "not in the tars")
        file, data = self._files[location.tar], b""
        try:
            while len(data) < location.size and (
                more := os.pread(file, location.size - len(data), location.offset + len(data))
            ):
                data = data + more if data else more
        except OSError as error:
            raise PgtfastError(f"{self.paths[location.tar]}: cannot be read ({error.strerror}); {_CURE}") from error
        return data

    def close(self) -> None:
        """Close the tars."""
        while self._files:
            os.close(self._files.pop())

    def __del__(self) -> None:
        self.close()


def open_source(
    images: Path | str | Sequence[Path | str], *, follow_links: bool = False, indexed: bool = True
) -> ImageSource:
    """The images of a set.

    Args:
        images: their folder, or tars.
        follow_links: whether links may lead out of the folder.
        indexed: see :class:`TarSource`.

    Raises:
        PgtfastError: the folder or a tar is missing.
    """
    paths = [Path(images)] if isinstance(images, str | Path) else [Path(path) for path in images]
    if len(paths) == 1 and paths[0].suffix != ".tar":
        return FolderSource(paths[0], follow_links=follow_links)
    for path in paths:
        if path.suffix != ".tar":
            raise PgtfastError(f"{path}: wanted one image folder, or tars (*.tar)")
    return TarSource(paths, indexed=indexed)


def check_images(image_set: ImageSet, source: ImageSource, rows: np.ndarray) -> None:
    """Look for a few images of a set.

    Raises:
        PgtfastError: none of them can be read; the message says why of the first.
    """
    people, reason = image_set.people, None
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(PROBED, len(rows))).astype(np.int64))]
    for row in chosen:
        try:
            source.read(people.image_path[row])
            return
        except NoImageError as error:
            reason = reason or error.skip
    if reason is not None:
        raise PgtfastError(
            f"{people.dataset}: none of {len(chosen)} images looked for is in {image_set.images}, for example "
            f"{people.image_path[chosen[0]]} ({reason.detail}); name the folder that the annotations' file names are "
            "relative to"
        )


class EncodedImage(NamedTuple):
    """An encoded image that was read, or why it is skipped."""

    data: np.ndarray | None
    """(bytes,) uint8."""
    width: int
    """As decoded: rotated by EXIF where that was asked for."""
    height: int
    reason: Skip | None


def read_image(
    source: ImageSource,
    name: str,
    size: tuple[int, int],
    *,
    adjust_orientation: bool,
    location: Location | None = None,
) -> EncodedImage:
    """Read an image and validate it against its annotation.

    Args:
        source: where it lies.
        name: in the source.
        size: width and height that the annotation gives; 0 where unknown.
        adjust_orientation: whether it will be rotated as its EXIF block says.
        location: see :meth:`ImageSource.read`.

    Raises:
        PgtfastError: the disk or the network is in trouble.
    """
    try:
        data = source.read(name, location)
    except NoImageError as error:
        return EncodedImage(None, 0, 0, error.skip)
    return validate_image(data, size, adjust_orientation=adjust_orientation)


def validate_image(data: bytes, size: tuple[int, int], *, adjust_orientation: bool) -> EncodedImage:
    """Validate an encoded image against its annotation; the arguments are those of :func:`read_image`."""
    try:
        header = read_header(data)
        check_decodable(data, header)
    except UnreadableError as error:
        return EncodedImage(None, 0, 0, error.skip)
    width, height = header.width, header.height
    rotated = header.orientation >= 5
    if adjust_orientation and rotated:
        width, height = height, width
    if size[0] > 0 and size[1] > 0 and max(abs(width - size[0]), abs(height - size[1])) > SIZE_TOLERANCE:
        hint = ""
        if rotated and max(abs(height - size[0]), abs(width - size[1])) <= SIZE_TOLERANCE:
            hint = f"; its EXIF orientation is {header.orientation}: set adjust_orientation={not adjust_orientation}"
        detail = f"the file is {width} x {height} pixels, its annotation says {size[0]} x {size[1]}{hint}"
        return EncodedImage(None, 0, 0, Skip(Reason.SIZE, detail))
    return EncodedImage(np.frombuffer(data, np.uint8), width, height, None)
