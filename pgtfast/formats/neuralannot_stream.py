"""NeuralAnnot's and Three Recipes' JSON of any size, keyed by annotation id: in-the-wild sets and 3DPW, SMPL and SMPL-X."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from .._errors import PgtfastError
from ..files.json_entries import Entries, read_entries
from ._json_columns import Field, json_text, read_columns, row_objects, shown
from .bodies import PARTS, Bodies, empty_bodies
from .notes import Notes

_SMPL = (("pose", "pose", (72,)), ("betas", "shape", (10,)), ("transl", "trans", (3,)))
_SMPLX = (
    ("root", "root_pose", (3,)), ("body", "body_pose", (63,)), ("betas", "shape", (10,)), ("transl", "trans", (3,)),
)  # fmt: skip
_SMPLX_PARTS = (
    ("left_hand_pose", "lhand_pose"), ("right_hand_pose", "rhand_pose"), ("jaw_pose", "jaw_pose"), ("expression", "expr"),
)  # fmt: skip
_CAMERA = (("focal", "focal"), ("center", "princpt"))

HOLDS = frozenset(("pose", "betas", "transl", "focal", "center", *(name for name, _ in _SMPLX_PARTS)))
"""Columns of `Bodies` that the in-the-wild variant keeps."""
HOLDS_3DPW = HOLDS - {"focal", "center"} | {"gender"}
"""Columns that the 3DPW variant keeps; its cameras are in the annotation file of the set."""


def read_annotations(path: str | Path, *, dataset: str, body_model: str | None, notes: Notes) -> Iterator[Bodies]:
    """Read such a file in blocks.

    Args:
        path: JSON keyed by annotation id.
        dataset: first part of each person's key.
        body_model: what the parameters are of; None follows the keys of the file ("smpl_param" or "smplx_param").
        notes: gets the keys that are left aside.

    Raises:
        PgtfastError: naming the id and the key that is missing or not numbers of the right count; or the file is of another body model.
    """
    path = Path(path)
    layout: _Layout | None = None
    ids: list[np.ndarray] = []
    for entries in read_entries(path, 1):
        layout = layout or _Layout(path, entries, body_model)
        part = layout.read(entries, dataset, notes)
        ids.append(part.annotation_id)
        yield part
    if ids:
        values, counts = np.unique(np.concatenate(ids), return_counts=True)
        if (counts > 1).any():
            raise PgtfastError(
                f"{path}: annotation id {values[counts.argmax()]} is there twice; people are keyed by it"
            )


class _Layout:
    """Where the file's first entry has its values; all others must have them there."""

    def __init__(self, path: Path, entries: Entries, body_model: str | None) -> None:
        self.path = path
        try:
            first = json.loads(entries.texts[0])
        except (ValueError, RecursionError) as error:
            raise PgtfastError(f"{path}: {shown(entries.keys[0])}: not JSON ({error}); download it again") from error
        group = next((key for key in ("smpl_param", "smplx_param") if isinstance(first, dict) and key in first), None)
        held = first.get(group) if group else first
        if not isinstance(held, dict) or not ({"pose", "root_pose"} & set(held)):
            got = ", ".join(map(str, held)) if isinstance(held, dict) else str(held)
            raise PgtfastError(
                f"{path}: {shown(entries.keys[0])}: wanted smpl_param, smplx_param or the parameters themselves, got {got[:80]}; "
                "Human3.6M's and MPI-INF-3DHP's nested files need --variant and --people"
            )
        is_x = "root_pose" in held
        model = body_model or ("smplx" if is_x else "smpl")
        if is_x != (model == "smplx"):
            raise PgtfastError(
                f"{path}: holds {'SMPL-X' if is_x else 'SMPL'} parameters, not {model!r} ones; they are not exchangeable: "
                f"leave --body-model out, or name {'smplx' if is_x else 'smpl'}"
            )
        self.model = model
        above = (group,) if group else ()
        body = self._flat_or_nested(held) if is_x else None
        self.fields = [
            Field((*above, key), body if name == "body" and body else shape)
            for name, key, shape in (_SMPLX if is_x else _SMPL)
        ]
        self.parts = [(name, key) for name, key in _SMPLX_PARTS if is_x and key in held]
        for name, key in self.parts:
            shape = (15, 3) if name.endswith("hand_pose") and _nested(held[key]) else (PARTS[name],)
            self.fields.append(Field((*above, key), shape))
        self.cameras = "cam_param" in first
        if self.cameras:
            self.fields += [Field(("cam_param", key), (2,)) for _, key in _CAMERA]
        self.fields.append(Field((*above, "gender"), None, False))

    def _flat_or_nested(self, held: dict) -> tuple[int, ...]:
        return (21, 3) if _nested(held.get("body_pose")) else (63,)

    def read(self, entries: Entries, dataset: str, notes: Notes) -> Bodies:
        path = self.path
        for key in entries.keys:
            if not (key[0].isascii() and key[0].isdigit() and len(key[0]) < 19):
                raise PgtfastError(
                    f"{path}: key {key[0][:40]!r}: wanted an annotation id such as '183545'; Human3.6M's and MPI-INF-3DHP's nested files "
                    "need --variant"
                )
        columns = read_columns(path, entries.keys, entries.texts, self.fields, notes)
        count = len(entries.keys)
        flat = [column.reshape(count, -1) if column.dtype != object else column for column in columns]
        bodies = empty_bodies(dataset, self.model, [int(key[0]) for key in entries.keys])
        if self.model == "smplx":
            root, body, betas, transl = flat[:4]
            pose, rest = np.concatenate([root, body], 1), flat[4:]
        else:
            (pose, betas, transl), rest = flat[:3], flat[3:]
        parts = {name: rest[at] for at, (name, _) in enumerate(self.parts)}
        genders = rest[-1]
        if self.cameras:
            focal, center = rest[len(self.parts) : len(self.parts) + 2]
            bodies = replace(bodies, focal=focal, center=center)
        for row in np.flatnonzero(genders != None):  # noqa: E711 - element by element
            bodies.gender[row] = _gender(path, entries.keys[row], genders[row])
        return replace(bodies, pose=pose, betas=betas, transl=transl, parts=parts)


def _nested(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], list)


def _gender(path: Path, key: tuple[str, ...], value: str) -> str:
    named = {"m": "male", "f": "female", "n": "neutral"}.get(value.strip().lower()[:1])
    if named is None:
        raise PgtfastError(f"{path}: {shown(key)}: gender: wanted male, female or neutral, got {value!r}")
    return named


def write_annotations(file: IO[bytes], batches: Iterable[Bodies], *, variant: str) -> int:
    """Write people with a body, each under its annotation id.

    Args:
        file: opened for writing bytes.
        batches: of one body model, each person with pose, shape, translation, and in the in-the-wild variant a camera.
        variant: "itw" or "3dpw".

    Raises:
        PgtfastError: an annotation id is there twice: the format has no other key.
    """
    written, ids = 0, []
    file.write(b"{")
    for bodies in batches:
        if not len(bodies):
            continue
        entries = zip(bodies.annotation_id.tolist(), _entries(bodies, variant), strict=True)
        file.write(b",\n" if written else b"")
        file.write(b",\n".join(b'"%d": %b' % (number, json_text(entry)) for number, entry in entries))
        written += len(bodies)
        ids.append(bodies.annotation_id)
    file.write(b"}\n")
    if ids:
        values, counts = np.unique(np.concatenate(ids), return_counts=True)
        if (counts > 1).any():
            raise PgtfastError(
                f"annotation id {values[counts.argmax()]} is there {counts.max()} times and NeuralAnnot's JSON has no other key; convert one data set at a time"
            )
    return written


def _entries(bodies: Bodies, variant: str) -> list[dict[str, Any]]:
    held: dict[str, Any] = {"shape": bodies.betas[:, :10], "trans": bodies.transl}
    if bodies.body_model == "smplx":
        group = "smplx_param"
        body = bodies.pose[:, 3:].reshape(-1, 21, 3) if variant == "3dpw" else bodies.pose[:, 3:]
        held = {"root_pose": bodies.pose[:, :3], "body_pose": body} | held
        held |= {key: bodies.parts[name] for name, key in _SMPLX_PARTS if name in bodies.parts}
    else:
        group = "smpl_param"
        held = {"pose": bodies.pose} | held
    if variant == "3dpw":
        if (bodies.gender != "neutral").any():
            held["gender"] = bodies.gender.tolist()
        return row_objects(held)
    return row_objects(
        {group: row_objects(held), "cam_param": row_objects({key: getattr(bodies, name) for name, key in _CAMERA})}
    )
