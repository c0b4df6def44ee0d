"""Which images there are in a folder or in tars."""

from __future__ import annotations

import os
from pathlib import Path

from .._errors import PgtfastError
from ..files.tars import tar_members

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".jp2")


def list_images(images: Path | tuple[Path, ...], *, follow_links: bool = False) -> list[str]:
    """Names of all pictures of a folder and the folders in it, or of tars, sorted.

    Args:
        images: the folder or the tars.
        follow_links: whether folders that are links are gone into too.

    Raises:
        PgtfastError: there are none, or a folder or a tar cannot be read.
    """
    names: list[str] = []
    if isinstance(images, Path):
        for folder, inner, files in os.walk(images, onerror=_unreadable, followlinks=follow_links):
            inner[:] = [name for name in inner if not _leads_back(os.path.join(folder, name))]
            names += [os.path.relpath(os.path.join(folder, name), images) for name in files]
    else:
        names = [name for path in images for name, *_ in tar_members(path)]
    found = sorted({name for name in names if name.lower().endswith(IMAGE_SUFFIXES)})
    if not found:
        where = images if isinstance(images, Path) else ", ".join(map(str, images))
        raise PgtfastError(f"{where}: no pictures in it (*{', *'.join(IMAGE_SUFFIXES)})")
    return found


def _leads_back(folder: str) -> bool:
    """Whether a folder is a link to one of those above it, which would be gone into for ever."""
    return os.path.islink(folder) and any(os.path.samefile(folder, up) for up in Path(folder).absolute().parents)


def _unreadable(error: OSError) -> None:
    raise PgtfastError(f"{error.filename}: cannot be listed ({error.strerror})") from error
