"""The pump between plans and crops: steps planned in a thread of their own, sent through DALI, fixed where an image
cannot
be decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from torch import Tensor

from ..images.pipeline import CropPipeline, Graph, Inputs


class Step(Protocol):
    """A batch on its way."""

    inputs: Inputs
    """What DALI is fed with; empty for a step without crops, which passes in its turn."""


S = TypeVar("S", bound=Step)


def planned_ahead(steps: Iterator[S], count: int) -> Generator[S, None, None]:
    """The steps in order, `count` of them planned ahead in a thread of its own as soon as the first is asked for."""
    with ThreadPoolExecutor(1) as planner:
        pending: deque[Future[S | None]] = deque()
        try:
            while True:
                while len(pending) < count:
                    pending.append(planner.submit(next, steps, None))
                step = pending.popleft().result()
                if step is None:
                    return
                yield step
        finally:
            for future in pending:
                future.cancel()


def pump(
    graph: Graph, steps: Iterator[S], fix: Callable[[S], list[S] | None], *, batch_size: int, prefetch: int
) -> Generator[tuple[S, Tensor | None], None, None]:
    """Send steps through DALI, `prefetch` at a time.

    Args:
        graph: what the pipeline is built for.
        steps: to be sent.
        fix: called with a step while an image of some step cannot be decoded: None where all of this one can be, else
            the steps that replace it.
        batch_size: most crops of a step.
        prefetch: steps in flight, and planned ahead of these.

    Yields:
        The steps in order, each with its crops (B, 3, H, W) float32; None for a step without inputs.
    """
    coming = planned_ahead(steps, prefetch)
    flight: deque[S] = deque()
    pipeline: CropPipeline | None = None
    try:
        while True:
            while sum(bool(step.inputs) for step in flight) < prefetch and (step := next(coming, None)) is not None:
                flight.append(step)
                if pipeline is not None and step.inputs:
                    pipeline.feed(step.inputs)
            if not flight:
                return
            if not flight[0].inputs:
                yield flight.popleft(), None
                continue
            if pipeline is None:
                fed = [step.inputs for step in flight if step.inputs]
                pipeline = CropPipeline(graph, batch_size, len(fed))
                for inputs in fed:
                    pipeline.feed(inputs)
            try:
                image = pipeline.fetch()
            except RuntimeError as error:
                pipeline = None
                _fix_first(flight, fix, error)
                continue
            yield flight.popleft(), image
    finally:
        coming.close()


def _fix_first(flight: deque[S], fix: Callable[[S], list[S] | None], error: RuntimeError) -> None:
    """Replace the first step that has an image that cannot be decoded.

    Raises:
        RuntimeError: DALI's, where no step has one.
    """
    for index, step in enumerate(flight):
        fixed = fix(step) if step.inputs else None
        if fixed is not None:
            del flight[index]
            for replacement in reversed(fixed):
                flight.insert(index, replacement)
            return
    raise error
