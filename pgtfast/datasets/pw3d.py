"""3DPW: the Pose2Pose authors' JSON and the official sequence files -> :class:`People`."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import cameras, skeletons
from .._errors import PgtfastError
from ..body import BodyModel
from ..files.json import brief, by_id, entries, integer, load_object, unique_ids
from ..files.unpickle import load_pickle
from ..people.reason import Reason, Skip
from ..people.table import People, empty_people
from ._coco_layout import read_frame
from .dataset import Dataset, Found, Search
from .world import (
    LARGEST,
    BodyParams,
    all_unusable,
    behind,
    body_joints,
    check_scale,
    flat,
    gender_of,
    join,
    project,
    read_params,
    rest_pelvis,
)

Bodies = BodyModel | Mapping[str, BodyModel] | None

_WHAT = "3DPW in the Pose2Pose authors' layout"
_SET_2D = "openpose25"
_OPENPOSE18 = tuple(skeletons.get(_SET_2D).index)[:8] + tuple(skeletons.get(_SET_2D).index)[9:19]
"""OpenPose's older order: that of 25 without the pelvis and the feet."""
_CURE = "Annotations and images must be of one copy of the dataset"


def read_pw3d(path: str | Path, *, body: Bodies = None, landmark_set: str = "smpl24", dataset: str = "3dpw") -> People:
    """Read 3DPW_{train,validation,test}.json, where the bodies are in the camera.

    Args:
        path: the JSON; its images hold sequence, file_name and cam_param, its annotations smpl_param (pose, shape,
            trans, gender).
        body: the body that the parameters are of, or one for each gender ("male", "female", "neutral"), for shapes of
            one gender mean another person
            on the body of another. With it 3D joints are those of `landmark_set` on the body, and keypoints their
            projection; people whose
            gender has no body keep no joints and a reason. Without it keypoints are the file's `openpose_result`, if
            any, as "openpose25", and there are no 3D joints.
        landmark_set: a set that the body knows.
        dataset: first part of each person's key.

    Returns:
        One row for each annotation, in file order; image paths are "SEQUENCE/FILE", relative to the folder imageFiles.

    Raises:
        PgtfastError: the file cannot be read as such JSON, or an annotation lacks its parameters or an image its
        camera.
    """
    path = Path(path)
    content = load_object(path, _WHAT, ("images", "annotations"))
    images = by_id(path, content, "images", _WHAT)
    held = entries(path, content, "annotations", _WHAT)
    people = empty_people(
        dataset, unique_ids(path, "annotations", held), landmark_set=_SET_2D if body is None else landmark_set
    )
    rows = _Rows(len(held))
    points = np.zeros((len(held), len(_OPENPOSE18), 3))
    intrinsics: dict[int | None, tuple[np.ndarray, np.ndarray]] = {}
    seen: dict[int, int] = {}
    for row, entry in enumerate(held):
        image, people.reason[row] = read_frame(people, row, entry, images, seen)
        if people.reason[row] is not None:
            continue
        image_id = integer(entry["image_id"])
        people.image_path[row] = f"{_sequence(path, image)}/{image['file_name']}"
        if image_id not in intrinsics:
            intrinsics[image_id] = _intrinsics(path, image)
        where = f"annotation {people.annotation_id[row]}: smpl_param"
        raw = entry.get("smpl_param")
        gender = _gender(path, where, raw)
        rows.put(row, read_params(path, where, raw), gender, *intrinsics[image_id])
        if entry.get("openpose_result") is not None:
            found = flat(entry["openpose_result"], 3 * len(_OPENPOSE18))
            if found is None:
                people.reason[row] = Skip(
                    Reason.BAD_KEYPOINTS,
                    f"openpose_result: wanted 18 x, y, confidence, got {brief(entry['openpose_result'])}",
                )
            else:
                points[row] = found.reshape(-1, 3)
    people = rows.finish(people, body, points, landmark_set, str(path))
    all_unusable(people, path)
    check_scale(people, path, _CURE)
    return people


def read_pw3d_sequences(
    folder: str | Path, *, body: Bodies = None, landmark_set: str = "smpl24", dataset: str = "3dpw"
) -> People:
    """Read the official sequenceFiles/{train,validation,test}/*.pkl, where the bodies are in the world and the camera
    moves.

    Nothing in the pickles is run. Frames without a valid camera (campose_valid) have a reason. Arguments as of
    :func:`read_pw3d`; without a body
    the translation in the camera, which depends on the rest pelvis, is NaN, and keypoints are the file's `poses2d`.

    Args:
        folder: the folder of one split, or one .pkl.
        body: see :func:`read_pw3d`.
        landmark_set: see :func:`read_pw3d`.
        dataset: first part of each person's key.

    Returns:
        One row for each person and frame. Annotation ids are made of the sequence's name, the person and the frame, the
        same whichever
        sequences are there. Image paths as of :func:`read_pw3d`.
    """
    folder = Path(folder)
    files = sorted(folder.glob("*.pkl")) if folder.is_dir() else [folder]
    if not files or not files[0].is_file():
        raise PgtfastError(f"{folder}: no .pkl in it; wanted 3DPW's sequenceFiles/train, validation or test")
    parts: list[People] = []
    origin: dict[int, Path] = {}
    for file in files:
        sequence = _Sequence(file)
        number = zlib.crc32(sequence.name.encode())
        if number in origin:
            raise PgtfastError(f"{file}: sequence {sequence.name!r} is also in {origin[number]}; keep one of them")
        origin[number] = file
        parts.append(sequence.people(number, body, landmark_set, dataset))
    return join(parts, files)


class _Rows:
    """Body parameters and cameras of N people in camera space, as they are found."""

    def __init__(self, count: int) -> None:
        self.pose, self.betas, self.transl = (np.full((count, size), np.nan) for size in (72, 10, 3))
        self.focal, self.center = np.full((count, 2), np.nan), np.full((count, 2), np.nan)
        self.gender = np.full(count, None, dtype=object)

    def put(
        self, row: int | np.ndarray, params: BodyParams, gender: str | None, focal: np.ndarray, center: np.ndarray
    ) -> None:
        self.pose[row], self.betas[row], self.transl[row] = params
        self.gender[row], self.focal[row], self.center[row] = gender, focal, center

    def finish(self, people: People, body: Bodies, points: np.ndarray, landmark_set: str, where: str) -> People:
        """The people with all that is known of them: joints of the body and their projection, or 2D points (N, 18, 3)
        without a body."""
        joints, kind = None, "smpl"
        if body is None:
            _put_openpose(people, points)
        else:
            joints = np.full((*people.keypoints.shape[:2], 3), np.nan)
            for genders, of_gender in _by_gender(body):
                kind = of_gender.kind
                usable = np.array([reason is None for reason in people.reason], bool)
                served = np.array([one in genders for one in self.gender], bool)
                rows = np.flatnonzero(usable & served & np.isfinite(self.transl[:, 0]))
                if len(rows):
                    joints[rows] = body_joints(
                        of_gender, landmark_set, self.pose[rows], self.betas[rows], self.transl[rows], where
                    )
            for row in np.flatnonzero(np.isnan(joints[:, 0, 0])):
                people.reason[row] = people.reason[row] or Skip(
                    Reason.NO_BODY, f"no body was given for gender {self.gender[row]!r}"
                )
            for row in np.flatnonzero(behind(joints)):
                people.reason[row] = people.reason[row] or Skip(Reason.BEHIND_CAMERA, "a joint lies behind the camera")
            good = np.array([reason is None for reason in people.reason], bool)
            people.keypoints[good, :, :2] = project(joints, self.focal, self.center)[good]
            people.keypoints[good, :, 2] = 1
            joints[~good] = np.nan
        pose, betas, transl = (values.astype(np.float32) for values in (self.pose, self.betas, self.transl))
        return replace(
            people.with_pose(kind, pose, betas=betas, transl=transl),
            joints_3d=None if joints is None else joints.astype(np.float32),
            focal=self.focal,
            center=self.center,
            gender=self.gender,
        )


class _Sequence:
    """One official file, checked."""

    def __init__(self, file: Path) -> None:
        self.file = file
        content = load_pickle(file)
        if not isinstance(content, dict):
            raise PgtfastError(f"{file}: wanted a dictionary of a 3DPW sequence, got {brief(content)}")
        self.content: dict = {_text(key): value for key, value in content.items()}
        self.name = _text(self._get("sequence"))
        if not self.name:
            raise PgtfastError(f"{file}: key 'sequence': wanted its name, got {brief(self._get('sequence'))}")
        self.poses = self._of_people("poses", (-1, 72))
        frames = len(self.poses[0])
        self.trans = self._of_people("trans", (frames, 3))
        self.valid = self._of_people("campose_valid", (frames,))
        self.points = self._of_people("poses2d", (frames, 3, 18)) if "poses2d" in self.content else None
        self.betas = [self._shape(value) for value in self._list("betas")]
        self.cam_poses = self._array("cam_poses", self._get("cam_poses"), (frames, 4, 4))
        self.matrix = self._array("cam_intrinsics", self._get("cam_intrinsics"), (3, 3))
        genders = self.content.get("genders", self.content.get("gender"))
        genders = [genders] * len(self.poses) if isinstance(genders, (str, bytes)) else genders
        self.genders = [gender_of(value) for value in (genders if isinstance(genders, (list, np.ndarray)) else [])]
        for key in ("trans", "campose_valid", "betas", "genders"):
            held = {"campose_valid": self.valid}.get(key) or getattr(self, key)
            if len(held) != len(self.poses) or any(one is None for one in held):
                got = brief(self.content.get(key, "none"))
                raise PgtfastError(f"{file}: key '{key}': wanted one for each of {len(self.poses)} people, got {got}")
        if self.points is not None and len(self.points) != len(self.poses):
            raise PgtfastError(f"{file}: key 'poses2d': wanted one for each of {len(self.poses)} people")
        turn = self.cam_poses[:, :3, :3]
        off = np.abs(turn @ turn.swapaxes(1, 2) - np.eye(3)).max((1, 2)) > 1e-2
        used = np.any([valid > 0 for valid in self.valid], 0)
        if (off & used).any():
            frame = int(np.flatnonzero(off & used)[0])
            raise PgtfastError(
                f"{file}: key 'cam_poses': frame {frame}: wanted a rotation matrix, got {brief(turn[frame].tolist())}"
            )

    def people(self, number: int, body: Bodies, landmark_set: str, dataset: str) -> People:
        frames = len(self.cam_poses)
        count = len(self.poses) * frames
        if len(self.poses) > 100 or frames >= 2**20:
            raise PgtfastError(f"{self.file}: {len(self.poses)} people in {frames} frames: no sequence of 3DPW")
        ids = [(number << 27) + (person << 20) + frame for person in range(len(self.poses)) for frame in range(frames)]
        people = empty_people(dataset, ids, landmark_set=_SET_2D if body is None else landmark_set)
        rows = _Rows(count)
        points = np.zeros((count, 18, 3))
        focal, center = self.matrix[[0, 1], [0, 1]], self.matrix[:2, 2]
        names = np.array([f"{self.name}/image_{frame:05d}.jpg" for frame in range(frames)], dtype=object)
        for person, (pose, betas, trans) in enumerate(zip(self.poses, self.betas, self.trans, strict=True)):
            mine = np.arange(person * frames, (person + 1) * frames)
            people.image_path[mine], people.person_id[mine] = names, person
            good = self.valid[person] > 0
            people.reason[mine[~good]] = Skip(Reason.NO_CAMERA, "the camera of this frame is not valid (campose_valid)")
            at = mine[good]
            one = _body_of(body, self.genders[person])
            moved = self._to_camera(pose[good], betas, trans[good], self.cam_poses[good], one)
            rows.put(at, BodyParams(moved[0], betas, moved[1]), self.genders[person], focal, center)
            if self.points is not None:
                points[at] = self.points[person][good].swapaxes(1, 2)
        return rows.finish(people, body, points, landmark_set, str(self.file))

    def _to_camera(
        self, pose: np.ndarray, betas: np.ndarray, trans: np.ndarray, extrinsics: np.ndarray, body: BodyModel | None
    ) -> tuple[np.ndarray, np.ndarray]:
        rest = np.zeros((1, 3)) if body is None else rest_pelvis(body, betas[None], str(self.file))
        values = (pose[:, :3], trans, np.repeat(rest, len(pose), 0), extrinsics[:, :3, :3], extrinsics[:, :3, 3])
        placed = cameras.body_to_camera(*(torch.from_numpy(np.ascontiguousarray(value)) for value in values))
        transl = np.full((len(pose), 3), np.nan) if body is None else placed.transl.numpy()
        return np.concatenate([placed.global_orient.numpy(), pose[:, 3:]], 1), transl

    def _get(self, key: str) -> Any:
        if key not in self.content:
            raise PgtfastError(f"{self.file}: key '{key}' is missing; wanted an official 3DPW sequence file")
        return self.content[key]

    def _list(self, key: str) -> Sequence[Any]:
        value = self._get(key)
        if not isinstance(value, (list, tuple, np.ndarray)) or not len(value):
            raise PgtfastError(
                f"{self.file}: key '{key}': wanted a list with one entry for each person, got {brief(value)}"
            )
        return list(value)

    def _of_people(self, key: str, shape: tuple[int, ...]) -> list[np.ndarray]:
        return [self._array(f"{key}[{at}]", value, shape) for at, value in enumerate(self._list(key))]

    def _shape(self, value: Any) -> np.ndarray:
        read = self._array("betas", value, (-1,))
        if len(read) < 10:
            raise PgtfastError(f"{self.file}: key 'betas': wanted 10 or more shape coefficients, got {len(read)}")
        return read[:10]

    def _array(self, key: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
        try:
            read = np.asarray(value, np.float64)
        except (ValueError, TypeError):
            read = np.zeros(())
        wanted = tuple(got if want < 0 else want for want, got in zip(shape, read.shape, strict=False))
        if read.ndim != len(shape) or read.shape != wanted or not (np.abs(read) < LARGEST).all():
            raise PgtfastError(
                f"{self.file}: key '{key}': wanted finite numbers of shape {shape}, got "
                f"{read.shape if read.ndim else brief(value)}"
            )
        return read


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin1")
    return value if isinstance(value, str) else ""


def _by_gender(body: BodyModel | Mapping[str, BodyModel]) -> list[tuple[list[str | None], BodyModel]]:
    """Bodies with the genders that each serves; a single body of no known gender serves all."""
    if isinstance(body, BodyModel):
        genders: list[str | None] = [body.gender, None]
        return [
            (genders if body.gender in ("male", "female", "neutral") else [None, "male", "female", "neutral"], body)
        ]
    return [([gender], one) for gender, one in body.items()]


def _body_of(body: Bodies, gender: str | None) -> BodyModel | None:
    return None if body is None else next((one for genders, one in _by_gender(body) if gender in genders), None)


def _gender(path: Path, where: str, raw: Any) -> str | None:
    """Of "gender", or of "genders" as the official files say."""
    if not isinstance(raw, dict):
        return None
    value = raw.get("gender", raw.get("genders"))
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    found = gender_of(value)
    if found is None:
        raise PgtfastError(
            f"{path}: {where}: key 'gender': wanted male, female or neutral, got {brief(value or 'none')}"
        )
    return found


def _intrinsics(path: Path, image: Mapping) -> tuple[np.ndarray, np.ndarray]:
    held = image.get("cam_param")
    values = []
    for key in ("focal", "princpt"):
        value = flat(held.get(key), 2) if isinstance(held, dict) else None
        if value is None or (key == "focal" and value.min() <= 0):
            got = brief(held.get(key, "none") if isinstance(held, dict) else "none")
            raise PgtfastError(
                f"{path}: image {brief(image.get('id'))}: cam_param: key '{key}': wanted 2 numbers in pixels, got {got}"
            )
        values.append(value)
    return values[0], values[1]


def _sequence(path: Path, image: Mapping) -> str:
    name = image.get("sequence")
    if not isinstance(name, str) or not name:
        got = brief(name) if name is not None else "none"
        raise PgtfastError(
            f"{path}: image {brief(image.get('id'))}: key 'sequence': wanted the sequence's name, got {got}"
        )
    return name


def _put_openpose(people: People, points: np.ndarray) -> None:
    """2D points in OpenPose's order of 18 among the 25; confidences above 1 count as 1."""
    index = skeletons.get(_SET_2D).index
    columns = [index[key] for key in _OPENPOSE18]
    good = np.array([reason is None for reason in people.reason], bool)
    points = np.where(points[..., 2:] > 0, points, 0)
    points[..., 2] = np.minimum(points[..., 2], 1)
    people.keypoints[np.ix_(np.flatnonzero(good), np.array(columns))] = points[good]


def _read(search: Search) -> Found:
    name = "validation" if search.split == "val" else search.split
    path = search.find(f"3DPW_{name}.json", folders=("", "annotations/", "data/"))
    if path is not None:
        return Found(read_pw3d(path, body=search.body), ("imageFiles", "data/imageFiles"))
    path = search.need(f"sequenceFiles/{name}", f"sequenceFiles/sequenceFiles/{name}")
    return Found(read_pw3d_sequences(path, body=search.body), ("imageFiles", "imageFiles/imageFiles"))


DATASET = Dataset(
    name="pw3d",
    role="bridge",
    layouts="{,annotations/,data/}3DPW_{train,validation,test}.json; sequenceFiles/; {,data/}imageFiles/",
    read=_read,
)
