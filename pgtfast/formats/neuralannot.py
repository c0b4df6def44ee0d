"""NeuralAnnot's and Three Recipes' JSON of any size, keyed by annotation id: in-the-wild sets and 3DPW, SMPL and
SMPL-X."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import PgtfastError
from ..files.atomic import replacing
from ..files.json import loose
from ..files.json_entries import Entries, read_entries
from ..people import People, empty_people, layout_of
from ..people.names import gender_of
from ._json import EntryReader, Field, json_text, row_objects, shown
from .columns import filled, joined
from .format import SMPL, Context, Format

_GROUPS = {"smpl": "smpl_param", "smplx": "smplx_param"}
_KEYS = {"global_orient": "root_pose", "body_pose": "body_pose", "betas": "shape", "transl": "trans"}
_PARTS = {"left_hand_pose": "lhand_pose", "right_hand_pose": "rhand_pose", "jaw_pose": "jaw_pose", "expression": "expr"}
"""Parameters of SMPL-X that a file may lack."""
_CAMERA = {"focal": "focal", "center": "princpt"}
_WHAT = "NeuralAnnot's object of people by annotation id"


def _read(path: Path, context: Context) -> Iterator[People]:
    """Read such a file in blocks.

    Raises:
        PgtfastError: naming the id and the key that is missing or not numbers of the right count; or the file is of
        another body model.
    """
    layout: _Layout | None = None
    ids: list[np.ndarray] = []
    for entries in read_entries(path, 1, what=_WHAT):
        layout = layout or _Layout(path, entries, context)
        people = layout.people(entries)
        ids.append(people.annotation_id)
        yield people
    _refuse_twice(ids, f"{path}: ")


def _refuse_twice(ids: list[np.ndarray], where: str) -> None:
    if not ids:
        return
    values, counts = np.unique(np.concatenate(ids), return_counts=True)
    if (counts > 1).any():
        raise PgtfastError(
            f"{where}annotation id {values[counts.argmax()]} is there twice and NeuralAnnot's JSON has no other key; "
            "convert one dataset at a time"
        )


class _Layout:
    """Where the file's first entry has its values; all others must have them there."""

    def __init__(self, path: Path, entries: Entries, context: Context) -> None:
        self.path, self.dataset = path, context.dataset
        first = loose(entries.texts[0], f"{path}: {shown(entries.keys[0])}")
        group = next((key for key in _GROUPS.values() if isinstance(first, dict) and key in first), None)
        held = first.get(group) if group else first
        if not isinstance(held, dict) or not ({"pose", "root_pose"} & set(held)):
            got = ", ".join(map(str, held)) if isinstance(held, dict) else str(held)
            raise PgtfastError(
                f"{path}: {shown(entries.keys[0])}: wanted smpl_param, smplx_param or the parameters themselves, "
                f"got {got[:80]}; "
                "Human3.6M's and MPI-INF-3DHP's nested files need --variant and --people, MANO's and FLAME's are "
                "not read"
            )
        found = "smplx" if "root_pose" in held else "smpl"
        self.model = context.model(path, found)
        widths = layout_of(found).parameters
        if found == "smpl":
            named = {"pose": "pose", "betas": "shape", "transl": "trans"}
            widths = {**widths, "pose": layout_of(found).pose_size}
        else:
            named = {**_KEYS, **{name: key for name, key in _PARTS.items() if key in held}}
        above = (group,) if group else ()
        fields = {
            name: Field((*above, key), (widths[name] // 3, 3) if _nested(held.get(key)) else (widths[name],))
            for name, key in named.items()
        }
        if "cam_param" in first:
            fields |= {name: Field(("cam_param", key), (2,)) for name, key in _CAMERA.items()}
        fields["gender"] = Field((*above, "gender"), None, False)
        self.names = list(fields)
        self.reader = EntryReader(path, list(fields.values()), context.notes)

    def people(self, entries: Entries) -> People:
        path = self.path
        for key in entries.keys:
            if not (key[0].isascii() and key[0].isdigit() and len(key[0]) < 19):
                raise PgtfastError(
                    f"{path}: key {key[0][:40]!r}: wanted an annotation id such as '183545'; Human3.6M's and "
                    f"MPI-INF-3DHP's nested files "
                    "need --variant"
                )
        columns = dict(zip(self.names, self.reader.read(entries.keys, entries.texts), strict=True))
        people = empty_people(self.dataset, [int(key[0]) for key in entries.keys], gender="neutral")
        genders = columns.pop("gender")
        for row in np.flatnonzero(genders != None):  # noqa: E711 - element by element
            people.gender[row] = gender_of(genders[row])
            if people.gender[row] is None:
                raise PgtfastError(
                    f"{path}: {shown(entries.keys[row])}: gender: wanted male, female or neutral, got {genders[row]!r}"
                )
        body = {name: column.reshape(len(people), -1) for name, column in columns.items()}
        if "focal" in body:
            people = replace(people, focal=body.pop("focal"), center=body.pop("center"))
        if "pose" in body:
            return people.with_pose(self.model, body.pop("pose"), **body)
        flat = False if "left_hand_pose" in body or "right_hand_pose" in body else None
        return replace(people.with_body(self.model, **body), flat_hand_mean=flat)


def _nested(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], list)


def _write(path: Path, batches: Iterable[People], context: Context, *, variant: str) -> int:
    """Write people with a body, each under its annotation id.

    Raises:
        PgtfastError: an annotation id is there twice: the format has no other key.
    """
    written, ids = 0, []
    with open(path, "wb") as file:
        file.write(b"{")
        for people in batches:
            if not len(people):
                continue
            entries = zip(people.annotation_id.tolist(), _entries(people, variant), strict=True)
            file.write(b",\n" if written else b"")
            file.write(b",\n".join(b'"%d": %b' % (number, json_text(entry)) for number, entry in entries))
            written += len(people)
            ids.append(people.annotation_id)
        file.write(b"}\n")
    _refuse_twice(ids, "")
    return written


def _entries(people: People, variant: str) -> Iterator[dict[str, Any]]:
    layout, body = people.layout, people.body
    held: dict[str, Any] = {"shape": body["betas"][:, : layout.betas], "trans": body["transl"]}
    if layout.expression:
        group, nested = _GROUPS["smplx"], (-1, layout.body_joints, 3)
        poses = body["body_pose"].reshape(nested) if variant == "3dpw" else body["body_pose"]
        held = {"root_pose": body["global_orient"], "body_pose": poses, **held}
        held |= {key: filled(people, name) for name, key in _PARTS.items() if name in body}
    else:
        group, held = _GROUPS["smpl"], {"pose": people.pose, **held}
    if variant == "3dpw":
        if any(gender not in (None, "neutral") for gender in people.gender):
            held["gender"] = [gender or "neutral" for gender in people.gender]
        return row_objects(held)
    cameras = row_objects({key: getattr(people, name) for name, key in _CAMERA.items()})
    return row_objects({group: row_objects(held), "cam_param": cameras})


def read_neuralannot(path: str | Path, *, dataset: str = "") -> People:
    """All people of a file in the wild or of 3DPW; further keys in it (fit_err) are ignored.

    Args:
        path: JSON keyed by annotation id.
        dataset: first part of each person's key; "" takes the file's name without suffix.

    Raises:
        PgtfastError: naming the file, the annotation id and the key that is missing or not numbers of the right count.
    """
    path = Path(path)
    name = dataset or path.stem
    batches = list(_read(path, Context(dataset=name)))
    return joined(batches) if batches else empty_people(name, [])


def write_neuralannot(path: str | Path, people: People | Iterable[People], *, variant: str = "itw") -> int:
    """Write the people who have a body; the file appears whole or not at all. One batch is in memory.

    Args:
        path: JSON to write.
        people: SMPL or SMPL-X people, or batches of them; those without a body are omitted, for the format has no place
            for them.
        variant: "itw" with cameras, "3dpw" without, with genders.

    Returns:
        Number of people written.

    Raises:
        PgtfastError: two people have one annotation id, the format's only key; a body lacks what the format holds; or
        the file cannot be written.
    """
    path = Path(path)
    batches = [people] if isinstance(people, People) else people
    try:
        with replacing(path) as temporary:
            return _write(temporary, (batch.rows(batch.has_body) for batch in batches), Context(), variant=variant)
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be written ({error.strerror})") from error
    except (ValueError, KeyError) as error:
        if isinstance(error, PgtfastError):
            raise PgtfastError(f"{path}: {error}") from error
        raise PgtfastError(
            f"{path}: somebody has no {error}; people are written with translation and camera"
        ) from error


_HELD = frozenset(("global_orient", "body_pose", "betas", "transl", *_PARTS))
_NEEDED = ("body", "transl")

ITW = Format(
    name="neuralannot",
    variant="itw",
    about="JSON of NeuralAnnot and Three Recipes (.json), SMPL or SMPL-X; see --variant",
    suffixes=(".json",),
    sniff=lambda path: path.suffix == ".json",
    models=(*SMPL, "smplx"),
    holds=_HELD | set(_CAMERA),
    needs=(*_NEEDED, *_CAMERA),
    flat_hand_mean=False,
    read=_read,
    write=partial(_write, variant="itw"),
)
PW3D = replace(
    ITW,
    variant="3dpw",
    about="the same of 3DPW: with genders, without cameras, which are in the annotation file of the set",
    holds=_HELD | {"gender"},
    needs=_NEEDED,
    write=partial(_write, variant="3dpw"),
)
