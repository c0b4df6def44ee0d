"""Whom to annotate, and where their pictures are."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from .._errors import PgtfastError
from ..data import ImageSet, People, read_coco_persons
from ..data.columns import usable_rows
from ..formats.bulk import file_sha256

NEEDLESS = "no-keypoints"
"""Code of the one reason that does not matter to who needs a box alone."""


def open_people(options: argparse.Namespace) -> tuple[ImageSet, str]:
    """The set that the command line names, and a hash of what its files say.

    People without keypoints who have a box lose their reason; people who have neither keep or get one.
    """
    if options.coco is not None:
        folder = Path(options.images)
        if not folder.is_dir():
            raise PgtfastError(f"--images {options.images}: no such folder")
        people = read_coco_persons(options.coco, dataset=options.dataset)
        held = ImageSet(people=people, images=folder, role="wild")
        digest = file_sha256(options.coco)
    else:
        from ..data.roots import KINDS, open_dataset

        if options.dataset not in KINDS:
            raise PgtfastError(f"--dataset {options.dataset}: with --root wanted one of {', '.join(KINDS)}")
        if not Path(options.root).is_dir():
            raise PgtfastError(f"--root {options.root}: no such folder")
        held = open_dataset(options.dataset, Path(options.root), split=options.split)
        digest = _digest(held.people)
    people = held.people if options.limit is None else held.people.rows(slice(options.limit))
    reason = people.reason.copy()
    for row in np.flatnonzero(~np.isnan(people.bbox).any(1)):
        if str(reason[row]).partition(":")[0] == NEEDLESS:
            reason[row] = None
    people = dataclasses.replace(people, reason=reason)
    without = np.array([r is None for r in reason], bool)
    without[usable_rows(people)] = False
    reason[without] = "no-box: neither a box in the picture nor keypoints to make one of"
    return dataclasses.replace(held, people=people), digest


def _digest(people: People) -> str:
    """Hash of who is there, where and with which keypoints."""
    digest = hashlib.sha256(people.dataset.encode())
    for path, number in zip(people.image_path, people.annotation_id, strict=True):
        digest.update(f"\n{path} {number}".encode())
    digest.update(people.bbox.tobytes())
    digest.update(people.keypoints.tobytes())
    return digest.hexdigest()
