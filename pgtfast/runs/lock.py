"""A lock that one process at a time holds, and that the end of the process gives back."""

from __future__ import annotations

import os
from pathlib import Path

from .._errors import PgtfastError


class Lock:
    """Held from creation to :meth:`release`, or to the end of the process, however it ends.

    Args:
        path: file that stands for the lock; made if absent.
        busy: message where another process holds it.

    Raises:
        PgtfastError: another process holds it.
    """

    def __init__(self, path: Path, busy: str) -> None:
        import fcntl

        self._handle: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise PgtfastError(busy) from None

    def release(self) -> None:
        """Let other processes have it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()
