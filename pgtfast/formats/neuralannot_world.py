"""NeuralAnnot's JSON of bodies in the world: Human3.6M by action, subaction and frame, MPI-INF-3DHP by subject, sequence and frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import torch

from .. import cameras
from .._errors import PgtfastError
from ..body import BodyModel
from ..datasets._world import place_bodies, rest_pelvis
from ..files.json_entries import read_entries
from ._json_columns import Field, json_text, read_columns, row_objects
from .bodies import Bodies
from .notes import Notes
from .people_index import PeopleIndex

HOLDS = frozenset(("pose", "betas", "transl"))
"""Columns of `Bodies` that the file keeps, one body a frame; cameras, images and ids are in the files of the set."""

_FIELDS = (Field(("pose",), (72,)), Field(("shape",), (10,)), Field(("trans",), (3,)))
_SAME = 1e-3
"""Metres and radians by which the bodies that several cameras see may differ and count as one."""


def read_world(
    path: str | Path, index: PeopleIndex, *, body: BodyModel, body_model: str | None, notes: Notes
) -> Iterator[Bodies]:
    """Read such a file in blocks; each frame gives a person for each camera that it is annotated in, in that camera's space.

    Args:
        path: JSON of three levels.
        index: the annotated people, with frames and cameras.
        body: the body of the parameters: its rest pelvis says what the translation means.
        body_model: what the parameters are of; None is the body's kind.
        notes: gets frames without image and images without frame.

    Raises:
        PgtfastError: naming frame and key that is missing or not numbers of the right count.
    """
    path = Path(path)
    rows_of: dict[tuple[str, ...], list[int]] = {}
    for row, keys in enumerate(index.frames):
        rows_of.setdefault(keys, []).append(row)
    met = np.zeros(len(index), bool)
    rotation = np.stack([camera.rotation for camera in index.cameras]) if index.cameras else np.zeros((0, 3, 3))
    translation = np.stack([camera.translation for camera in index.cameras]) if index.cameras else np.zeros((0, 3))
    for entries in read_entries(path, 3):
        pose, betas, transl = read_columns(path, entries.keys, entries.texts, _FIELDS, notes)
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
        which = index.which[rows]
        turned, moved = place_bodies(
            pose[at], betas[at], transl[at], rotation[which], translation[which], body, str(path)
        )
        yield replace(
            index.people.rows(rows), body_model=body_model or body.kind, pose=turned, betas=betas[at], transl=moved
        )
    missing = np.flatnonzero(~met)
    notes.count(
        "not matched: {n} annotated images have no frame in the file", len(missing), index.people.names(missing)
    )


def write_world(
    file: IO[bytes],
    bodies: Bodies,
    frames: Sequence[tuple[str, ...]],
    rotation: np.ndarray,
    translation: np.ndarray,
    body: BodyModel,
    notes: Notes,
) -> int:
    """Write the bodies of frames; where several cameras see one, the first is written.

    Args:
        file: opened for writing bytes.
        bodies: N people with a body, in camera space.
        frames: the three keys of each one's frame.
        rotation: (N, 3, 3) world to camera.
        translation: (N, 3) metres.
        body: the body of the parameters.
        notes: gets how far apart the bodies of one frame are.

    Returns:
        Number of frames written.
    """
    rest = rest_pelvis(body, bodies.betas, "the people to write")
    tensors = (
        torch.from_numpy(np.ascontiguousarray(a))
        for a in (bodies.pose[:, :3], bodies.transl, rest, rotation, translation)
    )
    placed = cameras.body_to_world(*tensors)
    pose = np.concatenate([placed.global_orient.numpy(), bodies.pose[:, 3:]], 1)
    transl = placed.transl.numpy()
    first: dict[tuple[str, ...], int] = {}
    apart: list[tuple[str, ...]] = []
    worst = 0.0
    for row, keys in enumerate(frames):
        kept = first.setdefault(keys, row)
        off = max(
            np.abs(transl[row] - transl[kept]).max(),
            np.abs(pose[row] - pose[kept]).max(),
            np.abs(bodies.betas[row] - bodies.betas[kept]).max(),
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
    _write_tree(file, first, pose, bodies.betas[:, :10], transl)
    return len(first)


def _write_tree(
    file: IO[bytes], row_of: dict[tuple[str, ...], int], pose: np.ndarray, betas: np.ndarray, transl: np.ndarray
) -> None:
    order = sorted(row_of, key=lambda keys: tuple(int(key) for key in keys))
    at = np.array([row_of[keys] for keys in order], np.int64)
    entries = row_objects({"pose": pose[at], "shape": betas[at], "trans": transl[at]})
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
    file.write(b"".join(out))
