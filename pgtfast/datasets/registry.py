"""All data sets by name. One from outside the package is a `Dataset` and a call of `register`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from .._errors import PgtfastError
from ..people import ImageSet, People, Role
from . import roots


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set that is opened by the folder that it lies in."""

    name: str
    """First part of each person's key, and of the option `--datasets.NAME`."""
    role: Role
    """What it is for."""
    read: Callable[[Path, str], tuple[People, Path | tuple[Path, ...]]]
    """Of the folder and the split ("train", "val", "test"): the people, and the folder that their images are in or the
    tars that hold them."""

    def open(self, root: Path, split: str) -> ImageSet:
        """The data set in a folder."""
        people, images = self.read(root, split)
        return ImageSet(people=replace(people, dataset=self.name), images=images, role=self.role)


_registered: dict[str, Dataset] = {}


def register(dataset: Dataset) -> None:
    """Let `train` and `annotate` open another data set by its name.

    Raises:
        ValueError: there is one of that name, or the name is no identifier.
    """
    if dataset.name in names():
        raise ValueError(f"data set {dataset.name!r}: there is one of that name")
    if not dataset.name.isidentifier():
        raise ValueError(f"data set {dataset.name!r}: wanted a name of letters, digits and underscores")
    _registered[dataset.name] = dataset


def unregister(dataset: Dataset) -> None:
    """Undo `register`."""
    del _registered[dataset.name]


def names() -> dict[str, Role]:
    """Name -> role of every data set, those of the package first."""
    return {**roots.KINDS, **{name: dataset.role for name, dataset in _registered.items()}}


def open_dataset(name: str, root: str | Path, *, split: str = "train") -> ImageSet:
    """Open the data set in a folder.

    Raises:
        PgtfastError: there is no data set of the name, nothing of it is in the folder, or a file cannot be read.
    """
    if name not in _registered:
        return roots.open_dataset(name, root, split=split)
    folder = Path(root)
    if not folder.is_dir():
        raise PgtfastError(f"{folder}: no such folder; wanted the root of a dataset of kind {name}")
    return _registered[name].open(folder, split)
