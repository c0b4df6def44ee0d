"""CamSMPLify's npz: SMPL bodies before the camera of the whole image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._errors import PgtfastError
from ..people import People, layout_of
from ._npz import framed, frames, has_keys, intrinsics, load_columns, matrices, note_others, numbers, save
from .columns import joined
from .format import BODY, SMPL, Context, Format

_LAYOUT = layout_of("smpl")


def _read(path: Path, context: Context) -> Iterator[People]:
    """Read such a file: pose, shape, cam_int, cam_t; or pose_cam and trans_cam, as its released labels have them.

    Raises:
        PgtfastError: a key is missing or not of its shape.
    """
    held = load_columns(path, ("imgname", "center", "scale", "shape", "cam_int"))
    pose, transl = _either(path, held, "pose", "pose_cam"), _either(path, held, "cam_t", "trans_cam")
    read = ("imgname", "center", "scale", "annot_id", "gender", pose, "shape", "cam_int", transl)
    note_others(held, read, context.notes)
    model = context.model(path, "smpl")
    people = framed(path, held, context)
    count = len(people)
    focal, center = intrinsics(path, held, "cam_int", count)
    yield replace(people, focal=focal, center=center).with_pose(
        model,
        numbers(path, held, pose, count, (_LAYOUT.pose_size,)),
        betas=numbers(path, held, "shape", count, (_LAYOUT.betas,)),
        transl=numbers(path, held, transl, count, (3,)),
    )


def _either(path: Path, held: Mapping[str, Any], first: str, second: str) -> str:
    for key in (first, second):
        if key in held:
            return key
    raise PgtfastError(f"{path}: key '{first}' (or '{second}') is missing; the file has {', '.join(held)[:200]}")


def _write(path: Path, batches: Iterable[People], context: Context) -> int:
    """Write people with name, box and camera."""
    people = joined([batch for batch in batches if len(batch)])
    columns = {
        "pose": people.pose,
        "shape": people.body["betas"][:, : _LAYOUT.betas],
        "cam_int": matrices(people.focal, people.center),
        "cam_t": people.body["transl"],
    }
    save(path, frames(people, context.notes) | columns)
    return len(people)


CAMSMPLIFY = Format(
    name="camsmplify",
    about="CamSMPLify's npz (.npz)",
    suffixes=(".npz",),
    sniff=lambda path: has_keys(path, "cam_int"),
    models=SMPL,
    holds=frozenset((*BODY, "transl", "image_path", "bbox", "focal", "center")),
    needs=("body", "image_path", "bbox", "transl", "focal", "center"),
    read=_read,
    write=_write,
)
