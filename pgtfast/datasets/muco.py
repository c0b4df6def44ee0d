"""MuCo-3DHP in the JSON layout of the 3DMPPE and 3DCrowdNet authors -> :class:`People`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..body import BodyModel
from ..files.json import load_object
from ..people.reason import Reason, Skip
from ..people.table import People
from ._in_camera import pair, read_in_camera
from .dataset import Dataset, Found, Search
from .world import body_joints, read_params

_SET = "muco21"
_WHAT = "MuCo-3DHP in the 3DMPPE authors' layout"


def read_muco(
    path: str | Path,
    *,
    nearest_only: bool = True,
    bodies: str | Path | None = None,
    body: BodyModel | None = None,
    max_body_error: float = 0.025,
    dataset: str = "muco",
) -> People:
    """Read MuCo-3DHP.json: composed images of people of MPI-INF-3DHP, joints in the camera.

    Args:
        path: the JSON.
        nearest_only: use the person nearest to the camera of each image alone, as the authors do: the others are partly
            pasted over. They keep
            rows with the reason "not-nearest".
        bodies: smpl_param.json, whose SMPL fits are in the camera; people whom it lacks keep NaN.
        body: the body of `bodies`. With it fits are compared with the joints that the two share by name (hips to
            ankles, shoulders to wrists), centred.
            (The authors compare joints regressed as Human3.6M's, which lie a little elsewhere.)
        max_body_error: metres of mean distance above which a fit is left out, as the authors do with 25 mm.
        dataset: first part of each person's key.

    Returns:
        One row for each annotation, "muco21"; image paths relative to the folder of the JSON.

    Raises:
        PgtfastError: the file cannot be read as such JSON, or an image has no camera.
    """
    path = Path(path)
    people = read_in_camera(path, dataset=dataset, landmark_set=_SET, what=_WHAT, intrinsics=_intrinsics)
    if nearest_only:
        _mark_others(people)
    if bodies is not None:
        people = _with_bodies(people, Path(bodies), body, max_body_error)
    return people


def _intrinsics(image: Mapping) -> tuple[np.ndarray, np.ndarray] | str:
    focal, center = pair(image.get("f"), "f"), pair(image.get("c"), "c")
    if isinstance(focal, str):
        return focal
    if isinstance(center, str):
        return center
    return (
        (focal, center) if focal.min() > 0 else f"key 'f': wanted focal lengths above 0, got {focal[0]:g}, {focal[1]:g}"
    )


def _mark_others(people: People) -> None:
    """Give a reason to all but the person of each image whose pelvis is nearest."""
    assert people.joints_3d is not None
    depth = people.joints_3d[:, skeletons.get(_SET).index["pelvis"], 2]
    nearest: dict[str, int] = {}
    usable = [row for row, reason in enumerate(people.reason) if reason is None]
    for row in usable:
        name = people.image_path[row]
        if name not in nearest or depth[row] < depth[nearest[name]]:
            nearest[name] = row
    for row in usable:
        if nearest[people.image_path[row]] != row:
            people.reason[row] = Skip(Reason.NOT_NEAREST, "another person of the image is nearer to the camera")


def _with_bodies(people: People, path: Path, body: BodyModel | None, most: float) -> People:
    content = load_object(path, "SMPL parameters by annotation id")
    pose, betas, transl = (np.full((len(people), size), np.nan) for size in (72, 10, 3))
    for row, number in enumerate(people.annotation_id):
        raw = content.get(str(number))
        if raw is not None and people.reason[row] is None:
            pose[row], betas[row], transl[row] = read_params(path, f"id {number}", raw)
    held = np.isfinite(pose[:, 0])
    if not held.any() and any(reason is None for reason in people.reason):
        raise PgtfastError(
            f"{path}: holds none of the annotation ids of the people; wanted the file of the same release"
        )
    if body is not None and held.any():
        assert people.joints_3d is not None
        theirs, ours = skeletons.get(_SET).index, skeletons.get("smpl24").index
        shared = [key for key in theirs if key in ours and key[:2] in ("l_", "r_") and not key.endswith("_hand")]
        made = body_joints(body, "smpl24", pose[held], betas[held], transl[held], str(path))
        made = made[:, [ours[key] for key in shared]]
        want = people.joints_3d[held][:, [theirs[key] for key in shared]]
        error = np.linalg.norm(made - made.mean(1, keepdims=True) - want + want.mean(1, keepdims=True), axis=-1).mean(1)
        poor = np.flatnonzero(held)[error > most]
        pose[poor], betas[poor], transl[poor] = np.nan, np.nan, np.nan
        held[poor] = False
    pose, betas, transl = (values.astype(np.float32) for values in (pose, betas, transl))
    gender = np.array(["neutral" if one else None for one in held], dtype=object)
    people = people.with_pose("smpl" if body is None else body.kind, pose, betas=betas, transl=transl)
    return replace(people, gender=gender)


def _read(search: Search) -> Found:
    path = search.need("MuCo-3DHP.json", folders=("annotations/", "data/", ""))
    search.only("train", "MuCo-3DHP, made of training subjects,")
    bodies = path.parent / "smpl_param.json"
    people = read_muco(path, bodies=bodies if bodies.is_file() else None, body=search.one_body)
    return Found(people, ("data", "images", ""))


DATASET = Dataset(
    name="muco",
    role="mocap",
    layouts="{annotations/,data/,}MuCo-3DHP.json, smpl_param.json beside it; data/, images/, the folder",
    read=_read,
)
