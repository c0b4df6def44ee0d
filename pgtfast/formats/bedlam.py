"""BEDLAM's npz: SMPL or SMPL-X bodies before the camera of the whole image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from .._errors import PgtfastError
from ..people import People, layout_of
from ._npz import framed, frames, has_keys, intrinsics, load_columns, matrices, note_others, numbers, save
from .columns import filled, joined
from .format import BODY, SMPL, Context, Format

_NEEDED = ("imgname", "center", "scale", "pose_cam", "shape", "cam_int", "trans_cam")
_WHOLE = layout_of("smplx")
_BODY_SIZE = sum(_WHOLE.rotations[name] for name in ("global_orient", "body_pose"))
_WIDTHS = {layout_of("smpl").pose_size: "smpl", _BODY_SIZE: "smplx", _WHOLE.pose_size: "smplx"}
"""Numbers of a pose -> body model; SMPL-X with or without hands and face."""


def _read(path: Path, context: Context) -> Iterator[People]:
    """Read such a file. The translation is `trans_cam` and the last column of `cam_ext` together.

    Raises:
        PgtfastError: a key is missing or not of its shape, or the file is of another body model than asked for.
    """
    held = load_columns(path, _NEEDED)
    note_others(held, (*_NEEDED, "annot_id", "gender", "cam_ext"), context.notes)
    width = np.shape(held["pose_cam"])[-1] if np.ndim(held["pose_cam"]) == 2 else 0
    if width not in _WIDTHS:
        known = ", ".join(f"{size} ({model})" for size, model in _WIDTHS.items())
        raise PgtfastError(f"{path}: key 'pose_cam': wanted {known} numbers a row, got {np.shape(held['pose_cam'])}")
    model = context.model(path, _WIDTHS[width])
    people = framed(path, held, context)
    count = len(people)
    pose = numbers(path, held, "pose_cam", count, (width,))
    body = {name: pose[:, part] for name, part in layout_of(model).slices.items() if part.stop <= width}
    transl = numbers(path, held, "trans_cam", count, (3,))
    if "cam_ext" in held:
        transl = transl + numbers(path, held, "cam_ext", count, (4, 4))[:, :3, 3]
    focal, center = intrinsics(path, held, "cam_int", count)
    people = replace(people, focal=focal, center=center, flat_hand_mean=True if width == _WHOLE.pose_size else None)
    yield people.with_body(model, **body, betas=numbers(path, held, "shape", count, (-1,)), transl=transl)


def _write(path: Path, batches: Iterable[People], context: Context) -> int:
    """Write people with name, box and camera; of SMPL-X poses, rotations that are not known are 0."""
    people = joined([batch for batch in batches if len(batch)])
    columns = {
        "pose_cam": np.concatenate([filled(people, name) for name in people.layout.rotations], 1),
        "shape": people.body["betas"],
        "cam_int": matrices(people.focal, people.center),
        "cam_ext": np.tile(np.eye(4), (len(people), 1, 1)),
        "trans_cam": people.body["transl"],
        "gender": np.array([gender or "neutral" for gender in people.gender], dtype=np.str_),
    }
    save(path, frames(people, context.notes) | columns)
    return len(people)


BEDLAM = Format(
    name="bedlam",
    about="BEDLAM's npz (.npz), SMPL or SMPL-X",
    suffixes=(".npz",),
    sniff=lambda path: has_keys(path, "cam_int+cam_ext", "cam_int+pose_cam+gender"),
    models=(*SMPL, "smplx"),
    holds=frozenset((*BODY, *_WHOLE.rotations, "transl", "image_path", "bbox", "focal", "center", "gender")),
    needs=("body", "image_path", "bbox", "transl", "focal", "center"),
    betas=None,
    flat_hand_mean=True,
    read=_read,
    write=_write,
)
