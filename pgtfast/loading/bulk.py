"""Crops of very many people: shard after shard, the people of a picture together, one decode a picture."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..images.augment import NONE, Draws, draw, generator
from ..images.bulk_source import Pictures, Place
from ..images.crops import crop_boxes, crop_matrices, person_boxes
from ..images.pipeline import CropPipeline, Graph, Inputs, Normalize, find_damaged, make_inputs, share_pictures
from ..images.source import Picture, hold_against
from ..people.table import People
from ._engine import READERS

MOST_PIXELS = 1 << 29
"""Pixels of the largest picture that is decoded, and of all pictures of a batch together: 1.5 GiB as RGB."""


class Shard(NamedTuple):
    """People who belong together; all of a picture are in one shard."""

    number: int
    people: People
    places: dict[str, Place] | None
    """Where pictures lie in tars, by name; None for pictures in a folder."""

    def __repr__(self) -> str:
        return f"Shard({self.number}, {self.people!r})"


@dataclass(frozen=True, eq=False)
class PersonCrops:
    """Crops of B people."""

    image: Tensor
    """(B, 3, H, W) float32, RGB, normalised."""
    matrix: Tensor
    """(B, 2, 3) float32: pixels of the picture to pixels of the crop, as in :class:`Batch`."""
    size: Tensor
    """(B, 2) float32: width and height of the picture."""
    shard: np.ndarray
    """(B,) int64: number of the shard."""
    row: np.ndarray
    """(B,) int64: row among the shard's people."""

    def __len__(self) -> int:
        return len(self.image)

    def __repr__(self) -> str:
        return f"PersonCrops({len(self)} people, image {tuple(self.image.shape)}, {self.image.device})"


class Finished(NamedTuple):
    """All crops of a shard have been handed out; whoever had none has a reason in its people."""

    shard: Shard


@dataclass(frozen=True, kw_only=True)
class BulkConfig:
    """How crops are made."""

    crop_size: tuple[int, int]
    """Width and height in pixels."""
    normalize: Normalize
    batch_size: int
    """Most crops at once."""
    shared: bool = True
    """Decode a picture once for all of its people; leave it out where no picture shows two."""
    adjust_orientation: bool = False
    """Turn pictures as their EXIF block says."""
    threads: int = 2
    """That decode."""
    device: str = "cpu"
    prefetch: int = 2
    """Batches made ahead."""
    most_pixels: int = MOST_PIXELS
    """Of a picture, and of a batch of them."""


class _Group(NamedTuple):
    """People of one picture."""

    shard: Shard
    rows: np.ndarray
    """(n,) int64."""


class _Shown(NamedTuple):
    """People of a picture that was read, and the boxes (n, 4) of their crops."""

    shard: Shard
    rows: np.ndarray
    picture: Picture
    boxes: np.ndarray


@dataclass
class _Step:
    """A batch on its way."""

    shown: list[_Shown]
    ended: list[Shard] = field(default_factory=list)
    """Shards that have nobody after this batch."""
    inputs: Inputs = field(default_factory=Inputs)
    matrix: np.ndarray = field(default_factory=lambda: np.zeros((0, 2, 3)))
    size: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))


class BulkLoader:
    """Turns shards into crops.

    Args:
        pictures: where they lie.
        config: how crops are made.
    """

    def __init__(self, pictures: Pictures, config: BulkConfig) -> None:
        self.pictures, self.config = pictures, config
        self.graph = Graph(
            crop_size=config.crop_size, normalize=config.normalize, adjust_orientation=config.adjust_orientation,
            occlusion=False, blur=False,
            color=False, threads=config.threads, device=config.device, shared=config.shared,
        )  # fmt: skip

    def crops(self, shards: Iterator[Shard]) -> Iterator[PersonCrops | Finished]:
        """Crops of everybody who has no reason against them, and after those of a shard its end.

        A batch may hold people of several shards. Shards are asked for in a thread of their own, when the batches made
        ahead need more people. Boxes that are infinite become those of the whole picture, and image sizes that are
        unknown those of the pictures, in the people of the shard.
        """
        with ThreadPoolExecutor(READERS) as readers, ThreadPoolExecutor(1) as planner:
            steps = self._steps(shards, readers)
            pending: deque[Future[_Step | None]] = deque()

            def coming() -> Iterator[_Step]:
                while True:
                    while len(pending) < self.config.prefetch:
                        pending.append(planner.submit(next, steps, None))
                    step = pending.popleft().result()
                    if step is None:
                        return
                    yield step

            try:
                yield from self._run(coming())
            finally:
                for future in pending:
                    future.cancel()

    # ---- plans, in the planner's thread
    def _steps(self, shards: Iterator[Shard], readers: ThreadPoolExecutor) -> Iterator[_Step]:
        waiting: list[_Group] = []
        count, ended = 0, list[Shard]()
        for shard in shards:
            for group in _groups(shard, self.config.batch_size):
                if count + len(group.rows) > self.config.batch_size:
                    yield from self._read(waiting, ended, readers)
                    waiting, count, ended = [], 0, []
                waiting.append(group)
                count += len(group.rows)
            ended.append(shard)
        yield from self._read(waiting, ended, readers)

    def _read(self, groups: list[_Group], ended: list[Shard], readers: ThreadPoolExecutor) -> Iterator[_Step]:
        """Read the pictures of some people; batches of them, more than one where the pictures are huge."""
        shown: list[_Shown] = []
        pixels = 0
        for held in self._boxed(groups, list(readers.map(self._open, groups))):
            more = held.picture.width * held.picture.height
            if shown and pixels + more > self.config.most_pixels:
                yield self._ready(_Step(shown))
                shown, pixels = [], 0
            shown.append(held)
            pixels += more
        yield self._ready(_Step(shown, ended))

    def _open(self, group: _Group) -> Picture | None:
        """Read a picture; None where it cannot be, and then its people have a reason."""
        people, rows = group.shard.people, group.rows
        name = people.image_path[rows[0]]
        annotated = people.image_size[rows[0]]
        picture = self._picture(name, group.shard.places, (int(annotated[0]), int(annotated[1])))
        if picture.reason is not None:
            people.reason[rows] = picture.reason
            return None
        size = picture.width, picture.height
        if (people.image_size[rows] <= 0).any():
            people.image_size[rows[(people.image_size[rows] <= 0).any(1)]] = size
        if np.isinf(people.bbox[rows]).any():
            people.bbox[rows[np.isinf(people.bbox[rows]).any(1)]] = 0, 0, *size
        return picture

    def _boxed(self, groups: list[_Group], pictures: list[Picture | None]) -> Iterator[_Shown]:
        """Groups whose picture was read, with the boxes of their crops; whoever has none has a reason."""
        read = [(group, picture) for group, picture in zip(groups, pictures, strict=True) if picture is not None]
        if not read:
            return
        counts = [len(group.rows) for group, _ in read]
        given = [(g.shard.people.bbox[g.rows], g.shard.people.keypoints[g.rows]) for g, _ in read]
        bbox, keypoints = (np.concatenate(column) for column in zip(*given, strict=True))
        size = np.repeat([(picture.width, picture.height) for _, picture in read], counts, axis=0)
        boxes = crop_boxes(person_boxes(bbox, keypoints), size, self.config.crop_size)
        usable = ~np.isnan(boxes[:, 0])
        ends = np.cumsum(counts)
        for (group, picture), at, end in zip(read, ends - counts, ends, strict=True):
            good = usable[at:end]
            if good.all():
                yield _Shown(group.shard, group.rows, picture, boxes[at:end])
                continue
            group.shard.people.reason[group.rows[~good]] = (
                f"box: it has no extent within the picture of {picture.width} x {picture.height} pixels"
            )
            if good.any():
                yield _Shown(group.shard, group.rows[good], picture, boxes[at:end][good])

    def _picture(self, name: str, places: dict[str, Place] | None, size: tuple[int, int]) -> Picture:
        try:
            data = self.pictures.read(name, None if places is None else places.get(name))
        except LookupError as error:
            return Picture(None, 0, 0, str(error.args[0]))
        picture = hold_against(data, size, adjust_orientation=self.config.adjust_orientation)
        if picture.width * picture.height > self.config.most_pixels:
            told = f"{picture.width} x {picture.height} pixels are more than {self.config.most_pixels}"
            return Picture(None, 0, 0, f"too-large: {told}")
        return picture

    def _ready(self, step: _Step) -> _Step:
        """A batch's matrices and what DALI is fed with."""
        if not step.shown:
            step.inputs = Inputs()
            return step
        counts = [len(held.rows) for held in step.shown]
        owner = np.repeat(np.arange(len(counts)), counts)
        size = np.array([(held.picture.width, held.picture.height) for held in step.shown], np.int64)[owner]
        plain = _plain(len(owner))
        step.matrix = crop_matrices(
            np.concatenate([held.boxes for held in step.shown]), size[:, 0], self.config.crop_size,
            scale=plain.scale, rotation=plain.rotation, flip=plain.flip,
        )  # fmt: skip
        step.size = size
        encoded = [step.shown[at].picture.data for at in owner]
        step.inputs = make_inputs(self.graph, encoded, step.matrix, size, plain)  # type: ignore[arg-type]
        if self.graph.shared:
            share_pictures(self.graph, step.inputs, owner)
        return step

    # ---- crops
    def _run(self, coming: Iterator[_Step]) -> Iterator[PersonCrops | Finished]:
        """Send batches through DALI, `prefetch` at a time, in order."""
        flight: deque[_Step] = deque()
        pipeline: CropPipeline | None = None
        while True:
            while len(flight) < self.config.prefetch and (step := next(coming, None)) is not None:
                if not step.shown:
                    yield from _end(flight, len(flight), step.ended)
                    continue
                flight.append(step)
                if pipeline is not None:
                    pipeline.feed(step.inputs)
            if not flight:
                return
            if pipeline is None:
                pipeline = CropPipeline(self.graph, self.config.batch_size, len(flight))
                for step in flight:
                    pipeline.feed(step.inputs)
            try:
                image = pipeline.fetch()
            except RuntimeError as error:
                pipeline = None
                yield from self._mend(flight, error)
                continue
            step = flight.popleft()
            yield self._batch(step, image)
            for shard in step.ended:
                yield Finished(shard)

    def _mend(self, flight: deque[_Step], error: RuntimeError) -> Iterator[Finished]:
        """Take the pictures that cannot be decoded out of the first batch that has one."""
        for at, step in enumerate(flight):
            damaged = self._damaged(step.shown)
            if not damaged:
                continue
            for place, reason in damaged.items():
                held = step.shown[place]
                held.shard.people.reason[held.rows] = f"decode: {reason}"
            step.shown = [held for place, held in enumerate(step.shown) if place not in damaged]
            self._ready(step)
            if not step.shown:
                del flight[at]
                yield from _end(flight, at, step.ended)
            return
        raise error

    def _damaged(self, shown: Sequence[_Shown]) -> dict[int, str]:
        """Pictures that cannot be decoded where they are needed, and why."""
        graph = replace(self.graph, shared=False)
        found = {}
        for place, held in enumerate(shown):
            step = _Step([held])
            BulkLoader(self.pictures, replace(self.config, shared=False))._ready(step)
            reasons = find_damaged(graph, step.inputs)
            if reasons:
                found[place] = next(iter(reasons.values()))[0]
        return found

    def _batch(self, step: _Step, image: Tensor) -> PersonCrops:
        matrix, size = (torch.from_numpy(values.astype(np.float32)) for values in (step.matrix, step.size))
        if image.is_cuda:
            matrix, size = (v.pin_memory().to(image.device, non_blocking=True) for v in (matrix, size))
        return PersonCrops(
            image,
            matrix,
            size,
            shard=np.concatenate([np.full(len(held.rows), held.shard.number) for held in step.shown]),
            row=np.concatenate([held.rows for held in step.shown]),
        )


def _groups(shard: Shard, most: int) -> Iterator[_Group]:
    """People without a reason, those of a picture that is told to be of one size together, in order of the pictures'
    first.
    """
    people = shard.people
    by_picture: dict[tuple[str, int, int], list[int]] = {}
    for row, (path, size, reason) in enumerate(
        zip(people.image_path, people.image_size.tolist(), people.reason, strict=True)
    ):
        if reason is None:
            by_picture.setdefault((path, *size), []).append(row)
    for rows in by_picture.values():
        for at in range(0, len(rows), most):
            yield _Group(shard, np.array(rows[at : at + most]))


def _plain(count: int) -> Draws:
    """Crops as they are."""
    return draw(NONE, count, generator(0, 0))


def _end(flight: deque[_Step], at: int, ended: list[Shard]) -> Iterator[Finished]:
    """Shards end with the batch before place `at`, or now where nothing is before it."""
    if at > 0:
        flight[at - 1].ended.extend(ended)
    else:
        yield from map(Finished, ended)
