"""Members of uncompressed tars."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

from .._errors import PgtfastError


def tar_members(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, first byte and bytes of each file in an uncompressed tar."""
    try:
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                if member.isreg():
                    yield member.name.removeprefix("./"), member.offset_data, member.size
                tar.members = []  # type: ignore[attr-defined]  # tarfile would keep them all
            # tarfile also stops, and says nothing, at a header that is cut or damaged; a whole tar ends in zeros
            tar.fileobj.seek(tar.offset)  # type: ignore[union-attr]
            if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # type: ignore[union-attr]
                raise PgtfastError(f"{path}: ends without an end mark; truncated or damaged? Copy it again")
    except (OSError, tarfile.TarError) as error:
        raise PgtfastError(f"{path}: cannot be read as an uncompressed tar ({error})") from error
