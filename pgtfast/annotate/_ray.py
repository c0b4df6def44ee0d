"""Several machines: the shards as a data set of Ray Data, whose workers write their parts into the run's folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import PgtfastError
from .._options import needing
from ..runs.parts import PartNote
from ..runs.stop import Stop
from ._parts import Written
from ._work import Annotating, Job

TOGETHER = 4
"""Shards that a worker is given at once; it decodes the next while it writes one."""


class _RayWorker:
    """A worker: lives as long as the run, or until its machine dies; Ray then makes another and gives it the lost
    shards."""

    def __init__(self, job: Job) -> None:
        self.annotating = Annotating(job)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        there: list[Written] = []
        self.annotating.run((int(number) for number in batch["shard"]), there.append)
        return {
            "shard": [part.shard for part in there],
            "part": [part.note.part for part in there],
            "rows": [part.note.rows for part in there],
            "bytes": [part.note.bytes for part in there],
            "annotated": [part.annotated for part in there],
        }


def run_ray(job: Job, shards: list[int], count: int, written: Callable[[Written], object], stop: Stop) -> None:
    """Annotate shards with `count` workers of a Ray cluster.

    Args:
        job: what each does; its paths must be the same on all machines.
        shards: numbers of those to do.
        count: workers.
        written: is called with each part that is there.
        stop: the run ends once it has a signal.

    Raises:
        PgtfastError: Ray is not installed, or gives up.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when ray is imported
    with needing("ray", "--workers ray"):
        import ray
        import ray.data
    begun = not ray.is_initialized()
    if begun:
        local: dict[str, Any] = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": count, "include_dashboard": False}
        ray.init(logging_level=logging.ERROR, log_to_driver=False, **local)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    absolute = _absolute(job)
    needs: dict[str, Any] = {"num_gpus": 1} if job.config.device.startswith("cuda") else {"num_cpus": 1}
    try:
        blocks = max(1, -(-len(shards) // TOGETHER))
        parts = ray.data.from_items([{"shard": number} for number in shards], override_num_blocks=blocks).map_batches(
            _RayWorker,
            fn_constructor_args=(absolute,),
            compute=ray.data.ActorPoolStrategy(size=count),
            batch_size=TOGETHER,
            **needs,
        )
        for row in parts.iter_rows():
            written(Written(row["shard"], PartNote(row["part"], row["rows"], row["bytes"]), row["annotated"]))
            if stop.signal is not None:
                return
    except ray.exceptions.RayError as error:
        told = str(error).strip().splitlines()[-1]
        raise PgtfastError(f"--workers ray: {told}; the same command goes on from the parts that are there") from error
    finally:
        if begun:
            ray.shutdown()


def _absolute(job: Job) -> Job:
    """The job with paths that do not depend on where a worker runs."""
    from dataclasses import replace

    config = job.config

    def whole(name: str | None) -> str | None:
        return str(Path(name).resolve()) if name is not None and Path(name).exists() else name

    images = job.images.resolve() if isinstance(job.images, Path) else tuple(path.resolve() for path in job.images)
    checkpoint, body, prior = (whole(name) for name in (config.checkpoint, config.body, config.prior))
    paths = {"checkpoint": checkpoint or config.checkpoint, "body": body, "prior": prior, "out": config.out.resolve()}
    return replace(job, config=replace(config, **paths), images=images)  # type: ignore[arg-type]
