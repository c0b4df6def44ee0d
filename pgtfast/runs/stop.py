"""Ctrl-C and SIGTERM: the first lets the shards in work end, the second ends at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any


class Stop:
    """Within the block the two signals are noted instead of ending the process."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._noted)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _noted(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.signal = number
        # print is not safe in a handler
        os.write(2, b"\nending after the shards in work; once more ends at once\n")

    def until(self, shards: Iterable[int]) -> Iterator[int]:
        """Shards, as long as there is no signal."""
        for number in shards:
            if self.signal is not None:
                return
            yield number
