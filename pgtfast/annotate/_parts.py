"""Bodies gathered into the parts of the store, on a thread of their own: one part a shard, each of its people once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..loading.bulk import Finished, PersonCrops, Shard
from ..people import Reason, Skip
from ..people.arrow import to_arrow
from ..quality.measure import Origin, solved
from ..runs.parts import PartNote, write_part
from ._bodies import Found

LOST = Skip(Reason.NO_CROP, "the loader gave no crop of this person")
Arrays = dict[str, np.ndarray | None]
"""Of some people, by name; None for what nobody has."""
AHEAD = 8
"""Batches that may wait for the writer."""


class Written(NamedTuple):
    """A part that is there."""

    shard: int
    note: PartNote
    annotated: int
    """People of it that went through the network."""


class _Bodies(NamedTuple):
    """Of B people: shard and row (B,) of each."""

    shard: np.ndarray
    row: np.ndarray
    found: Found


class PartWriter:
    """Takes bodies and ends of shards in their order, waits for the device, and writes.

    Leaving the block waits until all is written; where it is left by an error nothing more is.

    Args:
        folder: of the run.
        origin: of the bodies.
        written: is called with each part that is there, in the writer's thread.
    """

    def __init__(self, folder: Path, origin: Origin, written: Callable[[Written], object]) -> None:
        self.folder, self.origin, self.written = folder, origin, written
        self._queue: queue.Queue[_Bodies | Finished | None] = queue.Queue(AHEAD)
        self._error: BaseException | None = None
        self._waiting: dict[int, list[tuple[np.ndarray, Arrays]]] = {}
        self._thread = threading.Thread(target=self._work, name="pgtfast-writer", daemon=True)

    def __enter__(self) -> PartWriter:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is not None and self._error is None:
            self._error = RuntimeError("the run ends")
        self._queue.put(None)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def add(self, crops: PersonCrops, found: Found) -> None:
        """Take the bodies of a batch; waits where the writer is far behind."""
        self._put(_Bodies(crops.shard, crops.row, found))

    def finish(self, end: Finished) -> None:
        """Nobody of this shard comes any more."""
        self._put(end)

    def _put(self, item: _Bodies | Finished) -> None:
        if self._error is not None:
            raise self._error
        self._queue.put(item)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is not None:
                continue  # what comes is taken and dropped, lest who puts it waits for ever
            try:
                if isinstance(item, Finished):
                    self._write(item.shard)
                else:
                    found = item.found.result()
                    for number in np.unique(item.shard):
                        mine = item.shard == number
                        self._waiting.setdefault(int(number), []).append((item.row[mine], _chosen(found, mine)))
            except BaseException as error:
                self._error = error  # raised in the thread that puts

    def _write(self, shard: Shard) -> None:
        held = self._waiting.pop(shard.number, [])
        people = shard.people
        annotated = np.concatenate([np.zeros(0, np.int64), *(index for index, _ in held)])
        order = np.argsort(annotated)
        found = _chosen(_joined([found for _, found in held]), order) if held else {}
        lost = people.usable
        lost[annotated] = False
        people.reason[lost] = LOST
        table = to_arrow(solved(people, annotated[order], found, self.origin))
        self.written(Written(shard.number, write_part(self.folder, shard.number, table), len(annotated)))


def _chosen(found: Arrays, index: np.ndarray) -> Arrays:
    return {name: None if values is None else values[index] for name, values in found.items()}


def _joined(found: list[Arrays]) -> Arrays:
    return {
        name: None if values is None else np.concatenate([part[name] for part in found])  # type: ignore[misc]
        for name, values in found[0].items()
    }
