"""Encoded pictures by name, from folders or tars."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from .._errors import PgtfastError
from ..files.tars import tar_members
from ..people.sets import ImageSet
from .headers import check_decodable, read_header

PROBED = 32
"""So many images of a set are looked for before anything is read."""
SIZE_TOLERANCE = 2
"""Pixels by which an annotation's image size may differ from the file's."""


class Source(Protocol):
    """Where the pictures of a set lie."""

    def read(self, name: str) -> bytes:
        """The encoded picture; OSError or KeyError where it is not there."""

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""


class Folder:
    """A folder of pictures."""

    def __init__(self, root: Path) -> None:
        self.root = root
        if not root.is_dir():
            raise PgtfastError(
                f"{root}: no such image folder; name the folder that the annotations' file names are relative to"
            )
        self._prefix = os.path.join(os.fspath(root), "")

    def read(self, name: str) -> bytes:
        file = os.open(self._prefix + name, os.O_RDONLY)
        try:
            size = os.fstat(file).st_size
            data = os.read(file, size)
            while len(data) < size and (more := os.read(file, size - len(data))):
                data += more
            return data
        finally:
            os.close(file)

    def has(self, name: str) -> bool:
        return os.path.isfile(self._prefix + name)


class Tars:
    """Members of WebDataset tars: each tar is gone through once for the places of its members, which are then read at
    their places.
    """

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self._files: list[int] = []
        self._places: dict[str, tuple[int, int, int]] = {}
        for path in paths:
            for name, offset, size in tar_members(path):
                self._places[name] = (len(self._files), offset, size)
            self._files.append(os.open(path, os.O_RDONLY))

    def read(self, name: str) -> bytes:
        file, offset, size = self._places[name]
        return os.pread(self._files[file], size, offset)

    def has(self, name: str) -> bool:
        return name in self._places

    def close(self) -> None:
        """Close the tars."""
        while self._files:
            os.close(self._files.pop())

    def __del__(self) -> None:
        self.close()


class Picture(NamedTuple):
    """An encoded picture that was read, or why it cannot be."""

    data: np.ndarray | None
    """(bytes,) uint8."""
    width: int
    """As decoded: turned by EXIF where that was asked for."""
    height: int
    reason: str | None
    """None, or "code: detail"."""


def open_source(image_set: ImageSet) -> Source:
    """The pictures of a set.

    Raises:
        PgtfastError: the folder or a tar is missing.
    """
    images = image_set.images
    paths = (images,) if isinstance(images, str | Path) else tuple(images)
    paths = tuple(Path(p) for p in paths)
    if len(paths) == 1 and paths[0].suffix != ".tar":
        return Folder(paths[0])
    for path in paths:
        if path.suffix != ".tar":
            raise PgtfastError(f"{path}: wanted one image folder, or tars (*.tar)")
    return Tars(paths)


def check_images(image_set: ImageSet, source: Source, rows: np.ndarray) -> None:
    """Look for a few images of a set.

    Raises:
        PgtfastError: none of them is there.
    """
    people = image_set.people
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(PROBED, len(rows))).astype(np.int64))]
    names = [people.image_path[row] for row in chosen]
    if names and not any(source.has(name) for name in names):
        raise PgtfastError(
            f"{people.dataset}: none of {len(names)} images looked for is in {image_set.images}, for example "
            f"{names[0]}; "
            "name the folder that the annotations' file names are relative to"
        )


def read_picture(source: Source, name: str, size: tuple[int, int], *, adjust_orientation: bool) -> Picture:
    """Read a picture and hold it against its annotation.

    Args:
        name: in the source.
        size: width and height that the annotation gives; 0 where unknown.
        adjust_orientation: whether it will be turned as its EXIF block says.
    """
    try:
        data = source.read(name)
    except (OSError, KeyError) as error:
        detail = error.strerror if isinstance(error, OSError) and error.strerror else "not in the tars"
        return Picture(None, 0, 0, f"missing: {detail}")
    return hold_against(data, size, adjust_orientation=adjust_orientation)


def hold_against(data: bytes, size: tuple[int, int], *, adjust_orientation: bool) -> Picture:
    """Hold an encoded picture against its annotation; the arguments are those of :func:`read_picture`."""
    try:
        header = read_header(data)
        check_decodable(data, header)
    except ValueError as error:
        return Picture(None, 0, 0, str(error))
    width, height = header.width, header.height
    turned = header.orientation >= 5
    if adjust_orientation and turned:
        width, height = height, width
    if size[0] > 0 and size[1] > 0 and max(abs(width - size[0]), abs(height - size[1])) > SIZE_TOLERANCE:
        hint = ""
        if turned and max(abs(height - size[0]), abs(width - size[1])) <= SIZE_TOLERANCE:
            hint = f"; its EXIF orientation is {header.orientation}: set adjust_orientation={not adjust_orientation}"
        return Picture(
            None, 0, 0, f"size: the file is {width} x {height} pixels, its annotation says {size[0]} x {size[1]}{hint}"
        )
    return Picture(np.frombuffer(data, np.uint8), width, height, None)
