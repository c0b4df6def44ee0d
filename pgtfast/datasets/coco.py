"""COCO person keypoints and COCO-WholeBody: instances JSON -> :class:`People`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..people import People, Reason, Skip, empty_people, person_ids
from ..people.table import concatenated
from ._coco_layout import OCCLUDED_CONFIDENCE, Fill, fill_points, read_layout
from .coco_stream import stream_coco_persons
from .dataset import Dataset, Found, Search

__all__ = ["OCCLUDED_CONFIDENCE", "read_coco_persons", "read_coco_wholebody"]

_WHOLEBODY = "COCO-WholeBody keypoints"
_KNUCKLES = (5, 9, 13, 17)
"""The first joint of index, middle, ring and little finger among the 21 of a hand."""


def read_coco_persons(path: str | Path, *, dataset: str | None = None) -> People:
    """Read a COCO person keypoints file.

    A third value of a keypoint is COCO's flag (0 not labelled, 1 labelled but hidden, 2 visible). A person whose third
    values are not all
    0, 1 or 2 but all in [0, 1], as detectors write, has them taken as confidences. Numbers written as strings are read
    as numbers.

    Args:
        path: JSON with `images` and `annotations`; `categories`, where present, says which annotations are people.
        dataset: first part of each person's key; None takes the file's name without suffix.

    Returns:
        One row for each annotation of a person, in file order. A person who cannot be used (crowd region, no keypoint,
        damaged entry, an id that is missing or was given before) has a reason; such an id counts as -(1 + index).

    Raises:
        PgtfastError: the file cannot be read as such JSON, or the id of an image is missing or given twice.
    """
    path = Path(path)
    nobody = empty_people(dataset or path.stem, [], landmark_set="coco17")
    batches = list(stream_coco_persons(path, dataset=dataset))
    people = concatenated([nobody, *(some for some, _ in batches)])
    index = np.concatenate([np.zeros(0, np.int64), *(places for _, places in batches)])
    _, first, again = np.unique(people.annotation_id, return_index=True, return_inverse=True)
    for row in np.flatnonzero(first[again] != np.arange(len(people))).tolist():
        people.reason[row] = Skip(Reason.DUPLICATE_ID, f"annotation id {people.annotation_id[row]} is given twice")
        people.keypoints[row], people.annotation_id[row] = 0, -(1 + index[row])
    return replace(people, person_id=person_ids(people.image_path))


def read_coco_wholebody(
    path: str | Path, *, dataset: str | None = None, landmark_set: str = "coco_wholebody31"
) -> People:
    """Read a COCO-WholeBody file: the body's 17 keypoints, 6 of the feet and the 4 knuckles of each hand.

    A part that the file marks as not valid (`foot_valid`, `lefthand_valid`, `righthand_valid`) or lacks for a person is
    not labelled; a person
    without any keypoint of the body cannot be used, whatever the hands show. The flags of each part are read as in
    :func:`read_coco_persons`.

    Args:
        path: JSON with `images` and `annotations`, whose `keypoints` are followed by `foot_kpts`, `lefthand_kpts` and
            `righthand_kpts`.
        dataset: first part of each person's key; None takes the file's name without suffix.
        landmark_set: "coco_wholebody31", or one of its beginnings "coco17_feet" and "coco17" to leave the rest away.

    Raises:
        PgtfastError: no annotation has `foot_kpts` or hands: such a file is one for :func:`read_coco_persons`. Else as
        there.
    """
    sets = ("coco17", "coco17_feet", "coco_wholebody31")
    if landmark_set not in sets:
        raise PgtfastError(f"landmark_set: wanted one of {', '.join(sets)}, got {landmark_set!r}")
    keys = ("foot_kpts", "lefthand_kpts", "righthand_kpts")

    def check(held: list[Mapping]) -> Fill:
        if held and not any(key in entry for entry in held for key in keys):
            raise PgtfastError(
                f"{path}: no annotation has any of {', '.join(keys)}: not COCO-WholeBody. Read it with "
                f"read_coco_persons"
            )
        return _fill_wholebody

    people = read_layout(
        path,
        dataset=dataset,
        landmark_set="coco_wholebody31",
        what=_WHOLEBODY,
        fill_of=check,
        category_joints=tuple(skeletons.get("coco17").index),
    )
    if landmark_set == "coco_wholebody31":
        return people
    return replace(people, landmark_set=landmark_set, keypoints=people.keypoints[:, : len(skeletons.get(landmark_set))])


def _fill_wholebody(out: np.ndarray, entry: Mapping) -> Skip | None:
    joints = skeletons.get("coco_wholebody31").joints
    reason = fill_points(out[:17], entry.get("keypoints"), joints[:17])
    if reason is not None:
        return reason
    fingers = tuple(f"joint {at} of the hand" for at in range(21))
    for part, start, names in (("foot", 17, joints[17:23]), ("lefthand", 23, fingers), ("righthand", 27, fingers)):
        if entry.get(f"{part}_valid", True) not in (True, 1, "1") or entry.get(f"{part}_kpts") is None:
            continue
        points = np.zeros((len(names), 3))
        reason = fill_points(points, entry[f"{part}_kpts"], names)
        if reason is None:
            points = points if part == "foot" else points[list(_KNUCKLES)]
            out[start : start + len(points)] = points
        elif reason.code is not Reason.NO_KEYPOINTS:
            return Skip(reason.code, f"{part}_kpts: {reason.detail}")
    return None


def _read(search: Search) -> Found:
    folders, year = ("annotations/", ""), f"{search.split}2017"
    path = search.find(f"coco_wholebody_{search.split}_v1.0.json", folders=folders)
    if path is not None:
        people = read_coco_wholebody(path, dataset="coco")
    else:
        people = read_coco_persons(search.need(f"person_keypoints_{year}.json", folders=folders), dataset="coco")
    return Found(people, (year, f"images/{year}", "images", ""))


DATASET = Dataset(
    name="coco",
    role="wild",
    layouts="{annotations/,}coco_wholebody_{split}_v1.0.json, then {annotations/,}person_keypoints_{split}2017.json; "
    "{split}2017/, images/{split}2017/, images/, the folder",
    read=_read,
)
