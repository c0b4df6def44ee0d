"""Files and folders that appear whole or not at all, and never in place of another."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from .._errors import PgtfastError
from ..files.atomic import replacing


@contextlib.contextmanager
def new(target: Path, *, folder: bool) -> Iterator[Path]:
    """A temporary file or folder beside `target`, to be made by the block, that takes its name at the end."""
    if not target.parent.is_dir():
        raise PgtfastError(f"{target}: no such folder: {target.parent}")
    try:
        with _new_folder(target) if folder else replacing(target) as partial:
            yield partial
            refuse_existing(target)
    except (OSError, PgtfastError) as error:
        cause = error.__cause__ if isinstance(error, PgtfastError) else error
        if not isinstance(cause, OSError) or (cause is not error and f".{target.name}." not in str(error)):
            raise
        raise PgtfastError(f"{target}: cannot be written ({cause.strerror or cause})") from error


@contextlib.contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield partial
        refuse_existing(target)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def refuse_existing(target: Path) -> None:
    """Raise where there is something of that name."""
    if target.exists() or target.is_symlink():
        raise PgtfastError(f"{target}: exists already and is not overwritten; choose another name, or remove it")
