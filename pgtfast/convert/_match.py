"""Who is who: people of a file against those of an annotation file, by id or by image name and box."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from ..formats.bodies import Bodies
from ..formats.notes import Notes
from ..formats.people_index import PeopleIndex

ASIDE = 0.25
"""Share of the box's side by which the middles of two boxes of one person may differ."""
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

    def match(self, bodies: Bodies, notes: Notes) -> Bodies:
        """The people who are annotated, with image, size, id and, where unknown, box and camera of their annotation; all others are counted."""
        rows = self._by_id(bodies, notes) if bodies.keyed else self._by_box(bodies, notes)
        kept = np.asarray(rows >= 0)
        first = np.zeros(len(rows), bool)
        first[np.unique(rows, return_index=True)[1]] = True
        twice = kept.copy()
        twice[kept] = self._taken[rows[kept]] | ~first[kept]
        if twice.any():
            notes.count(
                _UNMATCHED + "another of the file is the same annotated person", int(twice.sum()), bodies.names(twice)
            )
            kept &= ~twice
        self._taken[rows[kept]] = True
        bodies, theirs = bodies.rows(kept), self.index.people.rows(rows[kept])
        unknown, sized = ~bodies.known()["bbox"], theirs.known()["image_size"]
        camera = np.isnan(bodies.focal).all(1) & theirs.known()["focal"]
        return replace(
            bodies,
            annotation_id=theirs.annotation_id,
            image_path=theirs.image_path,
            image_size=np.where(sized[:, None], theirs.image_size, bodies.image_size),
            person_id=theirs.person_id,
            bbox=np.where(unknown[:, None], theirs.bbox, bodies.bbox),
            focal=np.where(camera[:, None], theirs.focal, bodies.focal),
            center=np.where(camera[:, None], theirs.center, bodies.center),
            keyed=True,
        )

    def image_sizes(self, bodies: Bodies) -> np.ndarray:
        """(N, 2) sizes of the people's images, 0 where unknown."""
        found = [self._image(name) for name in bodies.image_path]
        rows = [self._images[name_key(f[0])][f[0]][0] if len(f) == 1 else None for f in found]
        return np.array(
            [(0, 0) if row is None else self.index.people.image_size[row] for row in rows], np.int64
        ).reshape(-1, 2)

    def _by_id(self, bodies: Bodies, notes: Notes) -> np.ndarray:
        rows = np.array([self._row_of.get(int(number), -1) for number in bodies.annotation_id], np.int64)
        missing = rows < 0
        notes.count(
            _UNMATCHED + f"their ids are not in {self.index.path.name}", int(missing.sum()), bodies.names(missing)
        )
        other = np.zeros(len(rows), bool)
        for row, name in enumerate(bodies.image_path):
            if name is not None and rows[row] >= 0:
                other[row] = name_key(name) != name_key(self.index.people.image_path[rows[row]])
        notes.count(
            _UNMATCHED + f"their ids are of other images in {self.index.path.name}",
            int(other.sum()),
            bodies.names(other),
        )
        return np.where(other, -1, rows)

    def _by_box(self, bodies: Bodies, notes: Notes) -> np.ndarray:
        rows = np.full(len(bodies), -1)
        groups: dict[str, list[int]] = {}
        for row, path in enumerate(bodies.image_path):
            found = self._image(path)
            if len(found) == 1:
                groups.setdefault(found[0], []).append(row)
            else:
                why = "the image is not in" if not found else "several images have that name in"
                notes.count(_UNMATCHED + f"{why} {self.index.path.name}", 1, bodies.names(np.array([row])))
        for name, mine in groups.items():
            theirs = self._images[name_key(name)][name]
            pairs = _pairs(bodies.bbox[mine], self.index.people.bbox[theirs])
            for row, at, reason in zip(mine, *pairs, strict=True):
                if at >= 0:
                    rows[row] = theirs[at]
                else:
                    notes.count(_UNMATCHED + reason, 1, bodies.names(np.array([row])))
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


def check_rows(
    people: Bodies, joints_of: Callable[[Bodies], tuple[np.ndarray, np.ndarray]], notes: Notes
) -> str | None:
    """Whether bodies that were laid on people row by row are theirs, seen from the keypoints.

    Args:
        people: with bodies, boxes and keypoints.
        joints_of: gives joints (N, K, 2) from the front and the keypoints (N, K, 3) of the same names.
        notes: gets what was compared.

    Returns:
        What speaks against it, or None. The same bodies laid one row off must fit clearly worse, in every stretch of rows.
    """
    usable = people.with_body() & np.isfinite(people.bbox).all(1)
    usable &= (people.keypoints[..., 2] > 0).sum(1) >= 8 if people.keypoints is not None else False
    rows = np.flatnonzero(usable)
    if len(rows) < 8:
        notes.count(
            "rows: fits hold no names, and {n} rows have keypoints to compare them with: they are taken in their order, unchecked",
            max(len(rows), 1),
        )
        return None
    flat, points = joints_of(people.rows(rows))
    side = people.bbox[rows, 2:].max(1)
    own, shifted = (_misfit(np.roll(flat, by, 0), points) / side for by in (0, 1))
    for stretch in np.array_split(np.arange(len(rows)), max(1, min(20, len(rows) // 25))):
        if np.median(own[stretch]) > 0.7 * np.median(shifted[stretch]):
            return (
                f"between rows {rows[stretch[0]]} and {rows[stretch[-1]]} the bodies miss the keypoints of their rows by {100 * np.median(own[stretch]):.1f} % of the "
                f"box, those one row off by {100 * np.median(shifted[stretch]):.1f} %"
            )
    notes.count(
        f"rows: fits hold no names; {{n}} rows were checked by their keypoints: bodies miss those of their own row by {100 * np.median(own):.1f} % of the box, "
        f"of the next by {100 * np.median(shifted):.1f} %", len(rows),
    )  # fmt: skip
    return None


def _misfit(flat: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N,) pixels, root mean square, between keypoints (N, K, 3) and joints (N, K, 2) under the best scale and shift."""
    weight = (points[..., 2:] > 0).astype(float)
    total = weight.sum(1, keepdims=True)
    x = (flat - (flat * weight).sum(1, keepdims=True) / total) * weight
    y = (points[..., :2] - (points[..., :2] * weight).sum(1, keepdims=True) / total) * weight
    scale = np.maximum((x * y).sum((1, 2)), 0) / np.maximum((x * x).sum((1, 2)), 1e-12)
    return np.sqrt(((y - scale[:, None, None] * x) ** 2).sum((1, 2)) / total[:, 0, 0])
