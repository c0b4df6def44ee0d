"""Write people in a format: a file or folder that appears whole or not at all."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._errors import PgtfastError
from ..body import BodyModel
from ..files.atomic import file_sha256, replacing
from ..formats import (
    eft,
    fourd_humans,
    humandata,
    neuralannot_stream,
    neuralannot_world,
    perspective_npz,
    smplify_x,
    spin,
)
from ..formats.bodies import OTHERS, Bodies, joined, to_table
from ..formats.notes import Notes
from ..formats.people_index import PeopleIndex
from ..runs import Store

_PLACED = ("transl", "focal", "center")


class Target(NamedTuple):
    """What a format takes."""

    suffixes: tuple[str, ...]
    """Endings of its file; none is a folder."""
    holds: frozenset[str]
    """Columns of `Bodies` that it keeps."""
    needs: tuple[str, ...]
    """What a person cannot be written without; "body" is pose and shape."""
    models: tuple[str, ...]
    """Body models that it holds."""


_SMPL, _BOTH = ("smpl", "free"), ("smpl", "free", "smplx")


def target_of(to: str, variant: str, dst: Path) -> Target:
    """What the format asked for takes."""
    if to == "neuralannot":
        if variant == "itw":
            return Target((".json",), neuralannot_stream.HOLDS, ("body", *_PLACED), _BOTH)
        if variant == "3dpw":
            return Target((".json",), neuralannot_stream.HOLDS_3DPW, ("body", "transl"), _BOTH)
        return Target((".json",), neuralannot_world.HOLDS, ("body", "transl"), _SMPL)
    framed = ("image_path", "bbox")
    return {
        "eft": Target((".json",), eft.HOLDS, ("body", *framed, *_PLACED), _SMPL),
        "spin": Target((".npz", ".npy"), spin.HOLDS_FITS if dst.suffix == ".npy" else spin.HOLDS, framed, _SMPL),
        "cliff": Target((".npz",), perspective_npz.HOLDS_CLIFF, ("body", *framed, "image_size", *_PLACED), _SMPL),
        "camsmplify": Target((".npz",), perspective_npz.HOLDS_CAMSMPLIFY, ("body", *framed, *_PLACED), _SMPL),
        "bedlam": Target((".npz",), perspective_npz.HOLDS_BEDLAM, ("body", *framed, *_PLACED), _BOTH),
        "4dhumans": Target((".tar",), fourd_humans.HOLDS, framed, _SMPL),
        "humandata": Target((".npz",), humandata.HOLDS, ("body", "image_path"), _BOTH),
        "smplify-x": Target((), smplify_x.HOLDS, ("body", "image_path", "image_size", *_PLACED), (*_BOTH, "smplh")),
        "parquet": Target((), EVERYTHING, (), _SMPL),
    }[to]


EVERYTHING = frozenset(
    ("image_path", "image_size", "bbox", "gender", "pose", "betas", "transl", "focal", "center", "latent", "keypoints", *OTHERS)
)  # fmt: skip


def write(
    options: argparse.Namespace,
    batches: Iterable[Bodies],
    index: PeopleIndex | None,
    body: BodyModel | None,
    measured: BodyModel,
    notes: Notes,
) -> int:
    """Write people; returns how many (of files of frames, how many frames).

    Raises:
        PgtfastError: they cannot be written so, or there is nobody to write.
    """
    dst, to = Path(options.dst), options.to
    if to == "parquet":
        return _write_store(options, batches, dst)
    if to == "smplify-x":
        with _folder(dst) as folder:
            return smplify_x.write_smplify_x(folder, _whole(batches), notes, measured)
    with _new_file(dst) as partial, open(partial, "wb") as file:
        if to == "neuralannot" and options.variant in ("itw", "3dpw"):
            return _some(neuralannot_stream.write_annotations(file, batches, variant=options.variant))
        if to == "neuralannot":
            return _write_world(file, _whole(batches), index, body, notes)
        if to == "eft":
            return _some(eft.write_eft(file, batches, notes=notes, measured=measured))
        bodies = _whole(batches)
        if to == "spin":
            return _write_spin(file, dst, bodies, index, notes)
        if to == "cliff":
            return perspective_npz.write_cliff(file, bodies, notes, measured)
        if to == "camsmplify":
            return perspective_npz.write_camsmplify(file, bodies, notes)
        if to == "bedlam":
            return perspective_npz.write_bedlam(file, bodies, notes)
        if to == "humandata":
            return humandata.write_humandata(file, bodies, notes)
        if options.images is None:
            raise PgtfastError("--to 4dhumans: its tars hold the pictures; name their folder with --images DIR")
        return fourd_humans.write_4dhumans(file, bodies, Path(options.images), notes)


def _write_spin(file, dst: Path, bodies: Bodies, index: PeopleIndex | None, notes: Notes) -> int:
    """The data set npz; fits (.npy) in the rows of the npz of --people."""
    if dst.suffix == ".npz":
        return spin.write_spin(file, bodies, notes)
    if index is None or index.path.suffix != ".npz":
        raise PgtfastError(
            f"{dst}: fits go by the rows of a data set npz; name it with --people DATASET.npz, or write an .npz"
        )
    row_of = {int(number): row for row, number in enumerate(index.people.annotation_id)}
    rows = np.array([row_of[int(number)] for number in bodies.annotation_id], np.int64)
    pose, betas, valid = np.zeros((len(index), 72)), np.zeros((len(index), 10)), np.zeros(len(index), bool)
    has = bodies.with_body()
    pose[rows[has]], betas[rows[has]], valid[rows[has]] = bodies.pose[has], bodies.betas[has, :10], True
    spin.write_fits(file, dst, pose, betas, valid)
    return int(valid.sum())


def _write_world(file, bodies: Bodies, index: PeopleIndex | None, body: BodyModel | None, notes: Notes) -> int:
    if index is None or not index.cameras or body is None:
        raise PgtfastError("--variant h36m and mpi-inf-3dhp: bodies in the world need --people, --cameras and --body")
    row_of = {int(number): row for row, number in enumerate(index.people.annotation_id)}
    rows = [row_of[int(number)] for number in bodies.annotation_id]
    cameras = [index.cameras[index.which[row]] for row in rows]
    return neuralannot_world.write_world(
        file,
        bodies,
        [index.frames[row] for row in rows],
        np.stack([camera.rotation for camera in cameras]),
        np.stack([camera.translation for camera in cameras]),
        body,
        notes,
    )


def _write_store(options: argparse.Namespace, batches: Iterable[Bodies], dst: Path) -> int:
    """A run with one part a block. It is made beside its place and moved there when it is whole."""
    keys: list[np.ndarray] = []
    written = 0
    source = Path(options.src)
    config = {
        "verb": "convert",
        "source": source.name,
        "sha256": file_sha256(source) if source.is_file() else None,
        "from": options.source,
    }
    with _folder(dst) as folder:
        folder.rmdir()
        valid = 0
        with Store(folder, config) as store:
            for bodies in batches:
                if not len(bodies):
                    continue
                table = to_table(bodies, method=f"convert:{options.source}")
                valid += int(bodies.with_body().sum())
                keys.append(np.array([[hash(path) for path in bodies.image_path], bodies.annotation_id], np.int64).T)
                written += len(bodies)
                store.write_part(table)
            _unique(keys)
            _some(written)
            store.write_run(finished=True, counts={"read": written, "written": written, "valid": valid})
        (folder / ".lock").unlink(missing_ok=True)
    return written


def _unique(keys: list[np.ndarray]) -> None:
    """Raise where two people have one key (N, 2): hash of the image path, and annotation id."""
    if not keys:
        return
    found, counts = np.unique(np.concatenate(keys), axis=0, return_counts=True)
    if (counts > 1).any():
        raise PgtfastError(
            f"annotation {found[counts.argmax(), 1]} of one image is there twice; a person is in the store once: remove one, or name --people"
        )


def _whole(batches: Iterable[Bodies]) -> Bodies:
    held = [bodies for bodies in batches if len(bodies)]
    if not held:
        raise NothingToWrite
    return joined(held)


class NothingToWrite(Exception):
    """There is nobody to write; the run says why."""


def _some(written: int) -> int:
    if not written:
        raise NothingToWrite
    return written


@contextlib.contextmanager
def _new_file(dst: Path) -> Iterator[Path]:
    if not dst.parent.is_dir():
        raise PgtfastError(f"{dst}: no such folder: {dst.parent}")
    try:
        with replacing(dst) as partial:
            yield partial
            refuse_existing(dst)
    except OSError as error:
        raise PgtfastError(f"{dst}: cannot be written ({error.strerror or error})") from error


@contextlib.contextmanager
def _folder(dst: Path) -> Iterator[Path]:
    partial = dst.with_name(f".{dst.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        partial.mkdir()
        yield partial
        refuse_existing(dst)
        partial.rename(dst)
    except (OSError, PgtfastError) as error:
        cause = error.__cause__ if isinstance(error, PgtfastError) else error
        if not isinstance(cause, OSError):
            raise
        raise PgtfastError(f"{dst}: cannot be written ({cause.strerror or cause})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def refuse_existing(dst: Path) -> None:
    """Raise where there is something of that name."""
    if dst.exists() or dst.is_symlink():
        raise PgtfastError(f"{dst}: exists already and is not overwritten; choose another name, or remove it")
