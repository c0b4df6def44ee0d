"""The stages of annotating, each alone and all together, over the same people."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from pgtfast.annotate._bodies import Found, find_bodies
from pgtfast.annotate._inputs import Input
from pgtfast.annotate._parts import PartWriter
from pgtfast.annotate._plan import PLAN_FILE, Plan, write_plan
from pgtfast.annotate._work import Annotating, Job
from pgtfast.loading.bulk import Finished, PersonCrops
from pgtfast.people import People
from pgtfast.runs.parts import FOLDER

from .annotate_plain import Plain
from .decode import AHEAD, Decoder

KEPT = 8
"""Batches of crops that are held to feed the engine."""


class Stages:
    """Calls by name; each goes once through all people.

    Args:
        job: of the run; its folder is made here.
        source: the people.
        part_size: people a part.
    """

    def __init__(self, job: Job, source: Input, part_size: int) -> None:
        self.job, self.source, self.part_size = job, source, part_size
        self.parts = job.config.out / FOLDER
        self.parts.mkdir(parents=True)
        write_plan(job.config.out / PLAN_FILE, source, part_size=part_size, shards=None)
        self.plan = Plan(job.config.out / PLAN_FILE)
        self.work = Annotating(job)
        network = self.work.network
        self.cuda = network.engine.device.type == "cuda"
        self.items: list[PersonCrops | Finished] = []
        kept: list[torch.Tensor] = []
        for item in self.work.loader.crops(map(self.plan.load, self.plan.sizes)):
            if isinstance(item, PersonCrops):
                if len(kept) < KEPT:
                    kept.append(item.image.clone())
                item = dataclasses.replace(item, image=item.image[:, :, :0, :0].clone())
            self.items.append(item)
        sizes = [len(item) for item in self.items if isinstance(item, PersonCrops)]
        self.people, self.sizes = sum(sizes), sizes
        self.crops = torch.cat(kept)
        self.crops = torch.cat([self.crops] * -(-max(sizes) // len(self.crops)))
        answers = {size: network.engine(self.crops[:size]) for size in set(sizes)}
        self._answering = dataclasses.replace(network, engine=lambda image: answers[len(image)])  # type: ignore[arg-type]
        self._found = {len(item): self._bodies(item) for item in self.items if isinstance(item, PersonCrops)}

    def calls(self) -> dict[str, Callable[[], object]]:
        """Stages in the order in which a person goes through them."""
        return {
            "plan": self.plan_out,
            "crops": self.cut,
            "engine": self.engine,
            "bodies": self.bodies,
            "write": self.write,
            "annotate": self.annotate,
        }

    def plan_out(self) -> None:
        """Annotations read, people laid out in shards."""
        path = self.job.config.out / "again.arrow"
        write_plan(path, self.source, part_size=self.part_size, shards=None)
        path.unlink()

    def cut(self) -> None:
        """Files read, decoded and cut, as annotating does it."""
        for _ in self.work.loader.crops(map(self.plan.load, self.plan.sizes)):
            pass
        self.wait()

    def engine(self) -> None:
        """The network, its crops in memory."""
        at = 0
        for size in self.sizes:
            at = at if at + size <= len(self.crops) else 0
            self.work.network.engine(self.crops[at : at + size])
            at += size
        self.wait()

    def bodies(self) -> None:
        """Bodies, cameras, landmarks and scores from what the network says."""
        for item in self.items:
            if isinstance(item, PersonCrops):
                self._bodies(item).result()

    def _bodies(self, item: PersonCrops) -> Found:
        return find_bodies(item, self._answering, self.work.measured)

    def write(self) -> None:
        """Rows and Parquet."""
        self._clear()
        with PartWriter(self.job.config.out, self.work.origin, lambda part: None) as writer:
            for item in self.items:
                if isinstance(item, Finished):
                    writer.finish(item)
                else:
                    writer.add(item, self._found[len(item)])

    def annotate(self) -> None:
        """All of it, as `python -m pgtfast.annotate` does once its plan is there."""
        self._clear()
        self.work.run(iter(self.plan.sizes), lambda part: None)

    def _clear(self) -> None:
        for path in self.parts.iterdir():
            path.unlink()

    def wait(self) -> None:
        """Wait for the device."""
        if self.cuda:
            torch.cuda.synchronize()


class DecodeAlone:
    """Each picture decoded once, whole, from memory.

    Args:
        stages: whose pictures.
    """

    def __init__(self, stages: Stages) -> None:
        job, self.wait = stages.job, stages.wait
        root = job.images
        assert isinstance(root, Path)
        names = [name for number in stages.plan.sizes for name in _shown(stages.plan.load(number).people)]
        real = [(root / name).resolve() for name in names]
        files = {path: np.fromfile(path, np.uint8) for path in set(real)}
        self.images = len(names)
        held = [files[path] for path in real]
        self.batches = [held[at : at + job.config.batch_size] for at in range(0, len(held), job.config.batch_size)]
        ahead = min(AHEAD, len(self.batches))
        self.decoder = Decoder(job.config.batch_size, job.config.loader_threads, job.config.device, ahead=ahead)

    def __call__(self) -> None:
        for batch in self.batches:
            self.decoder.step(data=batch)
        self.decoder.drain()
        self.wait()


def _shown(people: People) -> list[str]:
    """Pictures of people who are annotated, each once."""
    return list(dict.fromkeys(p for p, r in zip(people.image_path, people.reason, strict=True) if r is None))


def plain_of(stages: Stages, checkpoint: Path, out: Path) -> Plain:
    """The plain pipeline over the same people."""
    job, network = stages.job, stages.work.network
    assert isinstance(job.images, Path)
    parts = [stages.plan.load(number).people for number in stages.plan.sizes]
    chosen = [part.rows(np.array([reason is None for reason in part.reason], bool)) for part in parts]
    return Plain(
        chosen,
        job.images,
        checkpoint,
        network.prior,
        stages.work.measured,
        out,
        batch=job.config.batch_size,
        workers=job.config.loader_threads,
        device=network.engine.device,
    )
