"""What both loaders share: images are read and checked, plans become batches of crops."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from .._errors import PgtfastError
from ..images.augment import AugmentConfig, Draws
from ..images.crops import crop_boxes, crop_matrices, person_boxes
from ..images.pipeline import Graph, Inputs, Normalize, find_damaged, load_dali, make_inputs
from ..images.source import EncodedImage, check_images, open_source, read_image
from ..people import ImageSet, Reason, Skip
from .batch import Batch
from .columns import PersonColumns, usable_rows
from .mixing import Slots
from .pump import pump
from .supervision import Supervision

READERS = 4
"""Threads that read files; they wait for disks, they do not compute."""
_NO_SLOTS = Slots(*np.zeros((3, 0), np.int64))
_KNOWN = EncodedImage(None, 0, 0, Skip(Reason.UNKNOWN, "skipped before"))
"""In place of an image that is known to be unreadable."""


def no_extent(image: EncodedImage) -> Skip:
    """The reason of a person whose box does not overlap the image."""
    return Skip(Reason.BOX, f"it has no extent within the image of {image.width} x {image.height} pixels")


@dataclass(frozen=True, kw_only=True)
class LoaderConfig:
    """How crops are made."""

    crop_size: tuple[int, int] = (192, 256)
    """Width and height in pixels."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    normalize: Normalize = "unit"
    """"unit" divides by 255; "imagenet" then takes ImageNet's mean off and divides by its standard deviation."""
    adjust_orientation: bool = False
    """Rotate images as their EXIF block says. Annotations of the usual datasets are of the pixels as they are
    stored."""
    follow_links: bool = False
    """Read images through links that lead out of their folder."""
    threads: int = 2
    """That decode."""
    device: str = "cpu"
    """"cuda" decodes and crops on the GPU."""
    prefetch: int = 2
    """Batches made ahead."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("threads", "prefetch"):
            if getattr(self, name) < 1:
                raise PgtfastError(f"LoaderConfig: {name}: wanted at least 1, got {getattr(self, name)!r}")
        if len(self.crop_size) != 2 or min(self.crop_size) < 1:
            raise PgtfastError(f"LoaderConfig: crop_size: wanted width and height in pixels, got {self.crop_size!r}")
        if self.normalize not in ("unit", "imagenet"):
            raise PgtfastError(f'LoaderConfig: normalize: wanted "unit" or "imagenet", got {self.normalize!r}')
        if self.device != "cpu" and not self.device.startswith("cuda"):
            raise PgtfastError(f'LoaderConfig: device: wanted "cpu" or "cuda", got {self.device!r}')

    def graph(self) -> Graph:
        """What the DALI pipeline is built for."""
        return Graph(
            crop_size=self.crop_size,
            normalize=self.normalize,
            adjust_orientation=self.adjust_orientation,
            occlusion=self.augment.occlusion_p > 0,
            blur=self.augment.blur_p > 0,
            color=self.augment.color > 0,
            threads=self.threads,
            device=self.device,
        )


class Skipped(NamedTuple):
    """A person whose image cannot be shown."""

    dataset: str
    image_path: str
    annotation_id: int
    reason: Skip


class OpenSet:
    """A set, opened."""

    def __init__(
        self, image_set: ImageSet, supervision: Supervision, config: LoaderConfig, body_kind: str | None, gender: str
    ) -> None:
        people = image_set.people
        self.columns = PersonColumns(image_set, supervision, body_kind=body_kind, gender=gender)
        self.people, self.config = people, config
        self.rows = usable_rows(people)
        if not len(self.rows):
            reasons = [r for r in people.reason if r is not None]
            told = f"; the first reason is {reasons[0]!r}" if reasons else ""
            raise PgtfastError(
                f"{people.dataset}: none of its {len(people)} people can be used{told}; "
                "leave the set out or fix its annotations"
            )
        self.source = open_source(image_set.images, follow_links=config.follow_links)
        check_images(image_set, self.source, self.rows)

    def read(self, row: int) -> EncodedImage:
        name, (width, height) = self.people.image_path[row], self.people.image_size[row]
        return read_image(
            self.source, name, (int(width), int(height)), adjust_orientation=self.config.adjust_orientation
        )

    def boxes(self, rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        found = person_boxes(self.people.bbox[rows], self.people.keypoints[rows])
        return crop_boxes(found, sizes, self.config.crop_size)


@dataclass
class Plan:
    """A batch on its way: places for B people."""

    step: int
    draws: Draws
    set_index: np.ndarray
    """(B,) int64."""
    row: np.ndarray
    """(B,) int64 among the people of the set."""
    images: list[EncodedImage]
    box: np.ndarray
    """(B, 4) from :func:`crop_boxes`."""
    slots: Slots = _NO_SLOTS
    """Which places of a mixed batch these are."""
    ahead: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """(B,) how many people of the stream were skipped for each place."""
    inputs: Inputs = field(default_factory=Inputs)
    columns: dict[str, np.ndarray] = field(default_factory=dict)


Replace = Callable[[Plan, np.ndarray], "Plan | None"]
"""Called with a plan and the places whose images cannot be decoded: another plan for the same step, or None where
nothing is left."""


class Crops:
    """Opened sets, and the batches of their people."""

    def __init__(
        self,
        sets: Sequence[ImageSet],
        supervision: Supervision,
        config: LoaderConfig,
        body_kind: str | None,
        gender: str,
    ) -> None:
        load_dali()
        if config.device.startswith("cuda") and not torch.cuda.is_available():
            raise PgtfastError(f"LoaderConfig: device {config.device!r}: torch sees no GPU here; use device='cpu'")
        self.config, self.supervision = config, supervision
        self.sets = [OpenSet(s, supervision, config, body_kind, gender) for s in sets]
        self.graph = config.graph()
        self._absent = {
            name for name in ("transl", "intrinsics") if not any(getattr(s.columns, name) for s in self.sets)
        }
        self._skipped: dict[tuple[int, int], Skipped] = {}
        self._unreadable: set[tuple[int, int]] = set()
        self.lock = threading.RLock()

    @property
    def skipped(self) -> list[Skipped]:
        """People skipped so far because of their images, each once."""
        with self.lock:
            return list(self._skipped.values())

    def skip(self, index: int, row: int, reason: Skip, *, always: bool) -> None:
        """Note a person whose image cannot be shown; `always` says that no other crop of it can either."""
        people = self.sets[index].people
        key = (index, row)
        with self.lock:
            self._skipped.setdefault(
                key, Skipped(people.dataset, people.image_path[row], int(people.annotation_id[row]), reason)
            )
            if always:
                self._unreadable.add(key)

    def read_rows(
        self, pool: ThreadPoolExecutor, index: np.ndarray, row: np.ndarray
    ) -> tuple[list[EncodedImage], np.ndarray]:
        """Images of people, and the boxes of their crops, NaN where there is none."""

        def read(part: range) -> list[EncodedImage]:
            return [
                _KNOWN if (int(index[i]), int(row[i])) in self._unreadable else self.sets[index[i]].read(row[i])
                for i in part
            ]

        size = max(1, -(-len(row) // READERS))
        parts = pool.map(read, [range(a, min(a + size, len(row))) for a in range(0, len(row), size)])
        images = [image for part in parts for image in part]
        sizes = np.array([(image.width, image.height) for image in images], np.int64).reshape(-1, 2)
        boxes = np.full((len(row), 4), np.nan)
        for number in np.unique(index):
            chosen = index == number
            boxes[chosen] = self.sets[number].boxes(row[chosen], sizes[chosen])
        for i, image in enumerate(images):
            reason = image.reason
            if reason is None and np.isnan(boxes[i, 0]):
                reason = no_extent(image)
            if reason is not None:
                boxes[i] = np.nan
                if image is not _KNOWN:
                    self.skip(int(index[i]), int(row[i]), reason, always=True)
        return images, boxes

    def finish(self, plan: Plan) -> None:
        """Matrices, inputs and columns of a plan whose images could all be read."""
        size = np.array([(image.width, image.height) for image in plan.images], np.int64).reshape(-1, 2)
        draws = plan.draws
        matrix = crop_matrices(
            plan.box,
            size[:, 0],
            self.config.crop_size,
            scale=draws.scale,
            rotation=draws.rotation,
            flip=draws.flip,
        )
        encoded = [image.data for image in plan.images if image.data is not None]
        plan.inputs = make_inputs(self.graph, encoded, matrix, size, draws)
        plan.columns = {
            "matrix": matrix.astype(np.float32),
            "flip": draws.flip,
            "rotation": draws.rotation.astype(np.float32),
            "box": plan.box.astype(np.float32),
            "size": size.astype(np.float32),
            "set_index": plan.set_index,
            "person": plan.row,
            **self._known(plan.set_index, plan.row),
        }

    def _known(self, index: np.ndarray, row: np.ndarray) -> dict[str, np.ndarray]:
        out: dict[str, np.ndarray] = {}
        for number in np.unique(index):
            chosen = np.flatnonzero(index == number)
            for name, values in self.sets[number].columns(row[chosen]).items():
                if name in self._absent:
                    continue
                if name not in out:
                    out[name] = np.zeros((len(row), *values.shape[1:]), values.dtype)
                out[name][chosen] = values
        return out

    def _batch(self, plan: Plan, image: torch.Tensor) -> Batch:
        """The batch of a plan."""
        columns = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in plan.columns.items()}
        if image.is_cuda:
            columns = {
                name: values.pin_memory().to(image.device, non_blocking=True) for name, values in columns.items()
            }
        return Batch(image=image, **columns)

    def run(
        self, plans: Iterator[Plan], batch_size: int, replace: Replace
    ) -> Generator[tuple[Plan, Batch], None, None]:
        """The batches of plans, in order.

        Args:
            plans: finished ones.
            batch_size: most people of one.
            replace: what to do about images that cannot be decoded.
        """

        def fix(plan: Plan) -> list[Plan] | None:
            damaged = find_damaged(self.graph, plan.inputs)
            if not damaged:
                return None
            for place, (reason, always) in damaged.items():
                skip = Skip(Reason.DECODE, reason)
                self.skip(int(plan.set_index[place]), int(plan.row[place]), skip, always=always)
            replaced = replace(plan, np.array(sorted(damaged)))
            return [] if replaced is None else [replaced]

        steps = pump(self.graph, plans, fix, batch_size=batch_size, prefetch=self.config.prefetch)
        with closing(steps):
            for plan, image in steps:
                if image is not None:
                    yield plan, self._batch(plan, image)
