"""What a file is, and its people."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .. import skeletons
from .._errors import PgtfastError
from ..body import BodyModel
from ..files.unpickle import load_npz
from ..formats.bodies import Bodies, from_table, joined
from ..formats.eft import read_eft
from ..formats.fourd_humans import read_4dhumans
from ..formats.humandata import read_humandata
from ..formats.neuralannot_stream import read_annotations
from ..formats.neuralannot_world import read_world
from ..formats.notes import Notes
from ..formats.people_index import PeopleIndex
from ..formats.perspective_npz import read_bedlam, read_camsmplify, read_cliff
from ..formats.recamera import joint_points
from ..formats.sam3d_body import read_sam3d_body
from ..formats.smplify_x import read_smplify_x
from ..formats.spin import is_fits, read_fits, read_spin_bodies, with_fits
from ..priors import load_vposer
from ..runs.folder import RUN_FILE
from ..runs.parts import FOLDER
from ._match import check_rows
from ._options import WORLD

_ROWS = 4096
"""People of the store that are read at once."""


def format_of(path: Path) -> str:
    """The format of a file or folder, told by its content.

    Raises:
        PgtfastError: it is none that is known, or not there.
    """
    if not path.exists():
        raise PgtfastError(f"{path}: no such file or folder")
    if path.is_dir():
        if (path / RUN_FILE).is_file() or (path / FOLDER).is_dir():
            return "parquet"
        for pattern, name in (
            ("*.tar", "4dhumans"),
            ("*.parquet", "sam3dbody"),
            ("results/*/*.pkl", "smplify-x"),
            ("*/*.pkl", "smplify-x"),
        ):
            if next(path.glob(pattern), None) is not None:
                return name
    elif path.suffix == ".json":
        with open(path, "rb") as file:
            return "eft" if b'"parm_' in file.read(1 << 16) else "neuralannot"
    elif path.suffix in (".npy", ".npz"):
        return "spin" if path.suffix == ".npy" else _npz_format(path)
    elif path.suffix == ".tar":
        return "4dhumans"
    elif path.suffix == ".parquet":
        return "sam3dbody" if "keypoints_3d" in _parquet_names(path) or "cam_int" in _parquet_names(path) else "parquet"
    raise PgtfastError(f"{path}: its format cannot be told; name it with --from")


def _npz_format(path: Path) -> str:
    names: list[str] = []
    load_npz(path, keys=lambda key: bool(names.append(key)))  # type: ignore[func-returns-value]
    if "image_path" in names:
        return "humandata"
    if "global_t" in names:
        return "cliff"
    if "cam_int" in names:
        return "bedlam" if "cam_ext" in names or ("pose_cam" in names and "gender" in names) else "camsmplify"
    if "imgname" in names or {"pose", "betas"} <= set(names):
        return "spin"
    raise PgtfastError(
        f"{path}: its format cannot be told from its keys ({', '.join(names)[:200]}); name it with --from"
    )


def _parquet_names(path: Path) -> list[str]:
    try:
        return pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise PgtfastError(
            f"{path}: not a readable Parquet file ({str(error).splitlines()[0]}); copy it again"
        ) from error


def read(
    options: argparse.Namespace,
    source: str,
    dataset: str,
    index: PeopleIndex | None,
    body: BodyModel | None,
    measured: BodyModel,
    notes: Notes,
) -> Iterator[Bodies]:
    """The people of a file, in blocks."""
    path, model = Path(options.src), options.body_model
    if source == "neuralannot" and options.src_variant in WORLD:
        if index is None or body is None:
            raise PgtfastError(
                f"{path}: bodies in the world need --people, --cameras and --body: the pelvis of the body says what the translation means"
            )
        yield from read_world(path, index, body=body, body_model=model, notes=notes)
    elif source == "neuralannot":
        yield from read_annotations(path, dataset=dataset, body_model=model, notes=notes)
    elif source == "eft":
        yield from read_eft(path, dataset=dataset, body_model=model, notes=notes)
    elif source == "spin":
        yield _spin(path, dataset, model, index, body or measured, notes)
    elif source == "cliff":
        yield read_cliff(path, dataset=dataset, body_model=model, notes=notes)
    elif source == "camsmplify":
        yield read_camsmplify(path, dataset=dataset, body_model=model, notes=notes)
    elif source == "bedlam":
        yield read_bedlam(path, dataset=dataset, body_model=model, notes=notes)
    elif source == "4dhumans":
        yield from read_4dhumans(path, dataset=dataset, body_model=model, notes=notes)
    elif source == "humandata":
        yield read_humandata(path, dataset=dataset, body_model=model, notes=notes)
    elif source == "smplify-x":
        yield _smplify_x(options, dataset, notes)
    elif source == "sam3dbody":
        yield from read_sam3d_body(path, dataset=dataset, notes=notes)
    else:
        yield from _store(path, model)


def _store(path: Path, model: str | None) -> Iterator[Bodies]:
    parts = sorted((path / FOLDER).glob("part-*.parquet")) if path.is_dir() else [path]
    for part in parts:
        try:
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(batch_size=_ROWS):
                    bodies = from_table(pa.Table.from_batches([batch]), str(part))
                    if model not in (None, bodies.body_model):
                        raise PgtfastError(
                            f"{part}: holds {bodies.body_model!r} bodies, not {model!r} ones; leave --body-model out"
                        )
                    yield bodies
        except (pa.ArrowException, ValueError, KeyError, OSError) as error:
            if isinstance(error, PgtfastError):
                raise
            raise PgtfastError(f"{part}: not a readable part of a run ({str(error).splitlines()[0]})") from error


def _spin(
    path: Path, dataset: str, model: str | None, index: PeopleIndex | None, body: BodyModel, notes: Notes
) -> Bodies:
    """A data set npz, or fits laid on the rows of the data set npz of --people and held against its keypoints."""
    if not is_fits(path):
        return read_spin_bodies(path, dataset=dataset, body_model=model, notes=notes)
    if index is None or index.path.suffix != ".npz":
        raise PgtfastError(
            f"{path}: fits hold neither names nor boxes; name the data set npz that they lie beside with --people DATASET.npz"
        )
    fits = read_fits(path)
    if len(fits[0]) != len(index):
        raise PgtfastError(
            f"{path}: holds {len(fits[0])} fits, {index.path} {len(index)} people: they go by row, so they are not of the same set; nothing is written"
        )
    people = with_fits(replace(index.people, body_model=model or "smpl"), fits)
    against = check_rows(people, lambda chosen: _named_joints(chosen, body), notes)
    if against is not None:
        raise PgtfastError(
            f"{path}: its rows are not those of {index.path}: {against}; take the npz that the fits were made with"
        )
    return people


def _named_joints(bodies: Bodies, body: BodyModel) -> tuple[np.ndarray, np.ndarray]:
    """Joints (N, K, 2) from the front and keypoints (N, K, 3) of limbs that both sets name."""
    mine, theirs = skeletons.get("smpl24").index, skeletons.get(bodies.landmark_set or "spin24").index
    limbs = [f"{side}_{part}" for side in "lr" for part in ("knee", "ankle", "shoulder", "elbow", "wrist", "hip")]
    shared = [name for name in limbs if name in mine and name in theirs]
    here = replace(bodies, transl=np.zeros((len(bodies), 3)))
    flat = joint_points(here, body).numpy()[..., :2]
    points = bodies.keypoints if bodies.keypoints is not None else np.zeros((len(bodies), len(theirs), 3))
    return flat[:, [mine[name] for name in shared]], points[:, [theirs[name] for name in shared]]


def _smplify_x(options: argparse.Namespace, dataset: str, notes: Notes) -> Bodies:
    prior = None
    if options.prior is not None:
        prior = load_vposer(options.prior)
        if prior.version != options.prior_version:
            raise PgtfastError(
                f"--prior {options.prior}: is {prior.version!r}, not {options.prior_version!r}; latents of different versions are not exchangeable"
            )
    return read_smplify_x(
        options.src,
        dataset=dataset,
        body_model=options.body_model,
        focal=options.focal,
        prior=prior,
        prior_version=options.prior_version,
        notes=notes,
    )


def together(batches: Iterator[Bodies]) -> Bodies | None:
    """All people of a file at once, None where there are none."""
    held = list(batches)
    return joined(held) if held else None
