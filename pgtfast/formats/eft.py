"""EFT's JSON: SMPL rotations, shape and a weak-perspective camera in a square box."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import torch

from .. import ops
from .._errors import PgtfastError
from ..body import BodyModel
from ..files.json_entries import read_entries
from ._json_columns import Field, json_text, read_columns, row_objects, shown
from .bodies import Bodies, empty_bodies
from .notes import Notes
from .recamera import BOX_UNIT, boxes_of, from_weak, square_boxes, weak_apart, weak_in_boxes

CROP, FOCAL = 224, 5000
"""Pixels of EFT's crop, and the focal length in it that its fits were made with."""

HOLDS = frozenset(("image_path", "bbox", "pose", "betas", "transl"))
"""Columns of `Bodies` that the file keeps; the place of a body as the camera in its box."""

_FIELDS = (
    Field(("parm_pose",), (24, 3, 3)),
    Field(("parm_shape",), (10,)),
    Field(("parm_cam",), (3,)),
    Field(("bbox_scale",)),
    Field(("bbox_center",), (2,)),
    Field(("imageName",), None),
    Field(("annotId",), (), False, True),
    Field(("smpltype",), None, False),
    Field(("gt_keypoint_2d",), (49, 3), False),
)


def read_eft(path: str | Path, *, dataset: str, body_model: str | None, notes: Notes) -> Iterator[Bodies]:
    """Read such a file in blocks.

    `parm_cam` is scale and translation, translation counted after the scale; it becomes a pinhole camera of focal length 5000 in a crop of 224
    pixels, through the middle of the box. People without `annotId` (all but COCO's) are numbered in the order of the file.

    Raises:
        PgtfastError: naming the entry and the key that is missing or of another kind; or the parameters are SMPL-X's.
    """
    path = Path(path)
    if body_model not in (None, "smpl", "free"):
        raise PgtfastError(
            f"{path}: EFT's layout holds SMPL parameters, not {body_model!r} ones; they are not exchangeable"
        )
    seen: dict[str, int] = {}
    for entries in read_entries(path, 2, ("data",), what="EFT's list of people"):
        columns = read_columns(path, entries.keys, entries.texts, _FIELDS, notes)
        rotations, betas, weak, scale, center, names, ids, kinds, points = columns
        for key, kind in zip(entries.keys, kinds, strict=True):
            if kind not in (None, "smpl"):
                raise PgtfastError(
                    f"{path}: {shown(key)}: smpltype {kind!r}: only 'smpl' is read; SMPL-X is not exchangeable with it"
                )
        bad = (scale <= 0) | (scale > 1e5) | (weak[:, 0] <= 0)
        if bad.any():
            row = int(bad.argmax())
            raise PgtfastError(
                f"{path}: {shown(entries.keys[row])}: bbox_scale, parm_cam: wanted a box and a scale above 0, got {scale[row]:g}, {weak[row, 0]:g}"
            )
        turns = torch.from_numpy(rotations)
        if (turns @ turns.mT - torch.eye(3)).abs().amax() > 1e-2:
            row = int((turns @ turns.mT - torch.eye(3)).abs().amax((1, 2, 3)).argmax())
            raise PgtfastError(f"{path}: {shown(entries.keys[row])}: parm_pose: wanted rotation matrices")
        told = np.array([number is not None for number in ids], bool)
        numbers = [int(key[1]) if number is None else number for key, number in zip(entries.keys, ids, strict=True)]
        bodies = empty_bodies(dataset, body_model or "smpl", numbers)
        notes.count("{n} entries have no annotId and are numbered in file order", int((~told).sum()))
        for row, name in enumerate(names):
            bodies.image_path[row] = name
            bodies.person_id[row] = seen[name] = seen.get(name, -1) + 1
        pose = ops.matrix_to_rotvec(turns).reshape(len(bodies), 72).numpy()
        side = scale * BOX_UNIT
        before = np.concatenate([weak[:, :1], weak[:, 1:] / weak[:, :1]], 1)
        bodies = replace(bodies, pose=pose, betas=betas, bbox=boxes_of(center, side), keyed=bool(told.all()))
        pointed = int(np.isfinite(points).all((1, 2)).sum())
        if pointed:
            notes.count("left aside: OpenPose's 25 of the 49 keypoints of {n} entries; the other 24 are kept", pointed)
            known = np.where(np.isfinite(points[:, 25:]) & (points[:, 25:, 2:] > 0), points[:, 25:], 0)
            bodies = replace(bodies, keypoints=known, landmark_set="spin24")
        yield from_weak(bodies, before, center, side, FOCAL * side / CROP)


def write_eft(file: IO[bytes], batches: Iterable[Bodies], *, notes: Notes, measured: BodyModel | None) -> int:
    """Write people with body, box, image name and camera.

    Args:
        file: opened for writing bytes.
        batches: of SMPL's 24 joints.
        notes: gets how far the weak-perspective camera moves joints in the image.
        measured: body to measure that with; None does not.
    """
    written = 0
    file.write(b'{"ver": "pgtfast", "data": [')
    for bodies in batches:
        if not len(bodies):
            continue
        center, side, grown = square_boxes(bodies.bbox)
        weak = weak_in_boxes(bodies, center, side)
        notes.count("boxes: {n} annotated boxes are grown by 1.2 and made square", int(grown.sum()))
        if measured is not None:
            moved = weak_apart(bodies, weak, center, side, measured).max()
            notes.worst(
                f"camera: weak perspective moves joints by up to {{n}} px (measured on the {measured.kind} body)", moved
            )
        after = np.concatenate([weak[:, :1], weak[:, 1:] * weak[:, :1]], 1)
        turns = ops.rotvec_to_matrix(torch.from_numpy(bodies.pose.reshape(-1, 24, 3))).numpy()
        entries = row_objects(
            {
                "parm_pose": turns,
                "parm_shape": bodies.betas[:, :10],
                "parm_cam": after,
                "bbox_scale": side / BOX_UNIT,
                "bbox_center": center,
                "smpltype": ["smpl"] * len(bodies),
                "annotId": bodies.annotation_id,
                "imageName": [name.rpartition("/")[2] for name in bodies.image_path],
            }
        )
        folders = sum("/" in name for name in bodies.image_path)
        notes.count("image names: the folders of {n} paths are cut off, EFT has the last part alone", folders)
        file.write(b",\n" if written else b"")
        file.write(b",\n".join(map(json_text, entries)))
        written += len(bodies)
    file.write(b"]}\n")
    return written
