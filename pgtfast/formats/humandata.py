"""mmhuman3d's HumanData npz."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import PgtfastError
from ..people import People, empty_people, layout_of
from ..people.names import person_ids
from ..people.table import objects
from ._npz import genders_of, has_keys, load_columns, note_others, numbers, save, texts, whole_numbers
from .columns import filled, joined, known
from .format import SMPL, Context, Format

_MODELS = ("smpl", "smplx")
_MISC = ("annotation_id", "focal_length", "principal_point", "image_size", "flat_hand_mean")
_READ = (
    "image_path",
    "bbox_xywh",
    *_MODELS,
    "meta",
    "misc",
    "config",
    "__key_strict__",
    "__temporal_len__",
    "__data_len__",
    "__keypoints_compressed__",
)


def _read(path: Path, context: Context) -> Iterator[People]:
    """Read image paths, boxes and the SMPL or SMPL-X parameters of a file; its 190 keypoints are ignored.

    The camera is read from `misc`: focal_length and principal_point, pixels. The id is misc's annotation_id, else the
    row; misc's flat_hand_mean says what the hands are measured from.

    Raises:
        PgtfastError: a key is missing or not of its shape; the file holds both body models, or another than asked for.
    """
    held, notes, asked = load_columns(path, ("image_path",)), context.notes, context.body_model
    models = [name for name in _MODELS if isinstance(held.get(name), dict)]
    if len(models) == 2 and asked in models:
        notes.count(f"ignored: the {next(m for m in models if m != asked)} parameters beside them ({{n}} file)")
        models = [asked]
    if len(models) != 1:
        found = "both smpl and smplx" if models else f"neither smpl nor smplx but {', '.join(map(str, held))[:120]}"
        raise PgtfastError(
            f"{path}: wanted the parameters of one body model, got {found}; --body-model smpl or smplx takes one of two"
        )
    model = context.model(path, models[0])
    note_others(held, _READ, notes)
    names = texts(path, held, "image_path")
    count = len(names)
    columns: dict[str, Any] = {}
    if "bbox_xywh" in held:
        box = numbers(path, held, "bbox_xywh", count, (-1,))
        if box.shape[1] not in (4, 5):
            raise PgtfastError(f"{path}: key 'bbox_xywh': wanted 4 or 5 numbers a row, got {box.shape}")
        columns["bbox"] = np.where((box[:, 2:4] > 0).all(1, keepdims=True), box[:, :4], np.nan)
    meta = held.get("meta")
    if isinstance(meta, dict) and "gender" in meta:
        columns["gender"] = genders_of(path, "meta.gender", meta["gender"], count)
    columns |= _camera(path, held.get("misc"), count, context)
    people = replace(
        empty_people(context.dataset, np.arange(count), gender="neutral"),
        image_path=objects(names),
        person_id=person_ids(names),
        **{"keyed": False, **columns},
    )
    yield people.with_body(model, **_parameters(path, held[models[0]], models[0], count))


def _parameters(path: Path, held: Mapping[str, Any], model: str, count: int) -> dict[str, np.ndarray]:
    for key in ("global_orient", "body_pose", "betas"):
        if key not in held:
            raise PgtfastError(f"{path}: key '{model}.{key}' is missing")
    sizes = {**layout_of(model).parameters, "betas": -1}
    return {name: numbers(path, held, name, count, (size,)) for name, size in sizes.items() if name in held}


def _camera(path: Path, misc: Any, count: int, context: Context) -> dict[str, Any]:
    if not isinstance(misc, dict):
        return {}
    others = {f"misc.{key}": value for key, value in misc.items()}
    note_others(others, [f"misc.{key}" for key in _MISC], context.notes)
    out: dict[str, Any] = {}
    if "annotation_id" in misc:
        out |= {"annotation_id": whole_numbers(path, misc, "annotation_id", count), "keyed": True}
    if "image_size" in misc:
        out["image_size"] = numbers(path, misc, "image_size", count, (2,)).astype(np.int64)
    for name, key in (("focal", "focal_length"), ("center", "principal_point")):
        if key in misc:
            value = np.asarray(misc[key], dtype=object)
            both = np.repeat(value.reshape(-1, 1), 2, 1) if value.size == count else value
            out[name] = numbers(path, {key: both}, key, count, (2,))
    flat = np.asarray(misc.get("flat_hand_mean", ()))
    if flat.size == 1 and flat.dtype == bool:
        out["flat_hand_mean"] = bool(flat.item())
    if "focal" in out:
        unknown = (out["focal"] <= 0).any(1, keepdims=True)
        out |= {name: np.where(unknown, np.nan, out[name]) for name in ("focal", "center") if name in out}
    return out


def _write(path: Path, batches: Iterable[People], context: Context) -> int:
    """Write people with image name; the parameters go under "smpl" or "smplx". Boxes, image sizes and cameras that are
    unknown are written as 0."""
    people = joined([batch for batch in batches if len(batch)])
    count, layout, there = len(people), people.layout, known(people)
    held: dict[str, np.ndarray] = {}
    for name, size in layout.parameters.items():
        if name in people.body:
            value = people.body["betas"] if name == "betas" else filled(people, name)
            joints = name in layout.rotations and size > 3
            held[name] = value.reshape(count, -1, 3) if joints else value
    if not there["transl"].all():
        held.pop("transl", None)
        context.notes.count(
            "not held: translation of {n} people, for the file has it for all or for none", int(there["transl"].sum())
        )
    misc: dict[str, Any] = {"annotation_id": people.annotation_id}
    if there["image_size"].any():
        misc["image_size"] = people.image_size
    camera = (there["focal"] & there["center"])[:, None]
    if camera.any():
        misc |= {
            "focal_length": np.where(camera, people.focal, 0),
            "principal_point": np.where(camera, people.center, 0),
        }
    if people.flat_hand_mean is not None:
        misc["flat_hand_mean"] = people.flat_hand_mean
        pose = "a flat hand (True)" if people.flat_hand_mean else "the model's mean hand (False)"
        context.notes.count(
            f"hands: those of {{n}} people are measured from {pose}, which the file says under misc.flat_hand_mean "
            f"alone",
            count,
        )
    boxed = there["bbox"][:, None]
    columns: dict[str, Any] = {
        "image_path": np.array(people.image_path.tolist(), dtype=np.str_),
        "bbox_xywh": np.concatenate([np.where(boxed, people.bbox, 0), boxed], 1),
        "config": people.dataset,
        "smplx" if layout.expression else "smpl": held,
        "meta": {"gender": [gender or "neutral" for gender in people.gender]},
        "misc": misc,
        "__key_strict__": False,
        "__temporal_len__": count,
        "__keypoints_compressed__": False,
    }
    save(path, columns)
    return count


HUMANDATA = Format(
    name="humandata",
    about="mmhuman3d's HumanData (.npz), SMPL or SMPL-X",
    suffixes=(".npz",),
    sniff=lambda path: has_keys(path, "image_path"),
    models=(*SMPL, "smplx"),
    holds=frozenset(("image_path", "image_size", "bbox", "gender", "focal", "center", *layout_of("smplx").parameters)),
    needs=("body", "image_path"),
    betas=None,
    read=_read,
    write=_write,
)
