"""COCO person keypoints of any size, a few thousand people at a time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..files.json import brief, integer
from ..files.json_entries import stream_lists
from ..people.reason import Reason, Skip
from ..people.table import People, empty_people
from ._coco_layout import fill_points, fill_row, is_person, person_categories

CHUNK = 4096
"""People at once."""
_WHAT = "COCO's 17 person keypoints"
_SET = "coco17"
_IDS_ASKED = 500


def stream_coco_persons(
    path: str | Path, *, dataset: str | None = None, progress: Callable[[int], object] | None = None
) -> Iterator[tuple[People, np.ndarray]]:
    """Read a COCO person keypoints file as :func:`read_coco_persons` does, in bounded memory: the images wait in a
    temporary database on the disk.

    A person whose `id` is no whole number from 0 on gets the id -(1 + place) and the reason "no-id"; ids that come
    twice are left as they are.

    Args:
        path: JSON with `images` and `annotations`; `categories`, where present, says which annotations are people.
        dataset: first part of each person's key; None takes the file's name without suffix.
        progress: is told how many bytes have been read since it was last called; the file is read twice.

    Yields:
        Up to :data:`CHUNK` people, and their places (n,) int64 among the file's annotations. `person_id` counts within
        these people alone.

    Raises:
        PgtfastError: the file is no such JSON, or the id of an image is missing or given twice.
    """
    path, name = Path(path), dataset or Path(path).stem
    images = sqlite3.connect("")  # a file of sqlite's own that goes with the connection
    try:
        categories = person_categories(
            path, _read_images(path, images, progress), _WHAT, tuple(skeletons.get(_SET).index)
        )
        held: list[tuple[int, Mapping]] = []
        for _, place, entry in stream_lists(path, {"annotations": dict}, _WHAT, progress=progress):
            if is_person(entry, categories):
                held.append((place, entry))
            if len(held) == CHUNK:
                yield _people(name, held, images)
                held = []
        if held:
            yield _people(name, held, images)
    finally:
        images.close()


def _read_images(path: Path, images: sqlite3.Connection, progress: Callable[[int], object] | None) -> dict[str, Any]:
    """Put what matters of the images into the database; the file's categories, under their key."""
    images.execute("CREATE TABLE image (id INTEGER PRIMARY KEY, entry TEXT, place INTEGER)")
    categories: list[Any] = []
    rows: list[tuple[int, str, int]] = []

    def insert() -> None:
        try:
            images.executemany("INSERT INTO image VALUES (?, ?, ?)", rows)
        except sqlite3.IntegrityError as error:
            stored = (
                (*row, images.execute("SELECT place FROM image WHERE id = ?", row[:1]).fetchone()[0]) for row in rows
            )
            number, _, place, first = next(row for row in stored if row[2] != row[3])
            raise PgtfastError(
                f"{path}: images[{place}]: id {number} is already that of images[{first}]; ids must be unique, "
                "remove or renumber one"
            ) from error
        rows.clear()

    required = ("images", "annotations")
    kinds = dict.fromkeys((*required, "categories"), dict)
    for key, place, entry in stream_lists(path, kinds, _WHAT, required=required, progress=progress):
        if key == "categories":
            categories.append(entry)
        elif key == "images":
            number = integer(entry.get("id"))
            if number is None or not -(2**63) <= number < 2**63:
                raise PgtfastError(
                    f"{path}: images[{place}]: key 'id': wanted a whole number, got {brief(entry.get('id'))}"
                )
            kept = {name: entry.get(name) for name in ("file_name", "width", "height")}
            rows.append((number, json.dumps(kept), place))
            if len(rows) == CHUNK:
                insert()
    insert()
    return {"categories": categories} if categories else {}


def _people(dataset: str, held: list[tuple[int, Mapping]], images: sqlite3.Connection) -> tuple[People, np.ndarray]:
    places = np.array([place for place, _ in held], np.int64)
    people = empty_people(dataset, -1 - places, landmark_set=_SET)
    wanted = sorted({number for _, entry in held if (number := _whole(entry.get("image_id"))) is not None})
    found: dict[int, Mapping] = {}
    for at in range(0, len(wanted), _IDS_ASKED):
        some = wanted[at : at + _IDS_ASKED]
        marks = ",".join("?" * len(some))
        for number, entry in images.execute(f"SELECT id, entry FROM image WHERE id IN ({marks})", some):
            found[number] = json.loads(entry)
    joints, seen = skeletons.get(_SET).joints, dict[Any, int]()

    def fill(out: np.ndarray, entry: Mapping) -> Skip | None:
        return fill_points(out, entry.get("keypoints"), joints)

    for row, (place, entry) in enumerate(held):
        reason = fill_row(people, row, entry, found, seen, fill)
        number = _whole(entry.get("id"))
        if number is None or number < 0:
            people.keypoints[row] = 0
            reason = Skip(
                Reason.NO_ID, f"annotations[{place}]: id: wanted a whole number from 0 on, got {brief(entry.get('id'))}"
            )
        else:
            people.annotation_id[row] = number
        people.reason[row] = reason
    return people, places


def _whole(value: Any) -> int | None:
    number = integer(value)
    return number if number is not None and -(2**63) <= number < 2**63 else None
