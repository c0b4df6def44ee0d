"""Crops of very many people: shard after shard, the people of an image together, one decode an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..images.augment import NONE, Draws, draw, generator
from ..images.crops import crop_boxes, crop_matrices, person_boxes
from ..images.pipeline import Graph, Inputs, Normalize, find_damaged, make_inputs, share_images
from ..images.source import EncodedImage, ImageSource, Location, read_image
from ..people import People, Reason, Skip
from ._engine import READERS, no_extent
from .pump import pump

MOST_PIXELS = 1 << 29
"""Pixels of the largest image that is decoded, and of all images of a batch together: 1.5 GiB as RGB."""


class Shard(NamedTuple):
    """People who belong together; all of an image are in one shard."""

    number: int
    people: People
    locations: dict[str, Location] | None
    """Where images lie in tars, by name; None for images in a folder."""

    def __repr__(self) -> str:
        return f"Shard({self.number}, {self.people!r})"


@dataclass(frozen=True, eq=False)
class PersonCrops:
    """Crops of B people."""

    image: Tensor
    """(B, 3, H, W) float32, RGB, normalised."""
    matrix: Tensor
    """(B, 2, 3) float32: pixels of the image to pixels of the crop, as in :class:`Batch`."""
    size: Tensor
    """(B, 2) float32: width and height of the image."""
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
    """Decode an image once for all of its people; leave it out where no image shows two."""
    adjust_orientation: bool = False
    """Rotate images as their EXIF block says."""
    threads: int = 2
    """That decode."""
    device: str = "cpu"
    prefetch: int = 2
    """Batches made ahead."""
    most_pixels: int = MOST_PIXELS
    """Of an image, and of a batch of them."""


class _Group(NamedTuple):
    """People of one image."""

    shard: Shard
    rows: np.ndarray
    """(n,) int64."""


class _Shown(NamedTuple):
    """People of an image that was read, and the boxes (n, 4) of their crops."""

    shard: Shard
    rows: np.ndarray
    image: EncodedImage
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
        images: where they lie.
        config: how crops are made.
    """

    def __init__(self, images: ImageSource, config: BulkConfig) -> None:
        self.images, self.config = images, config
        self.graph = Graph(
            crop_size=config.crop_size,
            normalize=config.normalize,
            adjust_orientation=config.adjust_orientation,
            occlusion=False,
            blur=False,
            color=False,
            threads=config.threads,
            device=config.device,
            shared=config.shared,
        )

    def crops(self, shards: Iterator[Shard]) -> Iterator[PersonCrops | Finished]:
        """Crops of everybody who has no reason against them, and after those of a shard its end.

        A batch may hold people of several shards. Shards are asked for in a thread of their own, when the batches made
        ahead need more people. Boxes that
        are infinite become those of the whole image, and image sizes that are unknown those of the files, in the people
        of the shard.
        """
        size, prefetch = self.config.batch_size, self.config.prefetch
        with ThreadPoolExecutor(READERS) as readers:
            steps = self._steps(shards, readers)
            with closing(pump(self.graph, steps, self._fix, batch_size=size, prefetch=prefetch)) as pumped:
                for step, image in pumped:
                    if image is not None:
                        yield self._batch(step, image)
                    yield from map(Finished, step.ended)

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
        """Read the images of some people; batches of them, more than one where the images are huge."""
        shown: list[_Shown] = []
        pixels = 0
        for one in self._boxed(groups, list(readers.map(self._open, groups))):
            more = one.image.width * one.image.height
            if shown and pixels + more > self.config.most_pixels:
                yield self._ready(_Step(shown))
                shown, pixels = [], 0
            shown.append(one)
            pixels += more
        yield self._ready(_Step(shown, ended))

    def _open(self, group: _Group) -> EncodedImage | None:
        """Read an image; None where it cannot be, and then its people have a reason."""
        people, rows = group.shard.people, group.rows
        name = people.image_path[rows[0]]
        annotated = people.image_size[rows[0]]
        image = self._image(name, group.shard.locations, (int(annotated[0]), int(annotated[1])))
        if image.reason is not None:
            people.reason[rows] = image.reason
            return None
        size = image.width, image.height
        if (people.image_size[rows] <= 0).any():
            people.image_size[rows[(people.image_size[rows] <= 0).any(1)]] = size
        if np.isinf(people.bbox[rows]).any():
            people.bbox[rows[np.isinf(people.bbox[rows]).any(1)]] = 0, 0, *size
        return image

    def _boxed(self, groups: list[_Group], images: list[EncodedImage | None]) -> Iterator[_Shown]:
        """Groups whose image was read, with the boxes of their crops; whoever has none has a reason."""
        read = [(group, image) for group, image in zip(groups, images, strict=True) if image is not None]
        if not read:
            return
        counts = [len(group.rows) for group, _ in read]
        given = [(g.shard.people.bbox[g.rows], g.shard.people.keypoints[g.rows]) for g, _ in read]
        bbox, keypoints = (np.concatenate(column) for column in zip(*given, strict=True))
        size = np.repeat([(image.width, image.height) for _, image in read], counts, axis=0)
        boxes = crop_boxes(person_boxes(bbox, keypoints), size, self.config.crop_size)
        usable = ~np.isnan(boxes[:, 0])
        ends = np.cumsum(counts)
        for (group, image), at, end in zip(read, ends - counts, ends, strict=True):
            good = usable[at:end]
            if good.all():
                yield _Shown(group.shard, group.rows, image, boxes[at:end])
                continue
            group.shard.people.reason[group.rows[~good]] = no_extent(image)
            if good.any():
                yield _Shown(group.shard, group.rows[good], image, boxes[at:end][good])

    def _image(self, name: str, locations: dict[str, Location] | None, size: tuple[int, int]) -> EncodedImage:
        location = None if locations is None else locations.get(name)
        exif = self.config.adjust_orientation
        image = read_image(self.images, name, size, adjust_orientation=exif, location=location)
        if image.width * image.height > self.config.most_pixels:
            detail = f"{image.width} x {image.height} pixels are more than {self.config.most_pixels}"
            return EncodedImage(None, 0, 0, Skip(Reason.TOO_LARGE, detail))
        return image

    def _ready(self, step: _Step) -> _Step:
        """A batch's matrices and what DALI is fed with."""
        if not step.shown:
            step.inputs = Inputs()
            return step
        counts = [len(shown.rows) for shown in step.shown]
        owner = np.repeat(np.arange(len(counts)), counts)
        size = np.array([(shown.image.width, shown.image.height) for shown in step.shown], np.int64)[owner]
        plain = _plain(len(owner))
        step.matrix = crop_matrices(
            np.concatenate([shown.boxes for shown in step.shown]), size[:, 0], self.config.crop_size,
            scale=plain.scale, rotation=plain.rotation, flip=plain.flip,
        )  # fmt: skip
        step.size = size
        encoded = [step.shown[at].image.data for at in owner]
        step.inputs = make_inputs(self.graph, encoded, step.matrix, size, plain)  # type: ignore[arg-type]
        if self.graph.shared:
            share_images(self.graph, step.inputs, owner)
        return step

    # ---- damaged images
    def _fix(self, step: _Step) -> list[_Step] | None:
        """Take the images that cannot be decoded out of a batch; None where all can be."""
        damaged = self._damaged(step.shown)
        if not damaged:
            return None
        for place, reason in damaged.items():
            shown = step.shown[place]
            shown.shard.people.reason[shown.rows] = Skip(Reason.DECODE, reason)
        step.shown = [shown for place, shown in enumerate(step.shown) if place not in damaged]
        return [self._ready(step)]

    def _damaged(self, shown: Sequence[_Shown]) -> dict[int, str]:
        """Images that cannot be decoded where they are needed, and why."""
        graph = replace(self.graph, shared=False)
        found = {}
        for place, one in enumerate(shown):
            step = _Step([one])
            BulkLoader(self.images, replace(self.config, shared=False))._ready(step)
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
            shard=np.concatenate([np.full(len(shown.rows), shown.shard.number) for shown in step.shown]),
            row=np.concatenate([shown.rows for shown in step.shown]),
        )


def _groups(shard: Shard, most: int) -> Iterator[_Group]:
    """People without a reason, those of an image that is annotated with one size together, in order of the images'
    first."""
    people = shard.people
    by_image: dict[tuple[str, int, int], list[int]] = {}
    for row, (path, size, reason) in enumerate(
        zip(people.image_path, people.image_size.tolist(), people.reason, strict=True)
    ):
        if reason is None:
            by_image.setdefault((path, *size), []).append(row)
    for rows in by_image.values():
        for at in range(0, len(rows), most):
            yield _Group(shard, np.array(rows[at : at + most]))


def _plain(count: int) -> Draws:
    """Crops as they are."""
    return draw(NONE, count, generator(0, 0))
