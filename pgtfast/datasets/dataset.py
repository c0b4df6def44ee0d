"""What a data set is to the rest of the package: its name, its role, and where its files are looked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .._errors import PgtfastError
from ..body import BodyModel
from ..people.sets import Role
from ..people.table import People

SPLITS = ("train", "val", "test")

Bodies = BodyModel | Mapping[str, BodyModel] | None
"""The body that a data set's parameters are of, or one for each gender."""


class Search:
    """Looks for files in a data set's folder and remembers where it looked.

    Args:
        kind: name of the data set.
        root: its folder.
        split: one of :data:`SPLITS`.
        body: what its parameters are of.
        free_world: whether the folder is a set made by `python -m pgtfast.synth`.
    """

    def __init__(self, kind: str, root: Path, split: str, body: Bodies = None, *, free_world: bool = False) -> None:
        self.kind, self.root, self.split, self.body, self.free_world = kind, root, split, body, free_world
        self.tried: list[str] = []

    @property
    def one_body(self) -> BodyModel | None:
        """The body where one serves all genders."""
        return self.body.get("neutral") if isinstance(self.body, Mapping) else self.body

    def find(self, *names: str, folders: Sequence[str] = ("",)) -> Path | None:
        """The first existing file or folder of these names, folder by folder, relative to the root; None where none
        exists."""
        for name in [folder + name for folder in folders for name in names]:
            self.tried.append(name)
            if (self.root / name).exists():
                return self.root / name
        return None

    def need(self, *names: str, folders: Sequence[str] = ("",)) -> Path:
        """As :meth:`find`.

        Raises:
            PgtfastError: none exists; the message lists everything that was looked for.
        """
        found = self.find(*names, folders=folders)
        if found is None:
            raise self.nothing()
        return found

    def match(self, pattern: str, folders: Sequence[str] = ("",)) -> list[Path]:
        """Files of the first of these folders that holds any of the pattern, sorted."""
        for name in folders:
            self.tried.append(f"{name}{pattern}")
            found = sorted((self.root / name).glob(pattern))
            if found:
                return found
        return []

    def only(self, split: str, what: str) -> None:
        """Refuse another split than the one that `what` belongs to: nobody shall measure on what was trained on, or the
        reverse."""
        if self.split != split:
            raise PgtfastError(f"{self.root}: split {self.split}: {what} is of one split; ask for split {split}")

    def nothing(self) -> PgtfastError:
        """The error that lists everything that was looked for."""
        return PgtfastError(
            f"{self.root}: no annotations of kind {self.kind}, split {self.split}; looked for: {', '.join(self.tried)}"
        )


class Found(NamedTuple):
    """What a data set's `read` returns."""

    people: People
    image_folders: Sequence[str]
    """Folders, relative to the root, that may hold the images; the one that holds most of them is taken."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set that :func:`~pgtfast.datasets.open_dataset`, `train --datasets.NAME` and `annotate --dataset NAME
    --root` open by name."""

    name: str
    """Lower case; the `dataset` of its people where no other name is given."""
    role: Role
    layouts: str
    """Where its annotations are looked for, in order: {split} stands for the split, {A,B} for A or B."""
    read: Callable[[Search], Found]
    """Finds its files by the search and reads them.

    Raises:
        PgtfastError: there are none (:meth:`Search.nothing`), or they cannot be read.
    """
