"""What the readers of 3D datasets share: trees of annotations, calibrated cameras, and bodies in the world or the
camera."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from .. import cameras
from .._errors import PgtfastError
from ..body import BodyModel, LandmarkPlan
from ..files.json import LARGEST, array, brief, numbers
from ..people.table import People, concatenated

_CHUNK = 8192
_GENDERS = {"m": "male", "f": "female", "n": "neutral"}


class WorldCamera(NamedTuple):
    """A calibrated camera: ``point_in_camera = rotation @ point_in_world + translation``, metres and pixels."""

    rotation: np.ndarray
    """(3, 3)."""
    translation: np.ndarray
    """(3,) metres."""
    focal: np.ndarray
    """(2,) pixels."""
    center: np.ndarray
    """(2,) pixels."""


class BodyParams(NamedTuple):
    """SMPL parameters of one entry."""

    pose: np.ndarray
    """(72,) radians, root first."""
    betas: np.ndarray
    """(10,)."""
    transl: np.ndarray
    """(3,) metres."""


def follow(content: Any, keys: Sequence[Any]) -> Any:
    """The value under nested keys (each looked up as text), None where one is missing."""
    for key in keys:
        content = content.get(str(key)) if isinstance(content, dict) else None
    return content


def shown(keys: Sequence[Any]) -> str:
    """Nested keys for a message: ['2']['1']['35']."""
    return "".join(f"['{key}']" for key in keys)


def read_camera(
    path: Path, content: Any, keys: Sequence[Any], focal: Sequence[str], center: Sequence[str]
) -> WorldCamera:
    """A camera with R, t in mm, and a focal length and principal point under one of the names given.

    Raises:
        PgtfastError: it is not in the file, or a value is missing or makes no camera.
    """
    entry = follow(content, keys)
    where = f"{path}: camera {shown(keys)}"
    if not isinstance(entry, dict):
        raise PgtfastError(
            f"{where}: missing; the images of the data file need it: take both files from one copy of the dataset"
        )
    values = {}
    for name, names, count in (("R", ("R",), 9), ("t", ("t",), 3), ("focal", focal, 2), ("center", center, 2)):
        found = next((key for key in names if key in entry), names[0])
        value = flat(entry.get(found), count)
        if value is None:
            raise PgtfastError(
                f"{where}: key '{found}': wanted {count} finite numbers, got {brief(entry.get(found, 'none'))}"
            )
        values[name] = value
    rotation = values["R"].reshape(3, 3)
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise PgtfastError(f"{where}: key 'R': wanted a rotation matrix, got {brief(entry['R'])}")
    if values["focal"].min() <= 0:
        raise PgtfastError(
            f"{where}: wanted focal lengths above 0 in pixels, got {values['focal'][0]:g}, {values['focal'][1]:g}"
        )
    return WorldCamera(rotation, values["t"] / 1000, values["focal"], values["center"])


def flat(value: Any, count: int) -> np.ndarray | None:
    """`count` finite numbers in nested lists of any form, as a flat array; else None."""
    for form in (numbers, lambda v, _: array(v, (-1, -1)), lambda v, _: array(v, (-1, -1, -1))):
        read = form(value, count)
        if read is not None and np.size(read) == count and np.abs(read).max() < LARGEST:
            return np.asarray(read, np.float64).reshape(-1)
    return None


def read_params(path: Path, where: str, entry: Any) -> BodyParams:
    """pose, shape and trans of an entry.

    Raises:
        PgtfastError: one is missing or not numbers of the right count.
    """
    if not isinstance(entry, dict):
        raise PgtfastError(f"{path}: {where}: wanted an object with pose, shape and trans, got {brief(entry)}")
    if "root_pose" in entry and "pose" not in entry:
        raise PgtfastError(f"{path}: {where}: these are SMPL-X parameters; take the SMPL file of the same release")
    values = []
    for key, count in (("pose", 72), ("shape", 10), ("trans", 3)):
        value = flat(entry.get(key), count)
        if value is None:
            raise PgtfastError(
                f"{path}: {where}: key '{key}': wanted {count} finite numbers, got {brief(entry.get(key, 'none'))}"
            )
        values.append(value)
    return BodyParams(*values)


def gender_of(value: Any) -> str | None:
    """ "male", "female" or "neutral" of what files write (m, F, b'male', ...); None where nothing is written."""
    if isinstance(value, bytes):
        value = value.decode("latin1")
    if value is None or not isinstance(value, str) or not value.strip():
        return None
    return _GENDERS.get(value.strip().lower()[0])


def project(points: np.ndarray, focal: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Pixels (N, K, 2) of points (N, K, 3) in camera space, by cameras (N, 2)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return points[..., :2] / points[..., 2:] * focal[:, None] + center[:, None]


def behind(points: np.ndarray) -> np.ndarray:
    """(N,) whether a known joint of (N, K, 3) lies behind the camera, where a projection means nothing."""
    return np.asarray((points[..., 2] <= 0).any(1))


def place_bodies(
    pose: np.ndarray,
    betas: np.ndarray,
    transl: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
    body: BodyModel | None,
    where: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Body parameters in camera space of bodies in the world.

    Args:
        pose: (N, 72) radians, root first.
        betas: (N, S).
        transl: (N, 3) metres.
        rotation: (N, 3, 3) world to camera.
        translation: (N, 3) metres.
        body: the body of the parameters, whose rest pelvis the translation depends on; None leaves the translation
            unknown.
        where: the file, for messages.

    Returns:
        pose (N, 72) and transl (N, 3), NaN without a body.
    """
    rest = np.zeros_like(transl) if body is None else rest_pelvis(body, betas, where)
    placed = cameras.body_to_camera(
        *(torch.from_numpy(np.ascontiguousarray(a)) for a in (pose[:, :3], transl, rest, rotation, translation))
    )
    turned = np.concatenate([placed.global_orient.numpy(), pose[:, 3:]], 1)
    return turned, np.full_like(transl, np.nan) if body is None else placed.transl.numpy()


def rest_pelvis(body: BodyModel, betas: np.ndarray, where: str) -> np.ndarray:
    """(N, 3) metres: root joint of the unposed body of each shape."""
    shapes, which = np.unique(fitting_betas(body, betas, where), axis=0, return_inverse=True)
    return _plan(body, None)(betas=torch.from_numpy(shapes))[:, 0].numpy()[which.reshape(-1)]


def body_joints(
    body: BodyModel, landmark_set: str, pose: np.ndarray, betas: np.ndarray, transl: np.ndarray, where: str
) -> np.ndarray:
    """(N, K, 3) landmarks of posed bodies, metres."""
    if body.num_joints * 3 != pose.shape[1]:
        raise PgtfastError(
            f"{where}: poses are of {pose.shape[1] // 3} joints, but {body.kind} has {body.num_joints}; pass the "
            f"SMPL body"
        )
    plan = _plan(body, landmark_set)
    shapes = fitting_betas(body, betas, where)
    out = np.zeros((len(pose), len(plan), 3))
    for start in range(0, len(pose), _CHUNK):
        rows = slice(start, start + _CHUNK)
        p, b, t = (torch.from_numpy(np.asarray(a[rows], np.float64)) for a in (pose, shapes, transl))
        out[rows] = plan(global_orient=p[:, :3], body_pose=p[:, 3:], betas=b, transl=t).numpy()
    return out


@lru_cache(maxsize=4)
def _plan(body: BodyModel, landmark_set: str | None) -> LandmarkPlan:
    """The joints or a landmark set of a body in double precision, made once for the many files of a dataset."""
    precise = body.to("cpu", torch.float64)
    return precise.joints_plan if landmark_set is None else precise.landmarks(landmark_set)


def fitting_betas(body: BodyModel, betas: np.ndarray, where: str) -> np.ndarray:
    """Betas in the number that the body takes; those it lacks must be zero."""
    count = body.num_betas
    if betas[:, count:].any():
        raise PgtfastError(
            f"{where}: holds {betas.shape[1]} shape coefficients, the body {count}; load it with load_body(..., "
            f"num_betas={betas.shape[1]})"
        )
    return np.pad(betas[:, :count], ((0, 0), (0, max(0, count - betas.shape[1]))))


def check_scale(people: People, path: Path, cure: str) -> None:
    """Raise where the projected joints do not fit the people's boxes: images and cameras are of different sizes.

    Boxes that do not fit a few people are let be: it takes half of the people beside their boxes, or a wrong median
    size.
    """
    usable = np.array([r is None for r in people.reason], bool) & np.isfinite(people.bbox).all(1)
    usable &= (people.keypoints[..., 2] > 0).any(1)
    if not usable.any():
        return
    box, points = people.bbox[usable], people.keypoints[usable]
    known = points[..., 2] > 0
    highest = np.where(known[..., None], points[..., :2], -np.inf).max(1)
    lowest = np.where(known[..., None], points[..., :2], np.inf).min(1)
    ratio = np.median(((highest - lowest) / box[:, 2:]).max(1))
    low, high = box[:, None, :2] - 0.5 * box[:, None, 2:], box[:, None, :2] + 1.5 * box[:, None, 2:]
    inside = ((points[..., :2] > low) & (points[..., :2] < high)).all(-1) & known
    if (inside.sum(1) * 2 >= known.sum(1)).mean() >= 0.5 and 0.5 <= ratio <= 1.9:
        return
    raise PgtfastError(
        f"{path}: the projected joints do not fit the boxes of most people (they span {ratio:.3g} times the boxes): "
        f"the cameras are not those of images of this size. {cure}"
    )


def all_unusable(people: People, path: Path) -> None:
    """Raise where no person can be used, with the first reason: the files do not belong together."""
    if len(people) and all(reason is not None for reason in people.reason):
        raise PgtfastError(f"{path}: none of its {len(people)} people can be used; the first: {people.reason[0]}")


def join(parts: Sequence[People], paths: Sequence[Path]) -> People:
    """One table of people of several files; the same annotation id in two of them is an error that names both."""
    ids = np.concatenate([part.annotation_id for part in parts])
    origin = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = np.argsort(ids, kind="stable")
    twice = np.flatnonzero(ids[order][1:] == ids[order][:-1])
    if len(twice):
        first, second = order[twice[0]], order[twice[0] + 1]
        raise PgtfastError(
            f"{paths[origin[second]]}: annotation id {ids[second]} is also in {paths[origin[first]]}; ids must be "
            f"unique, renumber one file"
        )
    return concatenated(parts)


def recover_camera(points: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Focal length (2,) and principal point (2,) of the camera that sees points (K, 3), in its own space, at pixels (K,
    2).

    Least squares on x / z and y / z; the few joints that do not fit (datasets hold 2D joints that are not the
    projection of their 3D ones) are
    left out. None where half of the joints stay half a pixel and more away, or the joints are too close together to
    tell.
    """
    rays = points[:, :2] / points[:, 2:]
    kept = np.ones(len(points), bool)
    focal, center = np.zeros(2), np.zeros(2)
    away = np.zeros(len(points))
    for _ in range(4):
        mean_ray, mean_pixel = rays[kept].mean(0), pixels[kept].mean(0)
        spread = ((rays[kept] - mean_ray) ** 2).sum(0)
        if spread.min() < 1e-6:
            return None
        focal = ((rays[kept] - mean_ray) * (pixels[kept] - mean_pixel)).sum(0) / spread
        center = mean_pixel - focal * mean_ray
        away = np.linalg.norm(rays * focal + center - pixels, axis=1)
        kept = away <= max(3 * np.median(away), 0.5)
    good = np.median(away) < 0.5 and focal.min() > 0 and 0.8 < focal[0] / focal[1] < 1.25
    return (focal, center) if good else None
