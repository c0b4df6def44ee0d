"""Folders of SMPLify-X results: results/<image>/<person>.pkl."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import reference
from .._errors import PgtfastError
from ..files.unpickle import load_pickle
from ..priors import VPoser
from .bodies import PARTS, Bodies, empty_bodies, joined
from .notes import Notes
from .perspective_npz import image_camera

FOCAL = 5000
"""Pixels: SMPLify-X's focal length where its configuration names none; the pickles do not hold it."""

_FACE = ("jaw_pose", "leye_pose", "reye_pose", "expression")

HOLDS = frozenset(("image_path", "pose", "betas", "transl", *_FACE))
"""Columns of `Bodies` that the pickles keep; the image as the name of its folder, without the ending."""

_BODY = {"smpl": 69, "free": 69, "smplx": 63, "smplh": 63}
_READ = ("camera_rotation", "camera_translation", "betas", "global_orient", "body_pose")


def read_smplify_x(
    path: str | Path,
    *,
    dataset: str,
    body_model: str | None,
    focal: float,
    prior: VPoser | None,
    prior_version: str | None,
    notes: Notes,
) -> Bodies:
    """Read all pickles of a folder, one row each; hands, face and expression are left aside, their space is not in the file.

    Args:
        path: the results folder, or the one that holds it.
        dataset: first part of each person's key.
        body_model: what the parameters are of; None follows the keys (jaw_pose: SMPL-X, hands: SMPL+H, neither: SMPL).
        focal: pixels. The principal point is the middle of the image, whose size the pickles do not hold: `center` stays unknown.
        prior: decodes poses that are a latent (32 numbers).
        prior_version: its version, as the user names it: the pickles do not say of which VPoser a latent is.
        notes: gets what is left aside.

    Raises:
        PgtfastError: a file is no such pickle (nothing in it is run), or holds a latent whose version is not named.
    """
    path = Path(path)
    root = path / "results" if (path / "results").is_dir() else path
    files = sorted(root.glob("*/*.pkl"))
    if not files:
        raise PgtfastError(f"{path}: wanted results/<image>/<person>.pkl, found none")
    rows, ids = [], iter(range(len(files)))
    people: dict[str, int] = {}
    for file in files:
        held = load_pickle(file)
        if isinstance(held, dict) and isinstance(held.get("result"), dict):
            held = held["result"]
        if not isinstance(held, dict):
            raise PgtfastError(f"{file}: wanted a dictionary of SMPLify-X's, got {type(held).__name__}")
        one = _person(file, held, dataset, body_model, prior, prior_version, notes)
        name = file.parent.name
        people[name] = people.get(name, -1) + 1
        one.annotation_id[0], one.image_path[0], one.person_id[0] = next(ids), name, people[name]
        rows.append(replace(one, focal=np.full((1, 2), float(focal)), keyed=False))
    notes.count(f"{{n}} results have no focal length; it is taken as {focal:g} px (--focal)", len(rows))
    return joined(rows)


def _person(
    file: Path,
    held: Mapping[str, Any],
    dataset: str,
    body_model: str | None,
    prior: VPoser | None,
    version: str | None,
    notes: Notes,
) -> Bodies:
    keys = "smplx" if "jaw_pose" in held else "smplh" if "left_hand_pose" in held else "smpl"
    model = body_model or keys
    if (model == "smplx") != (keys == "smplx") or (model == "smplh") != (keys == "smplh"):
        raise PgtfastError(f"{file}: holds {keys} parameters, not {model!r} ones; they are not exchangeable")
    for key in held:
        if key not in _READ:
            notes.count(f"left aside: '{key}' of {{n}} results")
    root = _row(file, held, "global_orient", (3,))
    body = _row(file, held, "body_pose", (32, 63, 69))
    betas = _row(file, held, "betas", tuple(range(1, 401)))
    transl = _row(file, held, "camera_translation", (3,))
    turned = np.asarray(held.get("camera_rotation", np.eye(3)), np.float64).reshape(-1)
    if turned.size != 9 or np.abs(turned.reshape(3, 3) - np.eye(3)).max() > 1e-6:
        raise PgtfastError(
            f"{file}: camera_rotation: wanted the identity, which SMPLify-X writes, got {turned.round(3).tolist()}"
        )
    latent = None
    if len(body) == 32:
        if prior is None or version is None:
            raise PgtfastError(
                f"{file}: body_pose is the 32-number latent of a VPoser, and the file does not say of which version; name it with "
                "--prior-version vposer-v1 (or another) and its file with --prior PATH"
            )
        latent = body
        with torch.no_grad():
            turns = prior.decode(torch.from_numpy(latent[None]).float())
        body = reference.matrix_to_rotvec(turns.double()).reshape(-1).numpy()
        notes.count(f"poses: {{n}} latents are decoded with prior {prior.version}")
        if _BODY[model] == 69:
            body = np.concatenate([body, np.zeros(6)])
    if len(body) != _BODY[model]:
        raise PgtfastError(
            f"{file}: body_pose: wanted {_BODY[model]} numbers of {model} or a latent of 32, got {len(body)}"
        )
    one = empty_bodies(dataset, model, [0], betas=len(betas))
    one.pose[0] = np.concatenate([root, body])
    one.betas[0], one.transl[0] = betas, transl
    if latent is None:
        return one
    return replace(one, latent=latent[None], prior=None if prior is None else prior.version)


def _row(file: Path, held: Mapping[str, Any], key: str, sizes: tuple[int, ...]) -> np.ndarray:
    try:
        value = np.asarray(held[key], np.float64).reshape(-1)
    except (KeyError, TypeError, ValueError):
        value = np.zeros(0)
    if value.size not in sizes or not (np.abs(value) < 1e9).all():
        wanted = " or ".join(map(str, sizes)) if len(sizes) < 5 else "some"
        raise PgtfastError(f"{file}: {key}: wanted {wanted} finite numbers, got {str(held.get(key, 'none'))[:60]}")
    return value


def write_smplify_x(folder: Path, bodies: Bodies, notes: Notes, measured) -> int:
    """Write results/<image>/<person>.pkl of people with image name, size and camera, moved before SMPLify-X's camera of the image."""
    seen = image_camera(bodies, np.full(len(bodies), float(FOCAL)), notes, measured)
    if (np.abs(seen.focal - FOCAL) > 1e-6).any():
        focal = np.unique(seen.focal)
        notes.count(
            f"focal: {{n}} people have focal lengths from {focal[0]:g} to {focal[-1]:g} px, which pickles do not hold: SMPLify-X must be told them",
            int((np.abs(seen.focal - FOCAL) > 1e-6).any(1).sum()),
        )
    if seen.body_model in ("smplx", "smplh"):
        notes.count(
            "hands: those of {n} people are written as SMPLify-X's mean hand, for its space of hands is not in the file",
            len(seen),
        )
    places: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for row in range(len(seen)):
        name = Path(seen.image_path[row]).stem
        if places.setdefault(name, seen.image_path[row]) != seen.image_path[row]:
            raise PgtfastError(
                f"two images of one name, {places[name]} and {seen.image_path[row]}: SMPLify-X's folders cannot tell them apart"
            )
        numbers[name] = numbers.get(name, -1) + 1
        target = folder / "results" / name / f"{numbers[name]:03d}.pkl"
        target.parent.mkdir(parents=True, exist_ok=True)
        result: dict[str, np.ndarray] = {
            "camera_rotation": np.eye(3)[None],
            "camera_translation": seen.transl[row : row + 1],
            "betas": seen.betas[row : row + 1],
            "global_orient": seen.pose[row : row + 1, :3],
            "body_pose": seen.pose[row : row + 1, 3:],
        }
        if seen.body_model in ("smplx", "smplh"):
            result |= {"left_hand_pose": np.zeros((1, 6)), "right_hand_pose": np.zeros((1, 6))}
        if seen.body_model == "smplx":
            for part in _FACE:
                result[part] = seen.parts[part][row : row + 1] if part in seen.parts else np.zeros((1, PARTS[part]))
        with open(target, "wb") as file:
            pickle.dump(result, file, protocol=2)
    return len(seen)
