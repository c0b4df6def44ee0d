"""Folders of SMPLify-X results: results/<image>/<person>.pkl."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import reference
from .._errors import PgtfastError
from ..files.unpickle import load_pickle
from ..people import People, empty_people, layout_of
from .columns import filled, joined
from .format import BODY, SMPL, Context, Format
from .recamera import image_camera

FOCAL = 5000
"""Pixels: SMPLify-X's focal length where its configuration names none; the pickles do not hold it."""

_FACE = ("jaw_pose", "leye_pose", "reye_pose", "expression")
_READ = ("camera_rotation", "camera_translation", "betas", "global_orient", "body_pose")
_LATENT = 32
_HAND_COMPONENTS = 6
"""Numbers of a hand in SMPLify-X's space of hands."""
_BATCH = 4096
"""People at once."""


def _read(path: Path, context: Context) -> Iterator[People]:
    """Read all pickles of a folder; hands are ignored, their space is not in the file.

    `body_model` None follows the keys (jaw_pose: SMPL-X, hands: SMPL-H, neither: SMPL). The principal point is the
    middle of the image, whose size the pickles do not hold: `center` stays unknown.

    Raises:
        PgtfastError: a file is no such pickle (nothing in it is run), or holds a latent and no prior is given.
    """
    root = path / "results" if (path / "results").is_dir() else path
    files = sorted(root.glob("*/*.pkl"))
    if not files:
        raise PgtfastError(f"{path}: wanted results/<image>/<person>.pkl, found none")
    counts: Counter[str] = Counter()
    for start in range(0, len(files), _BATCH):
        rows = []
        for number, file in enumerate(files[start : start + _BATCH], start):
            held = load_pickle(file)
            if isinstance(held, dict) and isinstance(held.get("result"), dict):
                held = held["result"]
            if not isinstance(held, dict):
                raise PgtfastError(f"{file}: wanted a dictionary of SMPLify-X's, got {type(held).__name__}")
            one = _person(file, held, context)
            name = file.parent.name
            one.annotation_id[0], one.image_path[0], one.person_id[0] = number, name, counts[name]
            counts[name] += 1
            rows.append(replace(one, focal=np.full((1, 2), float(context.focal)), keyed=False))
        yield joined(rows)
    context.notes.count(
        f"{{n}} results have no focal length; it is taken as {context.focal:g} px (--focal)", len(files)
    )


def _person(file: Path, held: Mapping[str, Any], context: Context) -> People:
    found = "smplx" if "jaw_pose" in held else "smplh" if "left_hand_pose" in held else "smpl"
    model, notes = context.model(file, found), context.notes
    layout = layout_of(model)
    face = [name for name in _FACE if name in layout.parameters and name in held]
    for key in held:
        if key not in (*_READ, *face):
            notes.count(f"ignored: '{key}' of {{n}} results")
    size = layout.rotations["body_pose"]
    body = {
        "global_orient": _row(file, held, "global_orient", (3,)),
        "body_pose": _row(file, held, "body_pose", (_LATENT, *_SIZES)),
        "betas": _row(file, held, "betas", tuple(range(1, 401))),
        "transl": _row(file, held, "camera_translation", (3,)),
        **{name: _row(file, held, name, (layout.parameters[name],)) for name in face},
    }
    rotation = np.asarray(held.get("camera_rotation", np.eye(3)), np.float64).reshape(-1)
    if rotation.size != 9 or np.abs(rotation.reshape(3, 3) - np.eye(3)).max() > 1e-6:
        raise PgtfastError(
            f"{file}: camera_rotation: wanted the identity, which SMPLify-X writes, got {rotation.round(3).tolist()}"
        )
    one = empty_people(context.dataset, [0], gender="neutral")
    if body["body_pose"].size == _LATENT:
        if context.prior is None:
            raise PgtfastError(
                f"{file}: body_pose is the 32-number latent of a VPoser, and the file does not say of which "
                f"version; name it with "
                "--prior-version vposer-v1 (or another) and its file with --prior PATH"
            )
        latent = body["body_pose"][None]
        with torch.no_grad():
            rotations = context.prior.decode(torch.from_numpy(latent).float())
        pose = reference.matrix_to_rotvec(rotations.double()).reshape(-1).numpy()
        notes.count(f"poses: {{n}} latents are decoded with prior {context.prior.version}")
        body["body_pose"] = np.pad(pose, (0, max(0, size - len(pose))))  # SMPL's hands stay straight
        one = replace(one, latent=latent, prior=context.prior.version)
    if body["body_pose"].size != size:
        raise PgtfastError(
            f"{file}: body_pose: wanted {size} numbers of {model} or a latent of {_LATENT}, got "
            f"{body['body_pose'].size}"
        )
    return one.with_body(model, **{name: value[None] for name, value in body.items()})


_MODELS = (*SMPL, "smplx", "smplh")
_SIZES = sorted({layout_of(model).rotations["body_pose"] for model in _MODELS})


def _row(file: Path, held: Mapping[str, Any], key: str, sizes: tuple[int, ...]) -> np.ndarray:
    try:
        value = np.asarray(held[key], np.float64).reshape(-1)
    except (KeyError, TypeError, ValueError):
        value = np.zeros(0)
    if value.size not in sizes or not (np.abs(value) < 1e9).all():
        wanted = " or ".join(map(str, sizes)) if len(sizes) < 5 else "some"
        raise PgtfastError(f"{file}: {key}: wanted {wanted} finite numbers, got {str(held.get(key, 'none'))[:60]}")
    return value


def _write(path: Path, batches: Iterable[People], context: Context) -> int:
    """Write results/<image>/<person>.pkl of people with image name, size and camera, moved before SMPLify-X's camera of
    the image."""
    places: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for people in batches:
        if len(people):
            seen = image_camera(people, np.full(len(people), float(FOCAL)), context.notes, context.measured)
            _write_batch(path, seen, places, counts, context)
    return counts.total()


def _write_batch(folder: Path, people: People, places: dict[str, str], counts: Counter[str], context: Context) -> None:
    notes, layout = context.notes, people.layout
    other = (np.abs(people.focal - FOCAL) > 1e-6).any(1)
    notes.count(
        "focal: {n} people have focal lengths other than 5000 px, which pickles do not hold: SMPLify-X must be "
        "told them",
        int(other.sum()),
    )
    if layout.has_hands:
        notes.count(
            "hands: those of {n} people are written as SMPLify-X's mean hand, for its space of hands is not in the "
            "file",
            len(people),
        )
    for row in range(len(people)):
        name = Path(people.image_path[row]).stem
        if places.setdefault(name, people.image_path[row]) != people.image_path[row]:
            raise PgtfastError(
                f"two images of one name, {places[name]} and {people.image_path[row]}: SMPLify-X's folders cannot "
                f"tell them apart"
            )
        target = folder / "results" / name / f"{counts[name]:03d}.pkl"
        counts[name] += 1
        target.parent.mkdir(parents=True, exist_ok=True)
        result: dict[str, np.ndarray] = {
            "camera_rotation": np.eye(3)[None],
            "camera_translation": people.body["transl"][row : row + 1],
            **{key: people.body[key][row : row + 1] for key in BODY},
        }
        for part in layout.parameters:
            if part in _FACE:
                result[part] = filled(people.rows(slice(row, row + 1)), part)
            elif part in ("left_hand_pose", "right_hand_pose"):
                result[part] = np.zeros((1, _HAND_COMPONENTS))
        with open(target, "wb") as file:
            pickle.dump(result, file, protocol=2)


def _sniff(path: Path) -> bool:
    return path.is_dir() and any(
        next(path.glob(pattern), None) is not None for pattern in ("results/*/*.pkl", "*/*.pkl")
    )


SMPLIFY_X = Format(
    name="smplify-x",
    about="folder with results/<image>/<person>.pkl; pickles are read without running anything",
    sniff=_sniff,
    models=_MODELS,
    holds=frozenset((*BODY, "transl", "image_path", *_FACE)),
    needs=("body", "image_path", "image_size", "transl", "focal", "center"),
    moves_camera=True,
    center_of_image=True,
    read=_read,
    write=_write,
)
