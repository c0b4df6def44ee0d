"""4D-Humans' WebDataset tars: an image and data.pyd, a pickled list of its people."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import PgtfastError
from ..files.unpickle import loads
from ..images.headers import read_header
from ..images.source import escapes_root
from ..people import People, Reason, Skip, empty_people, layout_of
from ._npz import keypoints_as, labelled, numbers, whole_numbers
from .columns import joined
from .format import BODY, SMPL, Context, Format
from .notes import Notes
from .recamera import BOX_UNIT, boxes_of, grown_boxes

JOINTS = 44
"""Keypoints: OpenPose's 25 and 19 more."""
_OPENPOSE = 25
_LAYOUT = layout_of("smpl")
_READ = ("keypoints_2d", "center", "scale", "body_pose", "has_body_pose", "betas", "has_betas", "annot_id")
_KINDS = ("jpg", "jpeg", "png")
_MEMBER_LIMIT = 1 << 28
"""Bytes: a larger member is no image and no list of people."""


def _read(path: Path, context: Context) -> Iterator[People]:
    """Read the tars of a folder, or one tar; one block a tar.

    Images are not decoded: their size comes from their first bytes. The id is `annot_id` where a person has it (our own
    tars), else a running number.

    Raises:
        PgtfastError: a tar or a member is truncated or of another layout; a pickle that asks for more than arrays is
        refused, nothing in it is run.
    """
    model = context.model(path, "smpl")
    tars = sorted(path.glob("*.tar")) if path.is_dir() else [path]
    if not tars:
        raise PgtfastError(f"{path}: wanted a tar, or a folder of tars; found none")
    start = 0
    for tar in tars:
        people = _read_tar(tar, context, model, start)
        start += len(people)
        yield people


def _read_tar(path: Path, context: Context, model: str, start: int) -> People:
    notes = context.notes
    found: list[tuple[str, Mapping[str, Any]]] = []
    images_of: dict[str, tuple[str, tuple[int, int]]] = {}
    try:
        with tarfile.open(path, "r:*") as tar:
            for member in tar:
                folder, slash, file_name = member.name.removeprefix("./").rpartition("/")
                stem, _, kind = file_name.partition(".")  # as WebDataset splits them
                key = folder + slash + stem
                if not member.isreg() or member.size > _MEMBER_LIMIT:
                    notes.count("ignored: {n} members that are no files, or too large", 1, [member.name])
                    continue
                file = tar.extractfile(member)
                data = file.read() if file is not None else b""
                if len(data) != member.size:
                    raise PgtfastError(
                        f"{path}: {member.name}: {len(data)} of {member.size} bytes; truncated? Copy it again"
                    )
                if kind in _KINDS:
                    images_of[key] = (f"{key}.{kind}", _size(data))
                elif kind == "data.pyd":
                    held = loads(data, f"{path}: {member.name}")
                    if not isinstance(held, list) or not all(isinstance(person, dict) for person in held):
                        raise PgtfastError(f"{path}: {member.name}: wanted a list of people, got {type(held).__name__}")
                    found += [(key, person) for person in held]
                else:
                    notes.count(f"ignored: {{n}} members '.{kind[:40]}'")
    except (OSError, EOFError, tarfile.TarError) as error:
        raise PgtfastError(f"{path}: not a readable tar ({error}); truncated? Copy or download it again") from error
    count = len(found)
    people = empty_people(context.dataset, np.arange(start, start + count), gender="neutral").with_body(
        model, **{name: np.full((count, _LAYOUT.parameters[name]), np.nan) for name in BODY}
    )
    points = np.zeros((count, JOINTS, 3))
    place: dict[str, int] = {}
    for row, (key, person) in enumerate(found):
        where = Path(f"{path}: {key}.data.pyd: person {place.get(key, -1) + 1}")
        place[key] = people.person_id[row] = place.get(key, -1) + 1
        people.image_path[row], people.image_size[row] = images_of.get(key, (key, (0, 0)))
        _put_person(where, people, points, row, person, notes)
    people = replace(people, keyed=all("annot_id" in person for _, person in found))
    pointed = int((points[..., 2] > 0).any(1).sum())
    if not pointed:
        return people
    notes.count("ignored: 19 of the 44 keypoints of {n} people; OpenPose's 25 are kept", pointed)
    return labelled(people, points[:, :_OPENPOSE], "openpose25")


def _put_person(
    where: Path, people: People, points: np.ndarray, row: int, person: Mapping[str, Any], notes: Notes
) -> None:
    for key in ("center", "scale"):
        if key not in person:
            raise PgtfastError(f"{where}: key '{key}' is missing")
    center, scale = _one(where, person, "center", (2,)), _one(where, person, "scale", (-1,)).max()
    if not scale > 0:
        raise PgtfastError(f"{where}: key 'scale': wanted a size above 0, got {scale:g}")
    people.bbox[row] = boxes_of(center[None], np.array([scale * BOX_UNIT]))[0]
    has = [bool(np.ravel(person.get(key, True))[:1].all()) for key in ("has_body_pose", "has_betas")]
    if "body_pose" in person and "betas" in person and has[0]:
        pose = _one(where, person, "body_pose", (_LAYOUT.pose_size,))
        for name, part in _LAYOUT.slices.items():
            people.body[name][row] = pose[part]
        people.body["betas"][row] = _one(where, person, "betas", (_LAYOUT.betas,)) if has[1] else 0
        notes.count("betas: {n} people have none (has_betas 0); they are taken as 0", int(not has[1]))
    else:
        people.reason[row] = Skip(Reason.NO_BODY, "has_body_pose is 0")
    if "keypoints_2d" in person:
        value = _one(where, person, "keypoints_2d", (JOINTS, 3))
        points[row] = np.where(value[:, 2:] > 0, value, 0)
    if "annot_id" in person:
        people.annotation_id[row] = whole_numbers(where, person, "annot_id", 1)[0]
    for key in person:
        if key not in _READ:
            notes.count(f"ignored: key '{key}' of {{n}} people")


def _key(name: str, used: set[str]) -> tuple[str, str]:
    """Key of an image that no other one has, and its kind; the key ends at the first dot of the file's name."""
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


def _write(path: Path, batches: Iterable[People], context: Context) -> int:
    """Write one tar of the people with image name and box; those without a body have `has_body_pose` 0.

    Raises:
        PgtfastError: an image cannot be read, or its name leads out of the folder.
    """
    images, notes = context.images, context.notes
    if images is None:
        raise PgtfastError("--to 4dhumans: its tars hold the images; name their folder with --images DIR")
    people = joined([batch for batch in batches if len(batch)])
    center, side = grown_boxes(people.bbox, notes)
    valid = people.has_body
    points = np.zeros((len(people), JOINTS, 3))
    points[:, :_OPENPOSE] = keypoints_as(people, {"openpose25": "points"}, notes).get("points", 0)
    pose, betas = np.zeros((len(people), _LAYOUT.pose_size)), np.zeros((len(people), _LAYOUT.betas))
    if valid.any():
        pose[valid], betas[valid] = people.pose[valid], people.body["betas"][valid, : _LAYOUT.betas]
    by_image: dict[str, list[int]] = {}
    for row, name in enumerate(people.image_path):
        by_image.setdefault(name, []).append(row)
    used: set[str] = set()
    with tarfile.open(path, mode="w") as tar:
        for name, rows in by_image.items():
            if escapes_root(name):
                raise PgtfastError(f"--images {images}: image {name!r} leads out of it and is not read")
            key, kind = _key(name, used)
            if f"{key}.{kind}" != name:
                notes.count("image names: {n} are changed, for a key has no dot and no double", 1, [name])
            try:
                image = (images / name).read_bytes()
            except OSError as error:
                raise PgtfastError(
                    f"{images / name}: cannot be read ({error.strerror}); --images wants the folder of the image names"
                ) from error
            entries = [
                {
                    "keypoints_2d": points[row].astype(np.float32),
                    "keypoints_3d": np.zeros((JOINTS, 4), np.float32),
                    "center": center[row],
                    "scale": np.full(2, side[row] / BOX_UNIT),
                    "body_pose": pose[row],
                    "has_body_pose": np.float64(valid[row]),
                    "betas": betas[row],
                    "has_betas": np.float64(valid[row]),
                    "annot_id": int(people.annotation_id[row]),
                    "extra_info": {},
                }
                for row in rows
            ]
            for ending, data in ((kind, image), ("data.pyd", pickle.dumps(entries, protocol=4))):
                entry = tarfile.TarInfo(f"{key}.{ending}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return len(people)


def _sniff(path: Path) -> bool:
    return path.suffix == ".tar" or (path.is_dir() and next(path.glob("*.tar"), None) is not None)


FOURD_HUMANS = Format(
    name="4dhumans",
    about="WebDataset tars of 4D-Humans (.tar, or a folder of them to read); writing needs --images",
    suffixes=(".tar",),
    sniff=_sniff,
    models=SMPL,
    holds=frozenset((*BODY, "image_path", "bbox", "keypoints")),
    needs=("image_path", "bbox"),
    read=_read,
    write=_write,
)
