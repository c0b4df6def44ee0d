"""Interleaved timing on a machine that may be doing other things."""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

QUIET = 0.08
"""A sample counts as quiet when other processes used at most this share of the machine meanwhile."""


@dataclass(frozen=True)
class Timing:
    """Seconds per call: median and quartiles over the samples that counted."""

    median: float
    low: float
    high: float
    samples: int
    quiet: bool
    """Whether all that counted were quiet; else all samples were taken, and the figure is to be read with care."""


def _busy() -> float | None:
    """Seconds that all cores have been busy since boot, or None where the system does not say."""
    try:
        with open("/proc/stat") as file:
            ticks = [int(x) for x in file.readline().split()[1:9]]
    except OSError:
        return None
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """Seconds of processor time of this process and of its workers that are alive."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    total = sum(part.ru_utime + part.ru_stime for part in used)
    for worker in multiprocessing.active_children():
        try:
            ticks = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        except OSError:  # it ended, or there is no /proc
            continue
        total += sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return total


def sample(call: Callable[[], object], window: float) -> tuple[float, float]:
    """Mean seconds per call over at least `window` seconds, and the share of the machine that others used meanwhile."""
    busy, own, start = _busy(), own_seconds(), time.perf_counter()
    calls = 0
    while True:
        call()
        calls += 1
        elapsed = time.perf_counter() - start
        if elapsed >= window:
            break
    after = _busy()
    others = (
        0.0
        if busy is None or after is None
        else max(0.0, after - busy - (own_seconds() - own)) / ((os.cpu_count() or 1) * elapsed)
    )
    return elapsed / calls, others


def interleave(
    calls: Mapping[str, Callable[[], object]], *, rounds: int, window: float, budget: float, minimum: int = 3
) -> dict[str, Timing]:
    """Time several calls against each other: one sample of each in turn, so that a slow minute of the machine hits all
    alike.

    Args:
        calls: name -> call without arguments. Each has been called before (warm).
        rounds: samples wanted of each.
        window: least seconds of one sample.
        budget: seconds after which no further round starts, once each call has `minimum` samples.
        minimum: samples taken whatever they cost.
    """
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    start = time.perf_counter()
    for done in range(rounds):
        if done >= minimum and time.perf_counter() - start > budget:
            break
        for name, call in calls.items():
            samples[name].append(sample(call, window))
    return {name: summarise(rows) for name, rows in samples.items()}


def summarise(rows: list[tuple[float, float]]) -> Timing:
    """Quiet samples alone where there are at least three, else all."""
    quiet = [seconds for seconds, others in rows if others <= QUIET]
    kept = quiet if len(quiet) >= 3 else [seconds for seconds, _ in rows]
    low, _, high = statistics.quantiles(kept, n=4) if len(kept) > 1 else (kept[0],) * 3
    return Timing(statistics.median(kept), low, high, len(kept), len(quiet) >= 3)
