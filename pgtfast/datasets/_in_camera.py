"""Annotations in COCO's layout whose joints are in the camera already (MuCo-3DHP, MuPoTS-3D)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..files.json import array, brief, by_id, entries, integer, load_object, unique_ids
from ..people.reason import Reason, Skip
from ..people.table import People, empty_people
from ._coco_layout import read_frame
from .world import LARGEST, all_unusable, behind, project

_APART = 0.1
"""Of a person's size in the image: the median distance between annotated and projected joints above which the camera
does not fit."""


def read_in_camera(
    path: Path,
    *,
    dataset: str,
    landmark_set: str,
    what: str,
    intrinsics: Callable[[Mapping], tuple[np.ndarray, np.ndarray] | str],
    refuse: Callable[[Mapping], Skip | None] = lambda entry: None,
) -> People:
    """One row for each annotation with keypoints_cam (K, 3) in mm and keypoints_img (K, 2) in pixels.

    Args:
        path: the JSON.
        dataset: first part of each person's key.
        landmark_set: of the joints.
        what: the kind of file, for messages.
        intrinsics: focal lengths and principal point of an image's entry, or what is wrong.
        refuse: why an annotation is not to be used, or None.
    """
    content = load_object(path, what, ("images", "annotations"))
    images = by_id(path, content, "images", what)
    held = entries(path, content, "annotations", what)
    people = empty_people(dataset, unique_ids(path, "annotations", held), landmark_set=landmark_set)
    joints = len(skeletons.get(landmark_set))
    points, pixels = np.full((len(held), joints, 3), np.nan), np.full((len(held), joints, 2), np.nan)
    focal, center = np.full((len(held), 2), np.nan), np.full((len(held), 2), np.nan)
    cameras: dict[Any, tuple[np.ndarray, np.ndarray]] = {}
    seen: dict[int, int] = {}
    for row, entry in enumerate(held):
        image, people.reason[row] = read_frame(people, row, entry, images, seen)
        if people.reason[row] is not None:
            continue
        image_id = integer(entry["image_id"])
        if image_id not in cameras:
            found = intrinsics(image)
            if isinstance(found, str):
                raise PgtfastError(f"{path}: image {image_id}: {found}")
            cameras[image_id] = found
        focal[row], center[row] = cameras[image_id]
        for key, out, scale in (("keypoints_cam", points, 1000), ("keypoints_img", pixels, 1)):
            if key == "keypoints_img" and key not in entry:
                continue
            read = array(entry.get(key), out.shape[1:])
            if read is None or np.abs(read).max() > LARGEST:
                shape = " x ".join(map(str, out.shape[1:]))
                people.reason[row] = Skip(
                    Reason.BAD_KEYPOINTS, f"{key}: wanted {shape} finite numbers, got {brief(entry.get(key, 'none'))}"
                )
                break
            out[row] = read / scale
        people.reason[row] = people.reason[row] or refuse(entry)
    for row in np.flatnonzero(behind(points)).tolist():
        people.reason[row] = people.reason[row] or Skip(Reason.BEHIND_CAMERA, "a joint lies behind the camera")
    good = np.array([reason is None for reason in people.reason], bool)
    points[~good] = np.nan
    projected = project(points, focal, center)
    people.keypoints[good, :, :2] = np.where(np.isnan(pixels), projected, pixels)[good]
    people.keypoints[good, :, 2] = 1
    all_unusable(people, path)
    _check_projection(path, projected[good], people.keypoints[good, :, :2])
    return replace(people, joints_3d=points.astype(np.float32), focal=focal, center=center)


def pair(value: Any, key: str) -> np.ndarray | str:
    """Two numbers of an image's entry, or what is wrong."""
    read = array(value, (2,))
    if read is None or np.abs(read).max() > LARGEST:
        return f"key '{key}': wanted 2 numbers in pixels, got {brief(value if value is not None else 'none')}"
    return read


def _check_projection(path: Path, projected: np.ndarray, pixels: np.ndarray) -> None:
    """Raise where the cameras are not those of the annotated pixels."""
    if not len(pixels):
        return
    size = (pixels.max(1) - pixels.min(1)).max(1)
    away = np.median(np.linalg.norm(projected - pixels, axis=-1), 1)
    if np.median(away / np.maximum(size, 1)) > _APART:
        raise PgtfastError(
            f"{path}: the joints project {np.median(away):.0f} px beside their annotated places (median): the "
            f"cameras are of images of "
            "another size; take the images and the file from one copy of the dataset"
        )
