"""mmhuman3d's HumanData npz."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from .._errors import PgtfastError
from ._npz import gender_of, load_columns, note_others, numbers, put_names, save, texts, whole_numbers
from .bodies import PARTS, Bodies, empty_bodies, objects
from .notes import Notes

HOLDS = frozenset(("image_path", "image_size", "bbox", "gender", "pose", "betas", "transl", "focal", "center", *PARTS))
"""Columns of `Bodies` that the file keeps; camera, image size and annotation id under `misc`."""

_BODY_JOINTS = {"smpl": 23, "smplx": 21}
_MISC = ("annotation_id", "focal_length", "principal_point", "image_size")


def read_humandata(path: str | Path, *, dataset: str, body_model: str | None, notes: Notes) -> Bodies:
    """Read image paths, boxes and the SMPL or SMPL-X parameters of a file; its 190 keypoints are left aside.

    The camera is read from `misc`: focal_length and principal_point, pixels. The id is misc's annotation_id, else the row.

    Raises:
        PgtfastError: a key is missing or not of its shape; the file holds both body models, or another than asked for.
    """
    path = Path(path)
    held = load_columns(path, ("image_path",))
    models = [name for name in _BODY_JOINTS if isinstance(held.get(name), dict)]
    if len(models) == 2 and body_model in models:
        notes.count(f"left aside: the {next(m for m in models if m != body_model)} parameters beside them ({{n}} file)")
        models = [body_model]
    if len(models) != 1:
        found = "both smpl and smplx" if models else f"neither smpl nor smplx but {', '.join(map(str, held))[:120]}"
        raise PgtfastError(
            f"{path}: wanted the parameters of one body model, got {found}; --body-model smpl or smplx takes one of two"
        )
    (model,) = models
    if body_model is not None and (body_model == "smplx") != (model == "smplx"):
        raise PgtfastError(f"{path}: holds {model} parameters, not {body_model!r} ones; they are not exchangeable")
    note_others(held, ("image_path", "bbox_xywh", "smpl", "smplx", "meta", "misc", "config", "__key_strict__", "__temporal_len__", "__data_len__", "__keypoints_compressed__"), notes)  # fmt: skip
    names = texts(path, held, "image_path")
    count = len(names)
    bodies = empty_bodies(dataset, body_model or model, np.arange(count))
    put_names(bodies, names)
    columns: dict[str, Any] = {"keyed": False}
    if "bbox_xywh" in held:
        box = numbers(path, held, "bbox_xywh", count, (-1,))
        if box.shape[1] not in (4, 5):
            raise PgtfastError(f"{path}: key 'bbox_xywh': wanted 4 or 5 numbers a row, got {box.shape}")
        columns["bbox"] = np.where((box[:, 2:4] > 0).all(1, keepdims=True), box[:, :4], np.nan)
    columns |= _parameters(path, held[model], model, count)
    columns |= _camera(path, held.get("misc"), count, notes)
    meta = held.get("meta")
    if isinstance(meta, dict) and "gender" in meta:
        genders = texts(path, meta, "gender")
        if len(genders) != count:
            raise PgtfastError(f"{path}: key 'meta.gender': wanted {count} rows, got {len(genders)}")
        columns["gender"] = objects([gender_of(path, r, g) for r, g in enumerate(genders)])
    return replace(bodies, **columns)


def _parameters(path: Path, held: Mapping[str, Any], model: str, count: int) -> dict[str, Any]:
    for key in ("global_orient", "body_pose", "betas"):
        if key not in held:
            raise PgtfastError(f"{path}: key '{model}.{key}' is missing")
    root = numbers(path, held, "global_orient", count, (3,))
    body = numbers(path, held, "body_pose", count, (_BODY_JOINTS[model], 3)).reshape(count, -1)
    out: dict[str, Any] = {
        "pose": np.concatenate([root, body], 1),
        "betas": numbers(path, held, "betas", count, (-1,)),
    }
    if "transl" in held:
        out["transl"] = numbers(path, held, "transl", count, (3,))
    if model == "smplx":
        out["parts"] = {name: numbers(path, held, name, count, (size,)) for name, size in PARTS.items() if name in held}
    return out


def _camera(path: Path, misc: Any, count: int, notes: Notes) -> dict[str, Any]:
    if not isinstance(misc, dict):
        return {}
    note_others({f"misc.{key}": value for key, value in misc.items()}, [f"misc.{key}" for key in _MISC], notes)
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
    if "focal" in out:
        unknown = (out["focal"] <= 0).any(1, keepdims=True)
        out |= {name: np.where(unknown, np.nan, out[name]) for name in ("focal", "center") if name in out}
    return out


def write_humandata(file: IO[bytes], bodies: Bodies, notes: Notes) -> int:
    """Write people with image name; the parameters go under "smpl" or "smplx". Boxes, image sizes and cameras that are unknown are written as 0."""
    count = len(bodies)
    model = "smplx" if bodies.body_model == "smplx" else "smpl"
    held = {
        "global_orient": bodies.pose[:, :3],
        "body_pose": bodies.pose[:, 3:].reshape(count, _BODY_JOINTS[model], 3),
        "betas": bodies.betas,
    }
    there = bodies.known()
    if there["transl"].all():
        held["transl"] = bodies.transl
    else:
        notes.count(
            "not held: translation of {n} people, for the file has it for all or for none", int(there["transl"].sum())
        )
    for name in ("left_hand_pose", "right_hand_pose"):
        if name in bodies.parts:
            held[name] = bodies.parts[name].reshape(count, 15, 3)
    held |= {name: value for name, value in bodies.parts.items() if name not in held}
    misc: dict[str, np.ndarray] = {"annotation_id": bodies.annotation_id}
    if there["image_size"].any():
        misc["image_size"] = bodies.image_size
    camera = (there["focal"] & there["center"])[:, None]
    if camera.any():
        misc |= {
            "focal_length": np.where(camera, bodies.focal, 0),
            "principal_point": np.where(camera, bodies.center, 0),
        }
    boxed = there["bbox"][:, None]
    box = np.concatenate([np.where(boxed, bodies.bbox, 0), boxed], 1)
    columns: dict[str, Any] = {
        "image_path": np.array(bodies.image_path.tolist(), dtype=np.str_),
        "bbox_xywh": box,
        "config": bodies.dataset,
        model: held,
        "meta": {"gender": bodies.gender.tolist()},
        "misc": misc,
        "__key_strict__": False,
        "__temporal_len__": count,
        "__keypoints_compressed__": False,
    }
    save(file, columns)
    return count
