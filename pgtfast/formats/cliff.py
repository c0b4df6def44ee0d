"""CLIFF's npz: SMPL bodies before a camera through the middle of the image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..people import People, Reason, Skip, layout_of
from ._npz import framed, frames, has_keys, keypoints_as, labelled, load_columns, note_others, numbers, save
from .columns import joined
from .format import BODY, SMPL, Context, Format
from .recamera import image_camera

_LAYOUT = layout_of("smpl")
_NEEDED = ("imgname", "center", "scale", "pose", "shape", "global_t", "focal_l")


def _read(path: Path, context: Context) -> Iterator[People]:
    """Read such a file. The principal point is the middle of the image, whose size the file does not hold: `center`
    stays unknown.

    Raises:
        PgtfastError: a key is missing or not of its shape.
    """
    held = load_columns(path, _NEEDED)
    note_others(held, (*_NEEDED, "annot_id", "has_smpl", "part"), context.notes)
    model = context.model(path, "smpl")
    people = framed(path, held, context)
    count = len(people)
    focal = numbers(path, held, "focal_l", count, ())
    if count and focal.min() <= 0:
        raise PgtfastError(
            f"{path}: key 'focal_l': row {int(focal.argmin())}: wanted pixels above 0, got {focal.min():g}"
        )
    people = replace(people, focal=np.repeat(focal[:, None], 2, 1)).with_pose(
        model,
        numbers(path, held, "pose", count, (_LAYOUT.pose_size,)),
        betas=numbers(path, held, "shape", count, (_LAYOUT.betas,)),
        transl=numbers(path, held, "global_t", count, (3,)),
    )
    if "has_smpl" in held:
        people.reason[numbers(path, held, "has_smpl", count, ()) <= 0] = Skip(Reason.NO_BODY, "has_smpl is 0")
    if "part" in held:
        people = labelled(people, numbers(path, held, "part", count, (len(skeletons.get("spin24")), 3)), "spin24")
    yield people


def _write(path: Path, batches: Iterable[People], context: Context) -> int:
    """Write people with name, box, image size and camera; each is moved before CLIFF's camera of the image."""
    people, notes = joined([batch for batch in batches if len(batch)]), context.notes
    people = image_camera(people, np.linalg.norm(people.image_size, axis=1), notes, context.measured)
    columns = {
        "pose": people.pose,
        "shape": people.body["betas"][:, : _LAYOUT.betas],
        "has_smpl": np.ones(len(people), np.uint8),
        "global_t": people.body["transl"],
        "focal_l": people.focal[:, 0],
    }
    save(path, frames(people, notes) | columns | keypoints_as(people, {"spin24": "part"}, notes))
    return len(people)


CLIFF = Format(
    name="cliff",
    about="CLIFF's npz (.npz); the camera looks through the middle of the image, so image sizes are needed "
    "(--people or --images)",
    suffixes=(".npz",),
    sniff=lambda path: has_keys(path, "global_t"),
    models=SMPL,
    holds=frozenset((*BODY, "transl", "image_path", "bbox", "keypoints")),
    needs=("body", "image_path", "bbox", "image_size", "transl", "focal", "center"),
    moves_camera=True,
    center_of_image=True,
    read=_read,
    write=_write,
)
