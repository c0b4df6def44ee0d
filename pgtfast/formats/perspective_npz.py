"""npz files of SMPL or SMPL-X bodies before known cameras: CLIFF's, CamSMPLify's and BEDLAM's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from .._errors import PgtfastError
from ..body import BodyModel
from ._npz import framed, frames, intrinsics, load_columns, matrices, note_others, numbers, save
from .bodies import PARTS, Bodies
from .notes import Notes
from .recamera import pixels_apart, with_camera
from .spin import smpl_only

_FRAMED = frozenset(("image_path", "bbox", "pose", "betas", "transl"))
HOLDS_CLIFF = _FRAMED | {"keypoints"}
"""Columns of `Bodies` that CLIFF's npz keeps; its camera looks through the middle of the image with one focal length."""
HOLDS_CAMSMPLIFY = _FRAMED | {"focal", "center"}
"""Columns that CamSMPLify's npz keeps."""
HOLDS_BEDLAM = _FRAMED | {"focal", "center", "gender", *(name for name in PARTS if name != "expression")}
"""Columns that BEDLAM's npz keeps."""

_SMPLX_ORDER = ("jaw_pose", "leye_pose", "reye_pose", "left_hand_pose", "right_hand_pose")
"""What follows root and body in the 165 numbers of a SMPL-X pose."""


def read_cliff(path: str | Path, *, dataset: str, body_model: str | None, notes: Notes) -> Bodies:
    """Read CLIFF's npz. The principal point is the middle of the image, whose size the file does not hold: `center` stays unknown.

    Raises:
        PgtfastError: a key is missing or not of its shape.
    """
    path = Path(path)
    held = load_columns(path, ("imgname", "center", "scale", "pose", "shape", "global_t", "focal_l"))
    note_others(
        held,
        ("imgname", "center", "scale", "annot_id", "pose", "shape", "global_t", "focal_l", "has_smpl", "part"),
        notes,
    )
    bodies = framed(path, held, dataset=dataset, body_model=smpl_only(path, body_model), notes=notes)
    count = len(bodies)
    focal = numbers(path, held, "focal_l", count, ())
    if count and focal.min() <= 0:
        raise PgtfastError(
            f"{path}: key 'focal_l': row {int(focal.argmin())}: wanted pixels above 0, got {focal.min():g}"
        )
    bodies = replace(
        bodies,
        pose=numbers(path, held, "pose", count, (72,)),
        betas=numbers(path, held, "shape", count, (10,)),
        transl=numbers(path, held, "global_t", count, (3,)),
        focal=np.repeat(focal[:, None], 2, 1),
    )
    if "has_smpl" in held:
        for row in np.flatnonzero(numbers(path, held, "has_smpl", count, ()) <= 0):
            bodies.reason[row] = "no-body: has_smpl is 0"
    if "part" in held:
        points = numbers(path, held, "part", count, (24, 3))
        bodies = replace(bodies, keypoints=np.where(points[..., 2:] > 0, points, 0), landmark_set="spin24")
    return bodies


def write_cliff(file: IO[bytes], bodies: Bodies, notes: Notes, measured: BodyModel | None) -> int:
    """Write CLIFF's npz of people with name, box, image size and camera; each is moved before CLIFF's camera of the image."""
    seen = image_camera(bodies, np.linalg.norm(bodies.image_size, axis=1), notes, measured)
    columns = frames(bodies, notes) | {
        "pose": seen.pose,
        "shape": seen.betas[:, :10],
        "has_smpl": np.ones(len(seen), np.uint8),
        "global_t": seen.transl,
        "focal_l": seen.focal[:, 0],
    }
    if seen.keypoints is not None and seen.landmark_set == "spin24":
        columns["part"] = seen.keypoints
    elif seen.keypoints is not None:
        pointed = int(seen.known()["keypoints"].sum())
        notes.count(f"not held: keypoints of {{n}} people in the order of {seen.landmark_set}", pointed)
    save(file, columns)
    return len(seen)


def image_camera(bodies: Bodies, focal: np.ndarray, notes: Notes, measured: BodyModel | None) -> Bodies:
    """The people before a camera through the middle of their image, of focal length (N,) where theirs is not such a one already."""
    middle = bodies.image_size / 2
    there = (np.abs(bodies.center - middle) < 1e-9).all(1) & (np.abs(bodies.focal[:, 0] - bodies.focal[:, 1]) < 1e-9)
    wanted = np.where(there, bodies.focal[:, 0], focal)
    out = with_camera(bodies, np.repeat(wanted[:, None], 2, 1), middle)
    notes.count(
        "camera: {n} people are placed anew before a camera through the middle of their image", int((~there).sum())
    )
    if measured is not None and not there.all():
        moved = pixels_apart(bodies, out, measured).max()
        notes.worst(f"camera: that moves joints by up to {{n}} px (measured on the {measured.kind} body)", moved)
    return out


def read_camsmplify(path: str | Path, *, dataset: str, body_model: str | None, notes: Notes) -> Bodies:
    """Read CamSMPLify's npz: pose, shape, cam_int, cam_t; or pose_cam and trans_cam, as its released labels have them.

    Raises:
        PgtfastError: a key is missing or not of its shape.
    """
    path = Path(path)
    held = load_columns(path, ("imgname", "center", "scale", "shape", "cam_int"))
    pose, transl = _either(path, held, "pose", "pose_cam"), _either(path, held, "cam_t", "trans_cam")
    note_others(held, ("imgname", "center", "scale", "annot_id", "gender", pose, "shape", "cam_int", transl), notes)
    bodies = framed(path, held, dataset=dataset, body_model=smpl_only(path, body_model), notes=notes)
    count = len(bodies)
    focal, center = intrinsics(path, held, "cam_int", count)
    return replace(
        bodies,
        pose=numbers(path, held, pose, count, (72,)),
        betas=numbers(path, held, "shape", count, (10,)),
        transl=numbers(path, held, transl, count, (3,)),
        focal=focal,
        center=center,
    )


def write_camsmplify(file: IO[bytes], bodies: Bodies, notes: Notes) -> int:
    """Write CamSMPLify's npz of people with name, box and camera."""
    save(
        file,
        frames(bodies, notes)
        | {
            "pose": bodies.pose,
            "shape": bodies.betas[:, :10],
            "cam_int": matrices(bodies.focal, bodies.center),
            "cam_t": bodies.transl,
        },
    )
    return len(bodies)


def read_bedlam(path: str | Path, *, dataset: str, body_model: str | None, notes: Notes) -> Bodies:
    """Read BEDLAM's npz, of SMPL (poses of 72 numbers) or SMPL-X (66 or 165). The translation is `trans_cam` and the last column of `cam_ext` together.

    Raises:
        PgtfastError: a key is missing or not of its shape, or the file is of another body model than asked for.
    """
    path = Path(path)
    held = load_columns(path, ("imgname", "center", "scale", "pose_cam", "shape", "cam_int", "trans_cam"))
    read = ("imgname", "center", "scale", "annot_id", "gender", "pose_cam", "shape", "cam_int", "cam_ext", "trans_cam")
    note_others(held, read, notes)
    width = np.shape(held["pose_cam"])[-1] if np.ndim(held["pose_cam"]) == 2 else 0
    model = {72: "smpl", 66: "smplx", 165: "smplx"}.get(width)
    if model is None:
        raise PgtfastError(
            f"{path}: key 'pose_cam': wanted 72 (SMPL), 66 or 165 (SMPL-X) numbers a row, got {np.shape(held['pose_cam'])}"
        )
    if body_model is not None and (body_model == "smplx") != (model == "smplx"):
        raise PgtfastError(
            f"{path}: holds poses of {width} numbers, {model}'s, not {body_model!r} ones; they are not exchangeable"
        )
    bodies = framed(path, held, dataset=dataset, body_model=body_model or model, notes=notes)
    count = len(bodies)
    pose = numbers(path, held, "pose_cam", count, (width,))
    transl = numbers(path, held, "trans_cam", count, (3,))
    if "cam_ext" in held:
        transl = transl + numbers(path, held, "cam_ext", count, (4, 4))[:, :3, 3]
    focal, center = intrinsics(path, held, "cam_int", count)
    parts, at = {}, 66
    for name in _SMPLX_ORDER if width == 165 else ():
        parts[name] = pose[:, at : at + PARTS[name]]
        at += PARTS[name]
    betas = numbers(path, held, "shape", count, (-1,))
    return replace(
        bodies,
        pose=pose[:, :72] if width == 72 else pose[:, :66],
        betas=betas,
        transl=transl,
        focal=focal,
        center=center,
        parts=parts,
    )


def write_bedlam(file: IO[bytes], bodies: Bodies, notes: Notes) -> int:
    """Write BEDLAM's npz of people with name, box and camera; SMPL-X poses have 165 numbers, parts that are not known 0."""
    pose = bodies.pose
    if bodies.body_model == "smplx":
        parts = [bodies.parts.get(name, np.zeros((len(bodies), PARTS[name]))) for name in _SMPLX_ORDER]
        pose = np.concatenate([pose, *parts], 1)
    extrinsics = np.tile(np.eye(4), (len(bodies), 1, 1))
    save(
        file,
        frames(bodies, notes)
        | {
            "pose_cam": pose,
            "shape": bodies.betas,
            "cam_int": matrices(bodies.focal, bodies.center),
            "cam_ext": extrinsics,
            "trans_cam": bodies.transl,
            "gender": np.array(bodies.gender.tolist(), dtype=np.str_),
        },
    )
    return len(bodies)


def _either(path: Path, held: Mapping[str, Any], first: str, second: str) -> str:
    for key in (first, second):
        if key in held:
            return key
    raise PgtfastError(f"{path}: key '{first}' (or '{second}') is missing; the file has {', '.join(held)[:200]}")
