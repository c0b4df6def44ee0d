"""SIGINT and SIGTERM as a wish to stop, which a run grants where it can be resumed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")
SETTLE = 2.0
"""Seconds in which signals are one wish: `timeout` sends it to the process and to its group, torchrun passes on what
its processes got too."""


class Stop:
    """Within the block the two signals are noted instead of ending the process; once more ends it at once.

    Outside the main thread the signals are left to whoever has that.

    Args:
        notice: is said when the first comes.
        settle: seconds after the first in which more of them are the same wish.
        kill: whether a further one ends the process itself, where it otherwise does what it did before the block (of
            SIGINT: KeyboardInterrupt).
        agree: makes one answer of those of several processes: called at each :meth:`asked`.

    Attributes:
        signal: number of the first signal, None before.
    """

    def __init__(
        self,
        notice: str = "",
        *,
        settle: float = SETTLE,
        kill: bool = False,
        agree: Callable[[bool], bool] | None = None,
    ) -> None:
        self.signal: int | None = None
        self._notice, self._settle, self._kill, self._agree = notice, settle, kill, agree
        self._since = 0.0
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def asked(self) -> bool:
        """Whether to stop now."""
        asked = self.signal is not None
        return asked if self._agree is None else self._agree(asked)

    def until(self, items: Iterable[T]) -> Iterator[T]:
        """Items, as long as there is no signal."""
        for item in items:
            if self.asked():
                return
            yield item

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.signal is None:
            self.signal, self._since = number, now
            if self._notice:
                os.write(2, f"\n{self._notice}\n".encode())  # print is not safe in a handler
        elif now - self._since > self._settle:
            self._restore()
            if self._kill:
                signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}
