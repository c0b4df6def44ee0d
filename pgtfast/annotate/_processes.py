"""Several processes of one machine, one a GPU: each asks for shards when it needs people."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from .._errors import PgtfastError
from ..runs.stop import Stop
from ._parts import Written
from ._work import Annotating, Job

TRIES = 2
"""So many processes may die over a shard before it is given up, and so many for each of the first ones without a shard."""

ENDING = (signal.SIGINT, signal.SIGTERM)
"""Signals that the parent alone heeds."""


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    device: str
    shards: set[int] = field(default_factory=set)
    """Given out and not yet written."""


def run_processes(job: Job, shards: list[int], count: int, written: Callable[[Written], object], stop: Stop) -> None:
    """Annotate shards in `count` processes.

    Shards of a process that dies go to another one, which is started in its place.

    Args:
        job: what each does; with device "cuda" process i has GPU i.
        shards: numbers of those to do.
        count: processes.
        written: is called with each part that is there.
        stop: nothing is given out any more once it has a signal.

    Raises:
        PgtfastError: of a process; or shards over which processes died; or all died without one.
    """
    queue, tries, failed = deque(shards), dict[int, int](), list[str]()
    idle = 0  # processes that died without a shard
    workers: list[_Worker] = []
    try:
        workers += [_started(job, device) for device in _devices(job.device, min(count, len(shards)))]
        enough = TRIES * len(workers)
        while workers:
            ready = connection.wait([worker.pipe for worker in workers])
            for worker in [w for w in workers if w.pipe in ready]:
                try:
                    kind, told = worker.pipe.recv()
                except (EOFError, OSError):
                    workers.remove(worker)
                    _ended(worker, queue, tries, failed)
                    died = worker.process.exitcode
                    idle += bool(died and not worker.shards)
                    if died and queue and stop.signal is None and not failed:
                        if worker.shards or idle < enough:
                            workers.append(_started(job, worker.device))
                        elif not workers:
                            failed.append(
                                f"{idle} processes died without a shard, the last with exit code {died} "
                                "(negative: a signal; out of memory?); the same command goes on from the parts that are there"
                            )
                    continue
                if kind == "next":
                    number = queue.popleft() if queue and stop.signal is None and not failed else None
                    _give(worker, number, queue)
                elif kind == "written":
                    worker.shards.discard(told.shard)
                    written(told)
                elif kind == "failed":
                    failed.append(told)
    finally:
        for worker in workers:
            worker.process.kill()
    if failed:
        raise PgtfastError("; ".join(dict.fromkeys(failed)))


def _started(job: Job, device: str) -> _Worker:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, replace(job, device=device)), daemon=True)
    resource_tracker.ensure_running()  # else it starts within, and then lets the signals through
    # a Ctrl-C in the terminal is for all: children have it blocked from birth, here it comes after the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    there.close()
    return _Worker(process, here, device)


def _devices(device: str, count: int) -> list[str]:
    if device != "cuda":
        return [device] * count
    import torch

    return [f"cuda:{number % torch.cuda.device_count()}" for number in range(count)]


def _give(worker: _Worker, number: int | None, queue: deque[int]) -> None:
    """Answer a process that asked for a shard."""
    try:
        worker.pipe.send(number)
    except OSError:  # it has died since; the end of its pipe is read next
        if number is not None:
            queue.appendleft(number)
        return
    if number is not None:
        worker.shards.add(number)


def _ended(worker: _Worker, queue: deque[int], tries: dict[int, int], failed: list[str]) -> None:
    """Give the shards of a process that has ended to others."""
    worker.process.join()
    for number in sorted(worker.shards):
        tries[number] = tries.get(number, 0) + 1
        if tries[number] < TRIES:
            queue.append(number)
        else:
            failed.append(
                f"shard {number}: {TRIES} processes died over it, the last with exit code {worker.process.exitcode} "
                "(negative: a signal; out of memory?); the same command goes on from the parts that are there"
            )


def _serve(pipe: Connection, job: Job) -> None:
    """A process's life."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)  # the parent decides when to end
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sending = threading.Lock()

    def send(kind: str, told: Any) -> None:
        with sending:
            pipe.send((kind, told))

    def shards() -> Iterator[int]:
        while True:
            send("next", None)
            number = pipe.recv()
            if number is None:
                return
            yield number

    try:
        Annotating(job).run(shards(), lambda part: send("written", part))
    except PgtfastError as error:
        send("failed", str(error))
    pipe.close()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
