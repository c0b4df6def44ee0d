"""Who is who: people of a file against those of an annotation file, by id or by image name and box."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from ..formats.columns import known, names
from ..formats.notes import Notes
from ..formats.people_index import PeopleIndex
from ..people import People

ASIDE = 0.25
"""Fraction of the box's side by which the middles of two boxes of one person may differ."""
SIZES = (0.6, 3.0)
"""A box may be from this to that many times the longer side of the annotated one: formats grow boxes differently."""
CLEAR = 0.05
"""Two candidates whose differences are nearer to each other than this cannot be told apart."""

_COCO_2014 = re.compile(r"^COCO_(train|val|test)20\d\d_")
_UNMATCHED = "not matched: {n} people are not written: "


class Matcher:
    """Finds the annotated person of each row."""

    def __init__(self, index: PeopleIndex) -> None:
        self.index = index
        people = index.people
        self._row_of = {int(number): row for row, number in enumerate(people.annotation_id)}
        self._images: dict[str, dict[str, list[int]]] = {}
        for row, path in enumerate(people.image_path):
            self._images.setdefault(name_key(path), {}).setdefault(path, []).append(row)
        self._taken = np.zeros(len(people), bool)

    def match(self, people: People, notes: Notes) -> People:
        """The people who are annotated, with image, size, id and, where unknown, box and camera of their annotation;
        all others are counted."""
        rows = self._by_id(people, notes) if people.keyed else self._by_box(people, notes)
        kept = np.asarray(rows >= 0)
        first = np.zeros(len(rows), bool)
        first[np.unique(rows, return_index=True)[1]] = True
        twice = kept.copy()
        twice[kept] = self._taken[rows[kept]] | ~first[kept]
        if twice.any():
            notes.count(
                _UNMATCHED + "another of the file is the same annotated person", int(twice.sum()), names(people, twice)
            )
            kept &= ~twice
        self._taken[rows[kept]] = True
        people, theirs = people.rows(kept), self.index.people.rows(rows[kept])
        unknown, sized = ~known(people)["bbox"], known(theirs)["image_size"]
        camera = np.isnan(people.focal).all(1) & known(theirs)["focal"]
        return replace(
            people,
            annotation_id=theirs.annotation_id,
            image_path=theirs.image_path,
            image_size=np.where(sized[:, None], theirs.image_size, people.image_size),
            person_id=theirs.person_id,
            bbox=np.where(unknown[:, None], theirs.bbox, people.bbox),
            focal=np.where(camera[:, None], theirs.focal, people.focal),
            center=np.where(camera[:, None], theirs.center, people.center),
            keyed=True,
        )

    def image_sizes(self, people: People) -> np.ndarray:
        """(N, 2) sizes of the people's images, 0 where unknown."""
        found = [self._image(name) for name in people.image_path]
        rows = [self._images[name_key(f[0])][f[0]][0] if len(f) == 1 else None for f in found]
        return np.array(
            [(0, 0) if row is None else self.index.people.image_size[row] for row in rows], np.int64
        ).reshape(-1, 2)

    def _by_id(self, people: People, notes: Notes) -> np.ndarray:
        rows = np.array([self._row_of.get(int(number), -1) for number in people.annotation_id], np.int64)
        missing = rows < 0
        notes.count(
            _UNMATCHED + f"their ids are not in {self.index.path.name}", int(missing.sum()), names(people, missing)
        )
        other = np.zeros(len(rows), bool)
        for row, name in enumerate(people.image_path):
            if name is not None and rows[row] >= 0:
                other[row] = name_key(name) != name_key(self.index.people.image_path[rows[row]])
        notes.count(
            _UNMATCHED + f"their ids are of other images in {self.index.path.name}",
            int(other.sum()),
            names(people, other),
        )
        return np.where(other, -1, rows)

    def _by_box(self, people: People, notes: Notes) -> np.ndarray:
        rows = np.full(len(people), -1)
        groups: dict[str, list[int]] = {}
        for row, path in enumerate(people.image_path):
            found = self._image(path)
            if len(found) == 1:
                groups.setdefault(found[0], []).append(row)
            else:
                why = "the image is not in" if not found else "several images have that name in"
                notes.count(_UNMATCHED + f"{why} {self.index.path.name}", 1, names(people, np.array([row])))
        for name, mine in groups.items():
            theirs = self._images[name_key(name)][name]
            pairs = _pairs(people.bbox[mine], self.index.people.bbox[theirs])
            for row, at, reason in zip(mine, *pairs, strict=True):
                if at >= 0:
                    rows[row] = theirs[at]
                else:
                    notes.count(_UNMATCHED + reason, 1, names(people, np.array([row])))
        return rows

    def _image(self, name: str) -> list[str]:
        """Images of the index that a name may mean."""
        found = self._images.get(name_key(name), {})
        if len(found) <= 1 or name in found:
            return [name] if name in found else list(found)
        mine = PurePosixPath(name).with_suffix("").parts
        same = []
        for other in found:
            parts = PurePosixPath(other).with_suffix("").parts
            short = min(len(parts), len(mine))
            if parts[-short:] == mine[-short:]:
                same.append(other)
        return same


def name_key(name: str) -> str:
    """The last part of a path without its ending; COCO's names of 2014 and 2017 are the same."""
    return _COCO_2014.sub("", PurePosixPath(name).stem)


def _pairs(mine: np.ndarray, theirs: np.ndarray) -> tuple[list[int], list[str]]:
    """For each box of (M, 4) the one of (N, 4) around the same person, -1 with the reason where there is none."""
    middle, other = (box[:, :2] + box[:, 2:] / 2 for box in (mine, theirs))
    side, longer = mine[:, 2:].max(1), theirs[:, 2:].max(1)
    with np.errstate(invalid="ignore"):
        aside = np.linalg.norm(middle[:, None] - other[None], axis=2) / side[:, None]
        ratio = side[:, None] / longer[None]
        cost = np.where(
            (aside <= ASIDE) & (ratio >= SIZES[0]) & (ratio <= SIZES[1]), aside + 0.5 * abs(np.log(ratio / 1.2)), np.inf
        )
    found, why = [], []
    for row in range(len(mine)):
        order = np.argsort(cost[row], kind="stable")
        best = int(order[0])
        if not np.isfinite(mine[row]).all():
            found.append(-1)
            why.append("they have no box to be told by")
        elif not np.isfinite(cost[row, best]):
            found.append(-1)
            why.append("no annotated box of the image is about theirs")
        elif len(order) > 1 and cost[row, order[1]] - cost[row, best] < CLEAR:
            found.append(-1)
            why.append("two annotated boxes of the image are as near to theirs")
        elif int(cost[:, best].argmin()) != row:
            found.append(-1)
            why.append("another of the file is nearer to the annotated box")
        else:
            found.append(best)
            why.append("")
    return found, why
