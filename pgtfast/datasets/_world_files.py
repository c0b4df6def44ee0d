"""Annotations whose joints and bodies are in the world and whose cameras are in a tree beside them (Human3.6M,
MPI-INF-3DHP)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..body import BodyModel
from ..files.json import array, brief, by_id, entries, integer, load_object, unique_ids
from ..people.reason import Reason, Skip
from ..people.table import People, empty_people
from ._coco_layout import read_frame
from .world import (
    LARGEST,
    BodyParams,
    WorldCamera,
    all_unusable,
    behind,
    check_scale,
    follow,
    place_bodies,
    project,
    read_camera,
    read_params,
    shown,
)

_FOCAL, _CENTER = ("f", "focal"), ("c", "princpt")


@dataclass(frozen=True)
class WorldFiles:
    """Files that belong together. The fields of an image are the keys into the trees."""

    data: Path
    """COCO's layout: images and annotations."""
    cameras: Path
    """Tree of cameras by `camera_keys`."""
    joints: Path
    """Tree of (K, 3) joints in the world, mm, by `frame_keys`."""
    bodies: Path | None
    """Tree of SMPL parameters in the world, metres, by `frame_keys`."""
    camera_keys: tuple[str, ...]
    frame_keys: tuple[str, ...]


@dataclass(frozen=True)
class WorldOptions:
    """What to read of them."""

    dataset: str
    landmark_set: str
    what: str
    every: int
    cameras: tuple[int, ...] | None
    body: BodyModel | None
    path_of: Callable[[Mapping], str]
    """Path of an image from its entry, whose file_name is known to be text."""
    camera_of: Callable[[WorldCamera, np.ndarray, Path], WorldCamera] = lambda camera, size, path: camera
    """Fits a camera to the image size (width, height), or raises."""
    cure: str = "Take the data and camera files from one copy of the dataset"


def read_world(files: WorldFiles, options: WorldOptions) -> People:
    """One row for each annotation of the frames and cameras asked for, in file order."""
    content = load_object(files.data, options.what, ("images", "annotations"))
    images = by_id(files.data, content, "images", options.what)
    held = entries(files.data, content, "annotations", options.what)
    unique_ids(files.data, "annotations", held)
    held = [entry for entry in held if _wanted(images.get(_image_id(entry)), options)]
    people = empty_people(
        options.dataset, [integer(entry["id"]) or 0 for entry in held], landmark_set=options.landmark_set
    )
    count, joints = len(people), len(skeletons.get(options.landmark_set))
    trees = _Trees(files, options, joints)
    points = np.full((count, joints, 3), np.nan)
    which = np.full(count, -1)
    bodies: list[BodyParams | None] = [None] * count
    seen: dict[int, int] = {}
    for row, entry in enumerate(held):
        image, people.reason[row] = read_frame(people, row, entry, images, seen)
        if people.reason[row] is None:
            which[row] = trees.camera(image, people.image_size[row])
            found = trees.frame(image)
            people.image_path[row] = options.path_of(image)
            if isinstance(found, str):
                people.reason[row] = found
            else:
                points[row] = found
                bodies[row] = trees.body(image)
    people = _in_camera(people, points, which, trees.found)
    all_unusable(people, files.data)
    if files.bodies is not None and len(people):
        people = _with_bodies(people, bodies, which, trees.found, options.body, files.bodies)
    check_scale(people, files.data, options.cure)
    return people


class _Trees:
    """The trees of cameras, joints and bodies; each frame is converted once, however many cameras see it."""

    def __init__(self, files: WorldFiles, options: WorldOptions, joints: int) -> None:
        self.files, self.options, self.count = files, options, joints
        self.cameras = load_object(files.cameras, f"{options.what}: cameras")
        self.joints = load_object(files.joints, f"{options.what}: joints in the world")
        self.bodies = None if files.bodies is None else load_object(files.bodies, f"{options.what}: SMPL parameters")
        self.found: list[WorldCamera] = []
        self._cameras: dict[tuple, int] = {}
        self._frames: dict[tuple, np.ndarray | str] = {}
        self._bodies: dict[tuple, BodyParams | None] = {}

    def camera(self, image: Mapping, size: np.ndarray) -> int:
        keys = self._keys(image, self.files.camera_keys)
        known = (*keys, *size.tolist())
        if known not in self._cameras:
            read = read_camera(self.files.cameras, self.cameras, keys, _FOCAL, _CENTER)
            self._cameras[known] = len(self.found)
            self.found.append(self.options.camera_of(read, size, self.files.cameras))
        return self._cameras[known]

    def frame(self, image: Mapping) -> np.ndarray | str:
        keys = self._keys(image, self.files.frame_keys)
        if keys not in self._frames:
            raw = follow(self.joints, keys)
            read = array(raw, (self.count, 3))
            if raw is None:
                self._frames[keys] = Skip(Reason.NO_3D, f"{self.files.joints.name}: {shown(keys)} is missing")
            elif read is None or np.abs(read).max() > LARGEST:
                self._frames[keys] = (
                    f"bad-3d: {self.files.joints.name}: {shown(keys)}: wanted {self.count} finite points, got "
                    f"{brief(raw)}"
                )
            else:
                self._frames[keys] = read / 1000
        return self._frames[keys]

    def body(self, image: Mapping) -> BodyParams | None:
        """SMPL parameters of the frame, None where the release has none of it."""
        keys = self._keys(image, self.files.frame_keys)
        if keys not in self._bodies:
            raw = follow(self.bodies, keys)
            path = self.files.bodies or self.files.data
            self._bodies[keys] = None if raw is None else read_params(path, shown(keys), raw)
        return self._bodies[keys]

    def _keys(self, image: Mapping, names: Sequence[str]) -> tuple[int, ...]:
        keys = tuple(integer(image.get(name)) for name in names)
        for name, key in zip(names, keys, strict=True):
            if key is None:
                got = brief(image[name]) if name in image else "none"
                raise PgtfastError(
                    f"{self.files.data}: image {brief(image.get('id'))}: key '{name}': wanted a whole number, got "
                    f"{got}; "
                    "it says where the image's camera and joints are"
                )
        return keys  # type: ignore[return-value]


def _in_camera(people: People, points: np.ndarray, which: np.ndarray, found: list[WorldCamera]) -> People:
    """The people with joints in camera space, their projection, and intrinsics."""
    focal, center = np.full((len(people), 2), np.nan), np.full((len(people), 2), np.nan)
    seen = which >= 0
    if found:
        at = which[seen]
        rotation = np.stack([camera.rotation for camera in found])
        translation = np.stack([camera.translation for camera in found])
        points[seen] = points[seen] @ rotation[at].swapaxes(1, 2) + translation[at][:, None]
        focal[seen] = np.stack([camera.focal for camera in found])[at]
        center[seen] = np.stack([camera.center for camera in found])[at]
    for row in np.flatnonzero(behind(points)):
        people.reason[row] = people.reason[row] or Skip(Reason.BEHIND_CAMERA, "a joint lies behind the camera")
    bad = np.array([reason is not None for reason in people.reason], bool)
    points[bad] = np.nan
    people.keypoints[~bad, :, :2] = project(points, focal, center)[~bad]
    people.keypoints[~bad, :, 2] = 1
    return replace(people, joints_3d=points.astype(np.float32), focal=focal, center=center)


def _with_bodies(
    people: People,
    bodies: list[BodyParams | None],
    which: np.ndarray,
    found: list[WorldCamera],
    body: BodyModel | None,
    path: Path,
) -> People:
    count = len(people)
    rows = np.array([row for row in range(count) if bodies[row] is not None and people.reason[row] is None], int)
    if not len(rows):
        raise PgtfastError(f"{path}: holds no frame of the annotated images; wanted the file of the same subjects")
    pose, betas, transl = (np.full((count, size), np.nan) for size in (72, 10, 3))
    held = [bodies[row] for row in rows]
    betas[rows] = [one.betas for one in held if one]
    pose[rows], transl[rows] = place_bodies(
        np.stack([one.pose for one in held if one]),
        betas[rows],
        np.stack([one.transl for one in held if one]),
        np.stack([found[at].rotation for at in which[rows]]),
        np.stack([found[at].translation for at in which[rows]]),
        body,
        str(path),
    )
    gender = np.full(count, None, dtype=object)
    gender[rows] = "neutral"
    pose, betas, transl = (values.astype(np.float32) for values in (pose, betas, transl))
    people = people.with_pose("smpl" if body is None else body.kind, pose, betas=betas, transl=transl)
    return replace(people, gender=gender)


def _image_id(entry: Mapping) -> Any:
    return integer(entry.get("image_id"))


def _wanted(image: Mapping | None, options: WorldOptions) -> bool:
    """Whether the frame and camera of an image are asked for; one that does not say is kept, to be complained about."""
    if image is None:
        return True
    frame, camera = integer(image.get("frame_idx")), integer(image.get("cam_idx"))
    return (frame is None or frame % options.every == 0) and (
        options.cameras is None or camera is None or camera in options.cameras
    )
