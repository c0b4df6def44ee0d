"""EFT's JSON: SMPL rotations, shape and a weak-perspective camera in a square box."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from .. import ops
from .._errors import PgtfastError
from ..files.json_entries import read_entries
from ..people import People, empty_people, layout_of
from ._json import EntryReader, Field, json_text, row_objects, shown
from .format import BODY, SMPL, Context, Format
from .recamera import BOX_UNIT, boxes_of, from_weak, grown_boxes, weak_apart, weak_in_boxes

CROP, FOCAL = 224, 5000
"""Pixels of EFT's crop, and the focal length in it that its fits were made with."""

_LAYOUT = layout_of("smpl")
_FIELDS = (
    Field(("parm_pose",), (_LAYOUT.num_joints, 3, 3)),
    Field(("parm_shape",), (_LAYOUT.betas,)),
    Field(("parm_cam",), (3,)),
    Field(("bbox_scale",)),
    Field(("bbox_center",), (2,)),
    Field(("imageName",), None),
    Field(("annotId",), (), False, True),
    Field(("smpltype",), None, False),
    Field(("gt_keypoint_2d",), (49, 3), False),
)
_OPENPOSE = 25
"""So many of the 49 keypoints are OpenPose's; SPIN's 24 follow."""


def _read(path: Path, context: Context) -> Iterator[People]:
    """Read such a file in blocks.

    `parm_cam` is scale and translation, translation counted after the scale; it becomes a pinhole camera of focal
    length 5000 in a crop of 224 pixels, through the middle of the box. People without `annotId` (all but COCO's) are
    numbered in the order of the file.

    Raises:
        PgtfastError: naming the entry and the key that is missing or of another kind; or the parameters are SMPL-X's.
    """
    model, notes = context.model(path, "smpl"), context.notes
    reader = EntryReader(path, _FIELDS, notes)
    seen: dict[str, int] = {}
    for entries in read_entries(path, 2, ("data",), what="EFT's list of people"):
        rotations, betas, weak, scale, center, names, ids, kinds, points = reader.read(entries.keys, entries.texts)
        for key, kind in zip(entries.keys, kinds, strict=True):
            if kind not in (None, "smpl"):
                raise PgtfastError(
                    f"{path}: {shown(key)}: smpltype {kind!r}: only 'smpl' is read; SMPL-X is not exchangeable with it"
                )
        bad = (scale <= 0) | (scale > 1e5) | (weak[:, 0] <= 0)
        if bad.any():
            row = int(bad.argmax())
            raise PgtfastError(
                f"{path}: {shown(entries.keys[row])}: bbox_scale, parm_cam: wanted a box and a scale above 0, got "
                f"{scale[row]:g}, {weak[row, 0]:g}"
            )
        matrices = torch.from_numpy(rotations)
        off = (matrices @ matrices.mT - torch.eye(3)).abs().amax((1, 2, 3))
        if off.max() > 1e-2:
            row = int(off.argmax())
            raise PgtfastError(f"{path}: {shown(entries.keys[row])}: parm_pose: wanted rotation matrices")
        numbered = np.array([number is not None for number in ids], bool)
        numbers = [int(key[1]) if number is None else number for key, number in zip(entries.keys, ids, strict=True)]
        people = empty_people(context.dataset, numbers, gender="neutral")
        notes.count("{n} entries have no annotId and are numbered in file order", int((~numbered).sum()))
        for row, name in enumerate(names):
            people.image_path[row] = name
            people.person_id[row] = seen[name] = seen.get(name, -1) + 1
        pose = ops.matrix_to_rotvec(matrices).reshape(len(people), -1).numpy()
        side = scale * BOX_UNIT
        before = np.concatenate([weak[:, :1], weak[:, 1:] / weak[:, :1]], 1)
        people = replace(people, bbox=boxes_of(center, side), keyed=bool(numbered.all()))
        pointed = int(np.isfinite(points).all((1, 2)).sum())
        if pointed:
            notes.count("ignored: OpenPose's 25 of the 49 keypoints of {n} entries; the other 24 are kept", pointed)
            known = np.where(
                np.isfinite(points[:, _OPENPOSE:]) & (points[:, _OPENPOSE:, 2:] > 0), points[:, _OPENPOSE:], 0
            )
            people = replace(people, keypoints=known, landmark_set="spin24")
        people = people.with_pose(model, pose, betas=betas)
        yield from_weak(people, before, center, side, FOCAL * side / CROP)


def _write(path: Path, batches: Iterable[People], context: Context) -> int:
    """Write people with body, box, image name and camera; notes how far the weak-perspective camera moves joints in the
    image."""
    notes, written = context.notes, 0
    with open(path, "wb") as file:
        file.write(b'{"ver": "pgtfast", "data": [')
        for people in batches:
            if not len(people):
                continue
            center, side = grown_boxes(people.bbox, notes)
            weak = weak_in_boxes(people, center, side)
            if context.measured is not None:
                moved = weak_apart(people, weak, center, side, context.measured).max()
                notes.worst(
                    f"camera: weak perspective moves joints by up to {{n}} px (measured on the "
                    f"{context.measured.kind} body)",
                    moved,
                )
            after = np.concatenate([weak[:, :1], weak[:, 1:] * weak[:, :1]], 1)
            rotvecs = people.pose.reshape(len(people), -1, 3)
            entries = row_objects(
                {
                    "parm_pose": ops.rotvec_to_matrix(torch.from_numpy(rotvecs)).numpy(),
                    "parm_shape": people.body["betas"][:, : _LAYOUT.betas],
                    "parm_cam": after,
                    "bbox_scale": side / BOX_UNIT,
                    "bbox_center": center,
                    "smpltype": ["smpl"] * len(people),
                    "annotId": people.annotation_id,
                    "imageName": [name.rpartition("/")[2] for name in people.image_path],
                }
            )
            folders = sum("/" in name for name in people.image_path)
            notes.count("image names: the folders of {n} paths are cut off, EFT has the last part alone", folders)
            file.write(b",\n" if written else b"")
            file.write(b",\n".join(map(json_text, entries)))
            written += len(people)
        file.write(b"]}\n")
    return written


def _sniff(path: Path) -> bool:
    if path.suffix != ".json":
        return False
    with open(path, "rb") as file:
        return b'"parm_' in file.read(1 << 16)


EFT = Format(
    name="eft",
    about="JSON of EFT (.json); a weak-perspective camera in a square box",
    suffixes=(".json",),
    sniff=_sniff,
    models=SMPL,
    holds=frozenset((*BODY, "image_path", "bbox", "transl")),
    needs=("body", "image_path", "bbox", "transl", "focal", "center"),
    moves_camera=True,
    read=_read,
    write=_write,
)
