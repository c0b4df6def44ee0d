"""Data sets opened by name and folder: their annotations, and the folder that holds their images."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from .._errors import PgtfastError
from ..body import load_body
from ..images.sizes import check_image_sizes, check_reach
from ..images.source import escapes_root
from ..people import ImageSet, People, Reason, Skip
from .dataset import SPLITS, Bodies, Search
from .registry import dataset_of

WORLD_MARK = "pgtfast_world.json"
"""A file that tells a set made by `python -m pgtfast.synth` from a real one: its bodies are the free one."""

_SIZES_LOOKED_AT = 32
_LOG = logging.getLogger(__name__)


def open_dataset(
    kind: str, root: str | Path, *, split: str = "train", body: Bodies = None, dataset: str | None = None
) -> ImageSet:
    """Open the data set in a folder.

    ``DATASETS[kind].layouts`` says which files are looked for; of several that exist the first is taken. Where no image
    folder holds the images, WebDataset tars (*.tar) in the root are taken. People whose image is not in the image
    folder
    get the reason "missing-file"; the sizes of some images are compared with the annotations (with the keypoints where
    those give no size).

    Args:
        kind: one of :data:`~pgtfast.datasets.registry.DATASETS`.
        root: the data set's folder.
        split: "train", "val" or "test". LSPET, MuCo-3DHP, MPI-INF-3DHP in the authors' layout and the studio of a free
            world are "train" alone, MuPoTS-3D is "test".
        body: the body that 3D data sets' parameters are of, or one for each gender (3DPW): with it their translation in
            the camera and, for 3DPW, the 3D joints are known. A set marked as a free world (pgtfast_world.json) brings
            its own.
        dataset: first part of each person's key; None takes the kind, or "free_SET" for a set of a free world.

    Raises:
        PgtfastError: nothing of the kind exists there (the message lists what was looked for, in order), the images are
            other ones than annotated, or a file cannot be read.
    """
    chosen = dataset_of(kind)
    if split not in SPLITS:
        raise PgtfastError(f"split: wanted one of {', '.join(SPLITS)}, got {split!r}")
    folder = Path(root)
    if not folder.is_dir():
        raise PgtfastError(f"{folder}: no such folder; wanted the root of a dataset of kind {kind}")
    world = _free_world(folder)
    search = Search(kind, folder, split, load_body("free") if world else body, free_world=world is not None)
    people, folders = chosen.read(search)
    people = replace(people, dataset=dataset or (f"free_{world}" if world else kind))
    images, people = _images(search, people, folders)
    return ImageSet(people=people, images=images, role=chosen.role)


def _free_world(root: Path) -> str | None:
    """Name of the set of a free world; None for a real dataset."""
    path = root / WORLD_MARK
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        body, name = content["body"], str(content.get("set") or root.name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PgtfastError(f"{path}: damaged ({type(error).__name__}); make the world again") from error
    if body != "free":
        raise PgtfastError(
            f"{path}: body: wanted 'free', got {body!r}; this version reads worlds of the free body alone"
        )
    return name


def _images(search: Search, people: People, folders: Sequence[str]) -> tuple[Path | tuple[Path, ...], People]:
    """The image folder (or tars), and the people with a reason where their image is not in it."""
    usable = [row for row, reason in enumerate(people.reason) if reason is None]
    if not usable:
        first = people.reason[0] if len(people) else "the file annotates nobody"
        raise PgtfastError(
            f"{search.root}: none of {len(people)} people of {people.dataset} can be used; the first: {first}"
        )
    best: tuple[int, Path, np.ndarray] | None = None
    for name in folders:
        folder = search.root / name
        if not folder.is_dir():
            continue
        there = _existing(people, usable, folder)
        if there.any() and (best is None or there.sum() > best[0]):
            best = int(there.sum()), folder, there
        if there.all():
            break
    if best is None:
        tars = tuple(sorted(search.root.glob("*.tar")))
        if tars:
            return tars, people
        looked = ", ".join(f"{name}/" if name else "the folder itself" for name in folders)
        raise PgtfastError(
            f"{search.root}: none of the images of {people.dataset} is there, "
            f"for example {people.image_path[usable[0]]}; looked in: {looked}, *.tar"
        )
    count, folder, there = best
    if count < len(usable):
        reason = people.reason.copy()
        for row, found in zip(usable, there, strict=True):
            if not found:
                reason[row] = Skip(Reason.MISSING_FILE, f"{folder / people.image_path[row]} is not there")
        _LOG.warning(
            "%s: the images of %d of %d people are not there; these people are skipped",
            folder,
            len(usable) - count,
            len(usable),
        )
        people = replace(people, reason=reason)
    shown = people.rows(np.array(usable)[there])
    check_image_sizes(shown, folder, sample=_SIZES_LOOKED_AT)
    check_reach(shown, folder, sample=_SIZES_LOOKED_AT)
    return folder, people


def _existing(people: People, rows: Sequence[int], folder: Path) -> np.ndarray:
    """(len(rows),) bool: whether the image is in the folder. Each folder is listed once."""
    names: dict[str, set[str]] = {}
    out = np.zeros(len(rows), dtype=bool)
    for at, row in enumerate(rows):
        if escapes_root(people.image_path[row]):
            continue
        parent, name = os.path.split(people.image_path[row])
        if parent not in names:
            try:
                names[parent] = set(os.listdir(folder / parent))
            except OSError:
                names[parent] = set()
        out[at] = name in names[parent]
    return out
