"""NeuralAnnot's JSON of bodies in the world: Human3.6M by action, subaction and frame, MPI-INF-3DHP by subject,
sequence and frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from .. import cameras
from .._errors import PgtfastError
from ..body import BodyModel
from ..datasets.world import place_bodies, rest_pelvis
from ..files.json_entries import read_entries
from ..people import People, layout_of
from ._json import EntryReader, Field, json_text, row_objects
from .columns import joined, names
from .format import BODY, SMPL, Context, Format
from .people_index import PeopleIndex

_SAME = 1e-3
"""Metres and radians by which the bodies that several cameras see may differ and count as one."""


def _read(path: Path, context: Context) -> Iterator[People]:
    """Read such a file in blocks; each frame gives a person for each camera that it is annotated in, in that camera's
    space.

    Raises:
        PgtfastError: naming frame and key that is missing or not numbers of the right count.
    """
    index, body = _needed(context, f"{path}: ")
    model = context.body_model or body.kind
    layout, notes = layout_of(model), context.notes
    reader = EntryReader(
        path,
        (Field(("pose",), (layout.pose_size,)), Field(("shape",), (layout.betas,)), Field(("trans",), (3,))),
        notes,
    )
    rows_of: dict[tuple[str, ...], list[int]] = {}
    for row, keys in enumerate(index.frames):
        rows_of.setdefault(keys, []).append(row)
    met = np.zeros(len(index), bool)
    rotation, translation = index.extrinsics(np.arange(len(index)))
    for entries in read_entries(path, 3, what="frames of three levels"):
        pose, betas, transl = reader.read(entries.keys, entries.texts)
        pairs = [(at, row) for at, keys in enumerate(entries.keys) for row in rows_of.get(keys, ())]
        lost = [keys for keys in entries.keys if keys not in rows_of]
        notes.lost += len(lost)
        notes.count(
            "not matched: {n} frames have no annotated image in --people", len(lost), ("/".join(k) for k in lost)
        )
        if not pairs:
            continue
        at, rows = (np.array(part) for part in zip(*pairs, strict=True))
        if met[rows].any():
            raise PgtfastError(f"{path}: frame {'/'.join(index.frames[rows[met[rows]][0]])} is there twice")
        met[rows] = True
        placed, moved = place_bodies(
            pose[at], betas[at], transl[at], rotation[rows], translation[rows], body, str(path)
        )
        yield index.people.rows(rows).with_pose(model, placed, betas=betas[at], transl=moved)
    missing = np.flatnonzero(~met)
    notes.count(
        "not matched: {n} annotated images have no frame in the file", len(missing), names(index.people, missing)
    )


def _needed(context: Context, where: str) -> tuple[PeopleIndex, BodyModel]:
    if context.people is None or not context.people.cameras or context.body is None:
        raise PgtfastError(
            f"{where}bodies in the world need --people, --cameras and --body: the pelvis of the body says what the "
            f"translation means"
        )
    return context.people, context.body


def _write(path: Path, batches: Iterable[People], context: Context) -> int:
    """Write the bodies of frames; where several cameras see one, the first is written.

    Returns:
        Number of frames written.
    """
    index, body = _needed(context, f"{path.name}: ")
    people, notes = joined([batch for batch in batches if len(batch)]), context.notes
    row_of = {int(number): row for row, number in enumerate(index.people.annotation_id)}
    annotated = np.array([row_of[int(number)] for number in people.annotation_id], np.int64)
    frames = [index.frames[row] for row in annotated]
    rotation, translation = index.extrinsics(annotated)
    orient, betas = people.body["global_orient"], people.body["betas"]
    rest = rest_pelvis(body, betas, "the people to write")
    tensors = (
        torch.from_numpy(np.ascontiguousarray(a)) for a in (orient, people.body["transl"], rest, rotation, translation)
    )
    placed = cameras.body_to_world(*tensors)
    pose = np.concatenate([placed.global_orient.numpy(), people.body["body_pose"]], 1)
    transl = placed.transl.numpy()
    first: dict[tuple[str, ...], int] = {}
    apart: list[tuple[str, ...]] = []
    worst = 0.0
    for row, keys in enumerate(frames):
        kept = first.setdefault(keys, row)
        off = max(
            np.abs(transl[row] - transl[kept]).max(),
            np.abs(pose[row] - pose[kept]).max(),
            np.abs(betas[row] - betas[kept]).max(),
        )
        if off > _SAME:
            apart.append(keys)
            worst = max(worst, float(np.linalg.norm(transl[row] - transl[kept])))
    if apart:
        notes.count(
            "frames: {n} people differ from what another camera has of the same frame; the first camera's is written",
            len(apart),
            ("/".join(k) for k in apart),
        )
        notes.worst("frames: such bodies lie up to {n} m apart", worst)
    notes.count(
        "frames: {n} people are the same frame seen by another camera, which the file holds once",
        len(frames) - len(first) - len(apart),
    )
    _write_tree(path, first, {"pose": pose, "shape": betas[:, : people.layout.betas], "trans": transl})
    return len(first)


def _write_tree(path: Path, row_of: dict[tuple[str, ...], int], columns: Mapping[str, np.ndarray]) -> None:
    order = sorted(row_of, key=lambda keys: tuple(int(key) for key in keys))
    at = np.array([row_of[keys] for keys in order], np.int64)
    entries = row_objects({name: column[at] for name, column in columns.items()})
    before: tuple[str, ...] = ()
    out = [b"{"]
    for keys, entry in zip(order, entries, strict=True):
        action, part, frame = map(json_text, keys)
        if keys[:1] != before[:1]:
            out.append(b"%b%b: {%b: {" % (b"}}, " if before else b"", action, part))
        elif keys[:2] != before[:2]:
            out.append(b"}, %b: {" % part)
        else:
            out.append(b", ")
        out.append(b"%b: %b" % (frame, json_text(entry)))
        before = keys
    out.append(b"}}}\n" if before else b"}\n")
    path.write_bytes(b"".join(out))


H36M = Format(
    name="neuralannot",
    variant="h36m",
    about="NeuralAnnot's bodies in the world by action, subaction and frame; needs --people, --cameras and --body",
    suffixes=(".json",),
    models=SMPL,
    holds=frozenset((*BODY, "transl")),
    needs=("body", "transl"),
    matched=True,
    world=True,
    read=_read,
    write=_write,
)
MPI_INF_3DHP = replace(H36M, variant="mpi-inf-3dhp", about="the same by subject, sequence and frame")
