"""Whom to annotate, from whatever says so, a few thousand people at a time."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._errors import PgtfastError
from ..datasets.coco_stream import CHUNK, stream_coco_persons
from ..datasets.listed import index_files, read_index, read_samples, read_whole
from ..files.atomic import file_sha256
from ..files.tars import tar_members
from ..images.listing import list_images
from ..images.source import Location, escapes_root
from ..loading.columns import usable_rows
from ..people import ImageSet, People, Reason, Skip
from ._config import AnnotateConfig

Chunk = tuple[People, np.ndarray]
"""People, and their places in the input (n,) int64."""


@dataclass(frozen=True, eq=False)
class Input:
    """An input that can be gone through."""

    dataset: str
    landmark_set: str
    images: Path | tuple[Path, ...]
    """Their folder, or tars."""
    fingerprint: str
    """A hash of what the input says; the same for the same people."""
    unique: tuple[str, ...]
    """Columns of the plan that must not be the same for two people."""
    people: Callable[[], Iterator[Chunk]]
    limit: int | None = None

    def chunks(self) -> Iterator[Chunk]:
        """All people; whoever cannot be annotated, as far as the input tells, has a reason."""
        left = self.limit
        for people, places in self.people():
            if left is not None:
                people, places = people.rows(slice(left)), places[:left]
                left -= len(people)
            yield _settled(people), places
            if left == 0:
                return

    def places(self) -> Iterator[list[Location]]:
        """Where the pictures lie, if in tars."""
        if isinstance(self.images, Path):
            return
        for number, path in enumerate(self.images):
            held: list[Location] = []
            for name, offset, size in tar_members(path):
                held.append(Location(name, number, offset, size))
                if len(held) == CHUNK:
                    yield held
                    held = []
            yield held


def open_input(config: AnnotateConfig) -> Input:
    """What the config names.

    Raises:
        PgtfastError: a file or folder that is not there, or that says nothing that can be used.
    """
    if config.root is not None:
        return _from_root(config, config.root)
    images = _images(config.images)
    first = images if isinstance(images, Path) else images[0]

    def made(name: str, fingerprint: str, unique: tuple[str, ...], people: Callable[[str], Iterator[Chunk]]) -> Input:
        dataset = config.dataset or name
        return Input(dataset, "coco17", images, fingerprint, unique, lambda: people(dataset), config.limit)

    if config.coco is not None:
        path = config.coco
        if not path.is_file():
            raise PgtfastError(f"{path}: no such file")
        return made(path.stem, file_sha256(path), ("id",), lambda name: stream_coco_persons(path, dataset=name))
    if config.index is not None:
        files = index_files(config.index)
        digest = _joined(file_sha256(path) for path in files)
        name = config.index.stem
        return made(name, digest, ("path", "id"), lambda name: read_index(files, dataset=name))
    if config.whole_images:
        names = list_images(images, follow_links=config.follow_links)
        return made(first.stem, _joined(names), ("path",), lambda name: read_whole(names, dataset=name))
    if isinstance(images, Path):
        raise PgtfastError(
            f"--images {images}: a folder says nothing of the people in it: give their boxes with --coco or --index, "
            "or --whole-images where each picture shows one person and little else"
        )
    digest = _joined(f"{path.name} {path.stat().st_size}" for path in images)
    return made(first.stem, digest, ("path", "id"), lambda name: read_samples(images, dataset=name))


def _images(paths: tuple[Path, ...]) -> Path | tuple[Path, ...]:
    if all(path.suffix == ".tar" for path in paths):
        for path in paths:
            if not path.is_file():
                raise PgtfastError(f"--images {path}: no such file")
        return paths
    if len(paths) > 1:
        raise PgtfastError(f"--images: wanted one folder, or tars (*.tar), got {', '.join(map(str, paths))}")
    if not paths[0].is_dir():
        raise PgtfastError(f"--images {paths[0]}: no such folder")
    return paths[0]


def _from_root(config: AnnotateConfig, root: Path) -> Input:
    """A dataset of a known kind; its readers hold all of it in memory."""
    from ..datasets import DATASETS, open_dataset

    if config.dataset is None or config.dataset not in DATASETS:
        raise PgtfastError(f"--dataset {config.dataset}: with --root wanted one of {', '.join(DATASETS)}")
    if not root.is_dir():
        raise PgtfastError(f"--root {root}: no such folder")
    held: ImageSet = open_dataset(config.dataset, root, split=config.split)
    people = held.people
    images = held.images if isinstance(held.images, Path) else tuple(held.images)

    def chunks() -> Iterator[Chunk]:
        for at in range(0, len(people), CHUNK):
            some = people.rows(slice(at, at + CHUNK))
            yield some, np.arange(at, at + len(some))

    return Input(people.dataset, people.landmark_set, images, _digest(people), ("path", "id"), chunks, config.limit)


def _settled(people: People) -> People:
    """The people with the reasons that matter here: a person with a box needs no keypoints, one without box and
    keypoints cannot be annotated."""
    reason, path = people.reason.copy(), people.image_path.copy()
    boxed = ~np.isnan(people.bbox).any(1)
    for row, name in enumerate(path):
        if boxed[row] and reason[row] is not None and Skip.parse(reason[row]).code is Reason.NO_KEYPOINTS:
            reason[row] = None
        told = None if name is None else refusal(name)
        if told is not None:
            path[row], reason[row] = name.encode("utf-8", "backslashreplace").decode(), told
    # The box of a whole picture is infinite until the picture is opened.
    there = dataclasses.replace(people, reason=reason, bbox=np.where(np.isinf(people.bbox), 2.0, people.bbox))
    without = np.array([r is None for r in reason], bool)
    without[usable_rows(there)] = False
    reason[without] = Skip(Reason.NO_BOX, "neither a box in the image nor keypoints to make one of")
    return dataclasses.replace(people, reason=reason, image_path=path)


def refusal(name: str) -> Skip | None:
    """Why a picture's name is not looked up; None for a name that stays within the folder of images."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return Skip(Reason.BAD_IMAGE, "file_name: not Unicode")
    if "\0" in name:
        return Skip(Reason.BAD_IMAGE, "file_name: holds a zero byte")
    if escapes_root(name):
        return Skip(Reason.OUTSIDE, f"{name[:200]} leaves the folder of images; write names relative to it")
    return None


def _digest(people: People) -> str:
    """Hash of who is there, where and with which keypoints."""
    digest = hashlib.sha256(people.dataset.encode())
    for path, number in zip(people.image_path, people.annotation_id, strict=True):
        digest.update(f"\n{path} {number}".encode())
    digest.update(people.bbox.tobytes())
    digest.update(people.keypoints.tobytes())
    return digest.hexdigest()


def _joined(parts: Iterator[str] | list[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
