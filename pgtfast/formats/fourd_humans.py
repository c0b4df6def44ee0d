"""4D-Humans' WebDataset tars: a picture and data.pyd, a pickled list of its people."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from .._errors import PgtfastError
from ..files.unpickle import loads
from ..images.bulk_source import leads_out
from ..images.headers import read_header
from ._npz import numbers, whole_numbers
from .bodies import Bodies, empty_bodies
from .notes import Notes
from .recamera import BOX_UNIT, boxes_of, square_boxes
from .spin import smpl_only

HOLDS = frozenset(("image_path", "bbox", "pose", "betas", "keypoints"))
"""Columns of `Bodies` that the tars keep; keypoints are OpenPose's 25 and 19 more."""

JOINTS = 44
_READ = ("keypoints_2d", "center", "scale", "body_pose", "has_body_pose", "betas", "has_betas", "annot_id")
_PICTURES = ("jpg", "jpeg", "png")
_MEMBER_LIMIT = 1 << 28
"""Bytes: a larger member is no picture and no list of people."""


def read_4dhumans(path: str | Path, *, dataset: str, body_model: str | None, notes: Notes) -> Iterator[Bodies]:
    """Read the tars of a folder, or one tar; one block a tar.

    Pictures are not decoded: their size comes from their first bytes. The id is `annot_id` where a person has it (our own tars), else a running number.

    Raises:
        PgtfastError: a tar or a member is truncated or of another layout; a pickle that asks for more than arrays is refused, nothing in it is run.
    """
    path = Path(path)
    model = smpl_only(path, body_model)
    tars = sorted(path.glob("*.tar")) if path.is_dir() else [path]
    if not tars:
        raise PgtfastError(f"{path}: wanted a tar, or a folder of tars; found none")
    start = 0
    for tar in tars:
        bodies = _read_tar(tar, dataset, model, start, notes)
        start += len(bodies)
        yield bodies


def _read_tar(path: Path, dataset: str, model: str, start: int, notes: Notes) -> Bodies:
    people: list[tuple[str, Mapping[str, Any]]] = []
    pictures: dict[str, tuple[str, tuple[int, int]]] = {}
    try:
        with tarfile.open(path, "r:*") as tar:
            for member in tar:
                folder, slash, file_name = member.name.removeprefix("./").rpartition("/")
                stem, _, kind = file_name.partition(".")  # as WebDataset splits them
                key = folder + slash + stem
                if not member.isreg() or member.size > _MEMBER_LIMIT:
                    notes.count("left aside: {n} members that are no files, or too large", 1, [member.name])
                    continue
                file = tar.extractfile(member)
                data = file.read() if file is not None else b""
                if len(data) != member.size:
                    raise PgtfastError(
                        f"{path}: {member.name}: {len(data)} of {member.size} bytes; truncated? Copy it again"
                    )
                if kind in _PICTURES:
                    pictures[key] = (f"{key}.{kind}", _size(data))
                elif kind == "data.pyd":
                    held = loads(data, f"{path}: {member.name}")
                    if not isinstance(held, list) or not all(isinstance(person, dict) for person in held):
                        raise PgtfastError(f"{path}: {member.name}: wanted a list of people, got {type(held).__name__}")
                    people += [(key, person) for person in held]
                else:
                    notes.count(f"left aside: {{n}} members '.{kind[:40]}'")
    except (OSError, EOFError, tarfile.TarError) as error:
        raise PgtfastError(f"{path}: not a readable tar ({error}); truncated? Copy or download it again") from error
    count = len(people)
    bodies = empty_bodies(dataset, model, np.arange(start, start + count))
    points = np.zeros((count, JOINTS, 3))
    place: dict[str, int] = {}
    for row, (key, person) in enumerate(people):
        where = Path(f"{path}: {key}.data.pyd: person {place.get(key, -1) + 1}")
        place[key] = bodies.person_id[row] = place.get(key, -1) + 1
        bodies.image_path[row], bodies.image_size[row] = pictures.get(key, (key, (0, 0)))
        _put_person(where, bodies, points, row, person, notes)
    bodies = replace(bodies, keyed=all("annot_id" in person for _, person in people))
    if not (points[..., 2] > 0).any():
        return bodies
    pointed = int((points[..., 2] > 0).any(1).sum())
    notes.count("left aside: 19 of the 44 keypoints of {n} people; OpenPose's 25 are kept", pointed)
    return replace(bodies, keypoints=points[:, :25], landmark_set="openpose25")


def _put_person(
    where: Path, bodies: Bodies, points: np.ndarray, row: int, person: Mapping[str, Any], notes: Notes
) -> None:
    for key in ("center", "scale"):
        if key not in person:
            raise PgtfastError(f"{where}: key '{key}' is missing")
    center, scale = _one(where, person, "center", (2,)), _one(where, person, "scale", (-1,)).max()
    if not scale > 0:
        raise PgtfastError(f"{where}: key 'scale': wanted a size above 0, got {scale:g}")
    bodies.bbox[row] = boxes_of(center[None], np.array([scale * BOX_UNIT]))[0]
    has = [bool(np.ravel(person.get(key, True))[:1].all()) for key in ("has_body_pose", "has_betas")]
    if "body_pose" in person and "betas" in person and has[0]:
        bodies.pose[row] = _one(where, person, "body_pose", (72,))
        bodies.betas[row] = _one(where, person, "betas", (10,)) if has[1] else 0
        notes.count("betas: {n} people have none (has_betas 0); they are taken as 0", int(not has[1]))
    else:
        bodies.reason[row] = "no-body: has_body_pose is 0"
    if "keypoints_2d" in person:
        value = _one(where, person, "keypoints_2d", (JOINTS, 3))
        points[row] = np.where(value[:, 2:] > 0, value, 0)
    if "annot_id" in person:
        bodies.annotation_id[row] = whole_numbers(where, person, "annot_id", 1)[0]
    for key in person:
        if key not in _READ:
            notes.count(f"left aside: key '{key}' of {{n}} people")


def _key(name: str, used: set[str]) -> tuple[str, str]:
    """Key of a picture that no other one has, and its kind; the key ends at the first dot of the file's name."""
    folder, slash, file_name = name.rpartition("/")
    stem, _, kind = file_name.rpartition(".")
    key = folder + slash + (stem or kind).replace(".", "_")
    while key in used:
        key += f"_{kind}"
    used.add(key)
    return key, kind.lower()


def _one(where: Path, person: Mapping[str, Any], key: str, shape: tuple[int, ...]) -> np.ndarray:
    value = np.asarray(person[key], dtype=object)
    if shape == (-1,):
        value = value.reshape(-1)
    return numbers(where, {key: value[None]}, key, 1, shape)[0]


def _size(data: bytes) -> tuple[int, int]:
    try:
        header = read_header(data)
    except ValueError:
        return 0, 0
    return header.width, header.height


def write_4dhumans(file: IO[bytes], bodies: Bodies, images: Path, notes: Notes) -> int:
    """Write one tar of the people with image name and box; those without a body have `has_body_pose` 0.

    Raises:
        PgtfastError: a picture cannot be read, or its name leads out of the folder.
    """
    center, side, grown = square_boxes(bodies.bbox)
    notes.count("boxes: {n} annotated boxes are grown by 1.2 and made square", int(grown.sum()))
    valid = bodies.with_body()
    points = np.zeros((len(bodies), JOINTS, 3))
    if bodies.keypoints is not None and bodies.landmark_set == "openpose25":
        points[:, :25] = bodies.keypoints
    elif bodies.keypoints is not None:
        pointed = int(bodies.known()["keypoints"].sum())
        notes.count(f"not held: keypoints of {{n}} people in the order of {bodies.landmark_set}", pointed)
    by_image: dict[str, list[int]] = {}
    for row, name in enumerate(bodies.image_path):
        by_image.setdefault(name, []).append(row)
    used: set[str] = set()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, rows in by_image.items():
            if leads_out(name):
                raise PgtfastError(f"--images {images}: image {name!r} leads out of it and is not read")
            key, kind = _key(name, used)
            if f"{key}.{kind}" != name:
                notes.count("image names: {n} are changed, for a key has no dot and no double", 1, [name])
            try:
                picture = (images / name).read_bytes()
            except OSError as error:
                raise PgtfastError(
                    f"{images / name}: cannot be read ({error.strerror}); --images wants the folder of the image names"
                ) from error
            people = [
                {
                    "keypoints_2d": points[row].astype(np.float32),
                    "keypoints_3d": np.zeros((JOINTS, 4), np.float32),
                    "center": center[row],
                    "scale": np.full(2, side[row] / BOX_UNIT),
                    "body_pose": np.where(valid[row], bodies.pose[row], 0),
                    "has_body_pose": np.float64(valid[row]),
                    "betas": np.where(valid[row], bodies.betas[row, :10], 0),
                    "has_betas": np.float64(valid[row]),
                    "annot_id": int(bodies.annotation_id[row]),
                    "extra_info": {},
                }
                for row in rows
            ]
            for ending, data in ((kind, picture), ("data.pyd", pickle.dumps(people, protocol=4))):
                entry = tarfile.TarInfo(f"{key}.{ending}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return len(bodies)
