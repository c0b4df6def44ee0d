"""Batches of crops: several streams mixed in exact proportions to learn from, or one set in order to annotate."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._errors import PgtfastError
from ..images.augment import NONE, draw, generator
from ..images.source import EncodedImage
from ..people import ImageSet, Skip
from ._engine import READERS, Crops, LoaderConfig, Plan, Skipped
from .batch import Batch
from .mixing import Mixture
from .supervision import Supervision

__all__ = ["LoaderConfig", "MixedLoader", "OrderedLoader", "Skipped", "Stream"]

MOST_IN_A_ROW = 1000
"""So many people of a stream, one after another, may turn out to have no image before the loader gives up."""


@dataclass(frozen=True)
class Stream:
    """Sets that share a part of each batch."""

    sets: tuple[ImageSet, ...]
    count: int
    """People of this stream in each batch, all processes together."""


class MixedLoader:
    """Batches in which each stream has its exact share.

    Which people are in batch `step` and how their crops are varied follows from the seed and the step alone, whatever
    the number of threads and
    processes: the shares of all ranks together are the batch of one process. A person whose image is missing or damaged
        is skipped for the next
    one of the stream's shuffle.

    Args:
        streams: what to mix.
        supervision: the landmarks of the losses.
        config: how crops are made.
        body_kind: what the network's body parameters are of ("smpl", "free").
        gender: of the network's body file.
        rank: of this process.
        world: number of processes.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        supervision: Supervision,
        config: LoaderConfig,
        *,
        body_kind: str,
        gender: str = "neutral",
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if not streams or any(not s.sets for s in streams):
            raise PgtfastError("MixedLoader: streams: wanted at least one, each with at least one set of images")
        sets = [s for stream in streams for s in stream.sets]
        self._crops = Crops(sets, supervision, config, body_kind, gender)
        self.config = config
        self._first_set = np.cumsum([0, *(len(s.sets) for s in streams)])
        self._ends = []
        for at, stream in enumerate(streams):
            held = self._crops.sets[self._first_set[at] : self._first_set[at] + len(stream.sets)]
            self._ends.append(np.cumsum([len(s.rows) for s in held]))
        self.mixture = Mixture(
            tuple(int(e[-1]) for e in self._ends),
            tuple(s.count for s in streams),
            seed=config.seed,
            rank=rank,
            world=world,
        )
        self.step = 0

    @property
    def steps_per_epoch(self) -> int:
        """Batches until the stream that takes longest has shown everyone once."""
        return self.mixture.steps_per_epoch

    @property
    def batch_size(self) -> int:
        """People of a batch that this process has."""
        return len(self.mixture.slots(0).slot)

    @property
    def skipped(self) -> list[Skipped]:
        """People skipped so far because of their images, each once."""
        return self._crops.skipped

    def batches(self, first_step: int | None = None, last_step: int | None = None) -> Generator[Batch, None, None]:
        """Batches of the steps from `first_step` (by default where the last ones stopped) up to, not including,
        `last_step` (by default an epoch on).

        Raises:
            PgtfastError: no image of a stream can be read, or the disk or the network is in trouble.
        """
        first = self.step if first_step is None else first_step
        last = first + self.steps_per_epoch if last_step is None else last_step
        with ThreadPoolExecutor(READERS) as readers:

            def replace_people(plan: Plan, places: np.ndarray) -> Plan:
                plan.ahead[places] += 1
                return self._fill(readers, plan, places)

            plans = (self._plan(readers, step) for step in range(first, last))
            with closing(self._crops.run(plans, self.batch_size, replace_people)) as batches:
                for plan, batch in batches:
                    self.step = plan.step + 1
                    yield batch

    def _plan(self, readers: ThreadPoolExecutor, step: int) -> Plan:
        slots = self.mixture.slots(step)
        rng = generator(self.config.seed, step)
        drawn = draw(self.config.augment, self.mixture.batch_size, rng).rows(slots.slot)
        count = len(slots.slot)
        index, row, ahead = np.zeros((3, count), np.int64)
        none = [EncodedImage(None, 0, 0, None)] * count
        plan = Plan(step, drawn, index, row, none, np.zeros((count, 4)), slots, ahead)
        return self._fill(readers, plan, np.arange(count))

    def _fill(self, readers: ThreadPoolExecutor, plan: Plan, places: np.ndarray) -> Plan:
        """Find people with images for some places of a plan."""
        with self._crops.lock:
            while len(places):
                self._locate(plan, places)
                images, boxes = self._crops.read_rows(readers, plan.set_index[places], plan.row[places])
                for place, image, box in zip(places, images, boxes, strict=True):
                    plan.images[place], plan.box[place] = image, box
                places = places[np.isnan(boxes[:, 0])]
                plan.ahead[places] += 1
                if len(places):
                    self._give_up(plan, places)
            self._crops.finish(plan)
        return plan

    def _locate(self, plan: Plan, places: np.ndarray) -> None:
        for stream in np.unique(plan.slots.stream[places]):
            mine = places[plan.slots.stream[places] == stream]
            index = self.mixture.people(int(stream), plan.slots.position[mine], plan.ahead[mine])
            ends = self._ends[stream]
            number = np.searchsorted(ends, index, side="right")
            plan.set_index[mine] = self._first_set[stream] + number
            within = index - np.where(number > 0, ends[number - 1], 0)
            for at, n, i in zip(mine, plan.set_index[mine], within, strict=True):
                plan.row[at] = self._crops.sets[n].rows[i]

    def _give_up(self, plan: Plan, places: np.ndarray) -> None:
        for place in places:
            stream = int(plan.slots.stream[place])
            most = min(self.mixture.sizes[stream], MOST_IN_A_ROW)
            if plan.ahead[place] < most:
                continue
            held = self._crops.sets[self._first_set[stream] : self._first_set[stream + 1]]
            names = ", ".join(s.people.dataset for s in held)
            last = self.skipped[-1]
            raise PgtfastError(
                f"stream {stream} ({names}): {most} people, one after another, have no image that can be shown; "
                f"the last: {last.image_path}, annotation {last.annotation_id}: {last.reason}"
            )

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on from here: small, whatever the size of the sets."""
        return {
            "step": self.step,
            "seed": self.config.seed,
            "sizes": list(self.mixture.sizes),
            "counts": list(self.mixture.counts),
            "skipped": [(*s[:-1], str(s.reason)) for s in self.skipped],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Raises:
            PgtfastError: it is of another mixture, whose batches would differ.
        """
        mine = self.state_dict()
        for name in ("seed", "sizes", "counts"):
            if list(np.atleast_1d(state[name])) != list(np.atleast_1d(mine[name])):
                raise PgtfastError(
                    f"MixedLoader: {name}: the state was saved with {state[name]}, this loader has {mine[name]}; "
                    "resume with the sets, counts and seed of the first run"
                )
        self.step = int(state["step"])
        self._restore([Skipped(*s)._replace(reason=Skip.parse(s[-1])) for s in state["skipped"]])

    def _restore(self, skipped: list[Skipped]) -> None:
        for person in skipped:
            for number, held in enumerate(self._crops.sets):
                if held.people.dataset != person.dataset:
                    continue
                rows = np.flatnonzero(held.people.annotation_id == person.annotation_id)
                for row in rows:
                    if held.people.image_path[row] == person.image_path:
                        self._crops.skip(number, int(row), person.reason, always=False)

    def close(self) -> None:
        """Close the files that are held open."""
        for held in self._crops.sets:
            held.source.close()


class OrderedLoader:
    """The people of one set, each once and in order, without any variation; the last batch may be short.

    People whose images are missing or damaged are skipped, so that a batch that held one is smaller; `Batch.person`
    says who is there.

    Args:
        image_set: the people.
        supervision: landmarks to lay the annotations out in; None leaves everything but the crops out.
        config: how crops are made; its `augment` and `seed` are not used.
        rows: of the people, in the order wanted; None takes all. Those who cannot be used are left out.
        batch_size: crops at once.
        body_kind: what body parameters are wanted of; None leaves them out.
        gender: of the body file that betas are wanted for.
    """

    def __init__(
        self,
        image_set: ImageSet,
        supervision: Supervision | None,
        config: LoaderConfig,
        rows: np.ndarray | None = None,
        *,
        batch_size: int = 64,
        body_kind: str | None = None,
        gender: str = "neutral",
    ) -> None:
        self.config = replace(config, augment=NONE)
        landmarks = supervision or Supervision((image_set.people.landmark_set,), image_set.people.landmark_set)
        self._crops = Crops([image_set], landmarks, self.config, body_kind, gender)
        usable = self._crops.sets[0].rows
        if rows is None:
            self.rows = usable
        else:
            rows = np.asarray(rows, np.int64)
            self.rows = rows[np.isin(rows, usable)]
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    @property
    def skipped(self) -> list[Skipped]:
        """People skipped so far because of their images, each once."""
        return self._crops.skipped

    def __iter__(self) -> Iterator[Batch]:
        parts = [self.rows[at : at + self.batch_size] for at in range(0, len(self.rows), self.batch_size)]
        with ThreadPoolExecutor(READERS) as readers:

            def without(plan: Plan, places: np.ndarray) -> Plan | None:
                return self._plan(readers, plan.step, np.delete(plan.row, places))

            planned = (self._plan(readers, step, part) for step, part in enumerate(parts))
            plans = (plan for plan in planned if plan is not None)
            with closing(self._crops.run(plans, self.batch_size, without)) as batches:
                for _, batch in batches:
                    yield batch

    def _plan(self, readers: ThreadPoolExecutor, step: int, rows: np.ndarray) -> Plan | None:
        images, boxes = self._crops.read_rows(readers, np.zeros(len(rows), np.int64), rows)
        good = ~np.isnan(boxes[:, 0])
        if not good.any():
            return None
        count = int(good.sum())
        plain = draw(NONE, count, generator(0, 0))
        kept = [image for image, ok in zip(images, good, strict=True) if ok]
        plan = Plan(step, plain, np.zeros(count, np.int64), rows[good], kept, boxes[good])
        self._crops.finish(plan)
        return plan
