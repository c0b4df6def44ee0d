"""The datasets of a run: opened, checked and split before anything is computed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..body import BodyModel
from ..datasets import DATASETS, open_dataset
from ..loading import Supervision
from ..people import ImageSet, Role


class Datasets(Mapping[str, tuple[Path, ...]]):
    """Root folders by the name of their data set, in the order of the registry: ``Datasets(coco=Path("data/coco"))``.

    Args:
        roots: one folder or several of each data set; names are those of `pgtfast.datasets.DATASETS`.

    Raises:
        PgtfastError: a name is not registered.
    """

    def __init__(self, **roots: Path | Sequence[Path]) -> None:
        if unknown := roots.keys() - DATASETS.keys():
            raise PgtfastError(
                f"datasets: no data set {', '.join(sorted(unknown))}; registered are {', '.join(DATASETS)}"
            )
        folders = {name: (path,) if isinstance(path, (str, Path)) else tuple(path) for name, path in roots.items()}
        self._roots = {name: tuple(map(Path, folders[name])) for name in DATASETS if folders.get(name)}

    def __getitem__(self, name: str) -> tuple[Path, ...]:
        return self._roots[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._roots)

    def __len__(self) -> int:
        return len(self._roots)

    def __repr__(self) -> str:
        return f"Datasets({', '.join(f'{name}={paths}' for name, paths in self.items())})"

    def of(self, *roles: Role) -> Datasets:
        """The data sets of some roles alone."""
        return Datasets(**{name: paths for name, paths in self.items() if DATASETS[name].role in roles})


def open_all(datasets: Datasets, *, split: str = "train") -> list[ImageSet]:
    """Every dataset, each with somebody to learn from.

    Raises:
        PgtfastError: a folder is missing, or nobody in it can be used.
    """
    opened = []
    for kind, root in [(name, root) for name, roots in datasets.items() for root in roots]:
        if not root.is_dir():
            raise PgtfastError(
                f"datasets.{kind}: no folder {root}. Give the dataset's root: --datasets.{kind} DIR; for a free one: "
                "python -m pgtfast.synth DIR"
            )
        image_set = open_dataset(kind, root, split=split)
        usable = _usable(image_set)
        if not usable.any():
            reasons = sorted({str(r).partition(":")[0] for r in image_set.people.reason if r is not None})
            raise PgtfastError(
                f"datasets.{kind}: no person left of {len(image_set.people)} in {root}"
                + (f" (reasons: {', '.join(reasons)})" if reasons else "; nobody has a labelled keypoint")
            )
        opened.append(image_set)
    return opened


def check_keypoints(sets: Sequence[ImageSet], supervision: Supervision) -> None:
    """Refuse a dataset of whose keypoints none is supervised."""
    for image_set in sets:
        name = image_set.people.landmark_set
        base = skeletons.get(supervision.sets[0]).index
        if name not in supervision.sets and not any(key in base for key in skeletons.get(name).index):
            raise PgtfastError(
                f"{image_set.people.dataset}: its keypoints are {name}, of which none is in "
                f"{'+'.join(supervision.sets)}; "
                "name another supervision set or leave the dataset out"
            )


def check_landmarks(names: Sequence[str], body: BodyModel) -> None:
    """Refuse supervision by landmarks that the body does not have."""
    missing = [name for name in names if name not in body.landmark_sets]
    if missing:
        raise PgtfastError(
            f"supervision: the body {body.kind} has no landmarks {', '.join(missing)}; it has "
            f"{', '.join(body.landmark_sets)}"
        )


def check_bodies(sets: Sequence[ImageSet], kind: str) -> None:
    """Refuse body parameters of another body than the network's where they would be learned from."""
    for image_set in sets:
        theirs = image_set.people.body_model
        if image_set.use_3d and image_set.people.body and theirs not in (None, kind):
            raise PgtfastError(
                f"{image_set.people.dataset}: its body parameters are of {theirs}, the network's body is {kind}. Train "
                "with --body of that kind, "
                "or leave the dataset out"
            )


def hold_out(sets: Sequence[ImageSet], every: int) -> tuple[list[ImageSet], list[ImageSet]]:
    """Sets to learn from, and the same sets with the held-out images.

    Names alone decide, in an order that has nothing to do with them, so that every run of a set holds out the same;
    where images lie in at least `every` folders (the sequences of 3DPW) whole folders are held out.
    """
    training, held_out = [], []
    for image_set in sets:
        people = image_set.people
        names = [str(path) for path in people.image_path]
        folders = {name.rpartition("/")[0] for name in names}
        if len(folders) >= every:
            names = [name.rpartition("/")[0] for name in names]
        shuffled = sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).digest())
        out = np.isin(np.array(names, dtype=object), np.array(shuffled[every - 1 :: every], dtype=object))
        usable = _usable(image_set)
        for subset, what in ((out, "held out"), (~out, "to learn from")):
            if not (usable & subset).any():
                raise PgtfastError(
                    f"held_out_every: {every} leaves nobody {what} in {people.dataset}; take another number"
                )
        training.append(replace(image_set, people=people.rows(~out)))
        held_out.append(replace(image_set, people=people.rows(out)))
    return training, held_out


def describe(sets: Sequence[ImageSet]) -> str:
    """ "studio 1,200 people (mocap), ..." for a line at the start of a run."""
    return ", ".join(
        f"{s.people.dataset} {int(_usable(s).sum()):,} people ({s.role}{'' if s.use_3d else ', 2D only'})" for s in sets
    )


def default_supervision(sets: Sequence[ImageSet], body: BodyModel, *, own: bool) -> tuple[str, ...]:
    """Landmark sets to supervise by where the config names none.

    The free body: its own joints, and those of the datasets in their own definition. SMPL: Pose2Pose's 33 joints, and
    with `own` also each dataset's own set where the body has it.
    """
    if body.kind == "free":
        return ("p2p25", "h36m17", "coco17", "smpl24")
    names = dict.fromkeys(s.people.landmark_set for s in sets) if own else ()
    more = [name for name in names if name in body.landmark_sets and name != "p2p33"]
    return ("p2p33", *more)


def _usable(image_set: ImageSet) -> np.ndarray:
    people = image_set.people
    return people.usable & (people.keypoints[..., 2] > 0).any(1)
