"""What one process does: shards in, parts of the store out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from .._options import chosen_device
from ..images.source import ImageSource, open_source
from ..loading.bulk import BulkConfig, BulkLoader, Finished, PersonCrops, Shard
from ..people import People
from ..quality.measure import Origin
from ..quality.score import load_quality
from ._bodies import Measured, find_bodies
from ._config import AnnotateConfig
from ._network import LoadedNetwork, open_network
from ._parts import PartWriter, Written
from ._plan import PLAN_FILE, Plan

METHOD = "pgtfast-annotator"


@dataclass(frozen=True)
class Job:
    """All that a process must know; it is sent to others."""

    config: AnnotateConfig
    images: Path | tuple[Path, ...]
    """Their folder, or tars."""

    def open_network(self) -> LoadedNetwork:
        """Read the network, on this process's device."""
        device = chosen_device(self.config.device)
        if device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)
        return open_network(
            self.config.checkpoint,
            self.config.engine,
            device,
            body=self.config.body,
            prior=self.config.prior,
            precision=self.config.precision,
        )

    def open_images(self) -> ImageSource:
        """Where the images lie."""
        return open_source(self.images, follow_links=self.config.follow_links, indexed=False)

    @property
    def method(self) -> str:
        """Its name in the store."""
        return f"{METHOD}+refine" if self.config.refine else METHOD


@dataclass(frozen=True)
class ShardTask:
    """What another process does: the shards that it is given."""

    job: Job

    def __call__(self, numbers: Iterator[int], report: Callable[[int, Written], None]) -> None:
        Annotating(self.job).run(numbers, lambda part: report(part.shard, part))


class Annotating:
    """A network at work.

    Args:
        job: what to do.
        network: what `job` names, where it is open already.
    """

    def __init__(self, job: Job, network: LoadedNetwork | None = None) -> None:
        if job.config.threads is not None:
            torch.set_num_threads(job.config.threads)
        self.job, self.network = job, network or job.open_network()
        self.plan = Plan(job.config.out / PLAN_FILE)
        self.measured = Measured.of(self.plan.landmark_set, self.network)
        config = self.network.config
        self.loader = BulkLoader(
            job.open_images(),
            BulkConfig(
                crop_size=config.input_size,
                normalize=config.normalize,
                batch_size=job.config.batch_size,
                shared=self.plan.crowded,
                adjust_orientation=job.config.exif,
                threads=job.config.loader_threads,
                device=job.config.device,
            ),
        )
        body, prior = self.network.body, self.network.prior
        version = None if prior is None else prior.version
        self.origin = Origin(
            body.kind, body.gender, version, job.method, self.network.sha256, load_quality(job.config.quality)
        )

    def run(self, shards: Iterator[int], written: Callable[[Written], object]) -> None:
        """Annotate shards, each into its part.

        The device's work is only launched here; waiting for it, and writing, are the writer's.

        Args:
            shards: their numbers; asked for in another thread, ahead of the work.
            written: is called with each part that is there, in a third thread.
        """
        people: dict[int, People] = {}

        def loaded() -> Iterator[Shard]:
            for number in shards:
                shard = self.plan.load(number)
                people[number] = shard.people
                yield shard

        job = self.job
        with PartWriter(job.config.out, self.origin, written) as writer:
            for item in self.loader.crops(loaded()):
                if isinstance(item, Finished):
                    writer.finish(item)
                    del people[item.shard.number]
                    continue
                keypoints = self._keypoints(item, people) if job.config.refine else None
                found = find_bodies(
                    item,
                    self.network,
                    self.measured,
                    flip_test=job.config.flip_test,
                    jitter=job.config.jitter,
                    keypoints=keypoints,
                    steps=job.config.refine,
                )
                writer.add(item, found)

    def _keypoints(self, crops: PersonCrops, people: dict[int, People]) -> torch.Tensor:
        """(B, K, 3) of the people of some crops, on the device."""
        rows = [people[int(n)].keypoints[row] for n, row in zip(crops.shard, crops.row, strict=True)]
        points = torch.stack([torch.from_numpy(row) for row in rows]).float()
        return points.to(crops.image.device, non_blocking=True)
