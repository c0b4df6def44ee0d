"""Several processes of one machine: each asks for a numbered piece of work when it is ready for one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol

from .._errors import PgtfastError
from .stop import Stop

TRIES = 2
"""So many processes may die over a piece before it is given up, and so many for each of the first ones without a
piece.
"""

ENDING = (signal.SIGINT, signal.SIGTERM)
"""Signals that the parent alone heeds."""


class Task(Protocol):
    """What a process does; it is sent there by pickle."""

    def __call__(self, numbers: Iterator[int], report: Callable[[int, Any], None]) -> None:
        """Do the pieces of these numbers and report the result of each, from any thread; PgtfastErrors end the run."""


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    task: Task
    pieces: set[int] = field(default_factory=set)
    """Given out and not yet reported."""


def run_processes(
    tasks: Sequence[Task],
    numbers: Sequence[int],
    reported: Callable[[Any], object],
    stop: Stop,
    *,
    piece: str = "piece",
) -> None:
    """Do numbered pieces of work in one process a task.

    Pieces of a process that dies go to another one, which is started in its place.

    Args:
        tasks: what each process does.
        numbers: of the pieces.
        reported: is called with each result.
        stop: nothing is given out any more once it has a signal.
        piece: word for a piece, for messages.

    Raises:
        PgtfastError: of a process; or pieces over which processes died; or all died without one.
    """
    queue, tries, failed = deque(numbers), dict[int, int](), list[str]()
    idle = 0  # processes that died without a piece
    workers: list[_Worker] = []
    try:
        workers += [_started(task) for task in tasks[: len(numbers)]]
        enough = TRIES * len(workers)
        while workers:
            ready = connection.wait([worker.pipe for worker in workers])
            for worker in [w for w in workers if w.pipe in ready]:
                try:
                    kind, content = worker.pipe.recv()
                except (EOFError, OSError):
                    workers.remove(worker)
                    _ended(worker, queue, tries, failed, piece)
                    died = worker.process.exitcode
                    idle += bool(died and not worker.pieces)
                    if died and queue and stop.signal is None and not failed:
                        if worker.pieces or idle < enough:
                            workers.append(_started(worker.task))
                        elif not workers:
                            failed.append(
                                f"{idle} processes died without a {piece}, the last with exit code {died} "
                                "(negative: a signal; out of memory?); the same command goes on from the parts that "
                                "are there"
                            )
                    continue
                if kind == "next":
                    number = queue.popleft() if queue and stop.signal is None and not failed else None
                    _give(worker, number, queue)
                elif kind == "done":
                    number, result = content
                    worker.pieces.discard(number)
                    reported(result)
                elif kind == "failed":
                    failed.append(content)
    finally:
        for worker in workers:
            worker.process.kill()
    if failed:
        raise PgtfastError("; ".join(dict.fromkeys(failed)))


def _started(task: Task) -> _Worker:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, task), daemon=True)
    resource_tracker.ensure_running()  # else it starts within, and then lets the signals through
    # a Ctrl-C in the terminal is for all: children have it blocked from birth, here it comes after the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    there.close()
    return _Worker(process, here, task)


def _give(worker: _Worker, number: int | None, queue: deque[int]) -> None:
    """Answer a process that asked for a piece."""
    try:
        worker.pipe.send(number)
    except OSError:  # it has died since; the end of its pipe is read next
        if number is not None:
            queue.appendleft(number)
        return
    if number is not None:
        worker.pieces.add(number)


def _ended(worker: _Worker, queue: deque[int], tries: dict[int, int], failed: list[str], piece: str) -> None:
    """Give the pieces of a process that has ended to others."""
    worker.process.join()
    for number in sorted(worker.pieces):
        tries[number] = tries.get(number, 0) + 1
        if tries[number] < TRIES:
            queue.append(number)
        else:
            failed.append(
                f"{piece} {number}: {TRIES} processes died over it, the last with exit code {worker.process.exitcode} "
                "(negative: a signal; out of memory?); the same command goes on from the parts that are there"
            )


def _serve(pipe: Connection, task: Task) -> None:
    """A process's life."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)  # the parent decides when to end
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sending = threading.Lock()

    def send(kind: str, content: Any) -> None:
        with sending:
            pipe.send((kind, content))

    def numbers() -> Iterator[int]:
        while True:
            send("next", None)
            number = pipe.recv()
            if number is None:
                return
            yield number

    try:
        task(numbers(), lambda number, result: send("done", (number, result)))
    except PgtfastError as error:
        send("failed", str(error))
    pipe.close()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
