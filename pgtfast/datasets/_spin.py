"""npz files in SPIN's layout (SPIN, PyMAF, PARE, CLIFF, mmpose) -> :class:`People`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..files.json import brief, number
from ..files.unpickle import load_npy, load_npz
from ..people.reason import Reason, Skip
from ..people.table import People, empty_people
from .world import LARGEST, gender_of, recover_camera

BOX_UNIT = 200
"""Pixels in one unit of `scale`."""

_KEYS = (
    "imgname", "center", "scale", "part", "openpose", "pose", "shape", "has_smpl", "S", "gender",
)  # fmt: skip
_NEAREST = 0.3
"""Metres: joints that all lie further in front are seen from the camera; root-relative ones have some behind the
root."""


def read_spin(
    path: str | Path,
    *,
    dataset: str,
    landmark_set: str | None = None,
    keypoints: str = "part",
    body_model: str = "smpl",
    fits: str | Path | None = None,
) -> People:
    """Read an npz with imgname, center and scale (px / 200), and what it holds of part, openpose, S, pose, shape,
    has_smpl and gender.

    3D joints (`S`) are root-relative in SPIN's own files. Where they are seen from the camera, as mmpose writes them,
    the camera is found from them
    and the 2D keypoints, for each person by himself (a lens that distorts is met by the pinhole camera that fits best
    about the person); where no camera fits, focal
    length and centre stay NaN. A keypoint whose x and y are both 0 or less is one that LSPET marks as invisible: it is
    not labelled, and the box, which was
    made with it, is left out.

    Args:
        path: the npz. Objects in it go through the restricted reader.
        dataset: first part of each person's key; the annotation id is the row.
        landmark_set: order of `part` and `S`; None takes SPIN's 24.
        keypoints: which 2D keypoints to take, "part" or "openpose" (then without `S`).
        body_model: what pose and shape are parameters of. Their root is in the camera frame; the translation is not in
            such files.
        fits: static fits (N, 82) as .npy, or .npz of pose, betas and valid_fit, in place of pose and shape. They are
            told apart by their row alone, so the
            number of rows must be the same.

    Raises:
        PgtfastError: the file cannot be read, a key is missing, or its columns differ in length.
    """
    path = Path(path)
    if keypoints not in ("part", "openpose"):
        raise PgtfastError(f"keypoints: wanted 'part' or 'openpose', got {keypoints!r}")
    held = _load(path)
    count = len(held["imgname"])
    points = held.get(keypoints)
    name = landmark_set or ("openpose25" if keypoints == "openpose" else "spin24")
    if name == "spin24" and points is not None and points.shape[1:2] != (24,):
        raise PgtfastError(
            f"{path}: key 'part': wanted SPIN's 24 joints, got {points.shape}; name their set, such as "
            f"landmark_set='h36m17'"
        )
    joints = len(skeletons.get(name))
    people = empty_people(dataset, range(count), landmark_set=name)
    _put_images(people, held)
    if points is not None:
        _put_keypoints(people, _column(path, held, keypoints, (joints, 3)))
    if "S" in held and keypoints == "part":
        people = _with_joints(people, _column(path, held, "S", (joints, held["S"].shape[-1] if held["S"].ndim else 0)))
    pose, betas, valid = _bodies(path, held, count) if fits is None else _fits(Path(fits), count)
    if pose is not None and betas is not None:
        valid = valid & (np.abs(pose) < LARGEST).all(1) & (np.abs(betas) < LARGEST).all(1)
        genders = held.get("gender")
        named = [gender_of(_plain(g)) for g in genders] if genders is not None and fits is None else ["neutral"] * count
        gender = np.array([one if ok else None for one, ok in zip(named, valid, strict=True)], dtype=object)
        pose, betas = (np.where(valid[:, None], values, np.nan).astype(np.float32) for values in (pose, betas))
        people = replace(people.with_pose(body_model, pose, betas=betas), gender=gender)
    return people


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        held = load_npz(path, keys=lambda key: key in _KEYS)
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be read ({error.strerror})") from error
    for key in ("imgname", "center", "scale"):
        if key not in held:
            raise PgtfastError(f"{path}: key '{key}' is missing; wanted an npz in SPIN's layout")
    count = len(held["imgname"]) if isinstance(held["imgname"], np.ndarray) and held["imgname"].ndim == 1 else -1
    for key, value in held.items():
        if not isinstance(value, np.ndarray) or value.ndim < 1 or len(value) != count:
            got = value.shape if isinstance(value, np.ndarray) else brief(value)
            raise PgtfastError(
                f"{path}: key '{key}': wanted one row for each of the {count} rows of imgname, got {got}"
            )
    return held


def _column(path: Path, held: dict[str, np.ndarray], key: str, shape: tuple[int, ...]) -> np.ndarray:
    try:
        read = held[key].astype(np.float64)
    except (ValueError, TypeError):
        read = np.zeros(())
    if read.shape[1:] != shape or read.ndim != len(shape) + 1 or (key == "S" and shape[-1] not in (3, 4)):
        raise PgtfastError(
            f"{path}: key '{key}': wanted numbers of shape (N, {', '.join(map(str, shape))}), got {held[key].shape}"
        )
    return read


def _put_images(people: People, held: dict[str, np.ndarray]) -> None:
    """Names and boxes; a scale may be text."""
    seen: dict[str, int] = {}
    for row, raw in enumerate(held["imgname"]):
        name = _plain(raw)
        if not isinstance(name, str) or not name:
            people.reason[row] = Skip(Reason.BAD_IMAGE, f"imgname: wanted a name, got {brief(name)}")
            continue
        people.image_path[row] = name
        people.person_id[row] = seen[name] = seen.get(name, -1) + 1
        scale = number(_plain(held["scale"][row]))
        middle = [number(_plain(value)) for value in np.ravel(held["center"][row])]
        x, y = middle if len(middle) == 2 else (None, None)
        if scale is None or x is None or y is None or not 0 < scale < 1e5 or max(abs(x), abs(y)) > 1e7:
            people.reason[row] = Skip(
                Reason.BAD_BOX,
                f"wanted center (x, y) and scale (px / 200, above 0), got "
                f"{brief(held['center'][row].tolist())}, "
                f"{brief(held['scale'][row])}",
            )
            continue
        side = scale * BOX_UNIT
        people.bbox[row] = x - side / 2, y - side / 2, side, side


def _put_keypoints(people: People, points: np.ndarray) -> None:
    labelled = (points[..., 2] > 0) & (np.abs(points) < 1e7).all(-1)
    invisible = labelled & (points[..., :2] <= 0).all(-1)
    points = np.where((labelled & ~invisible)[..., None], points, 0)
    points[..., 2] = np.minimum(points[..., 2], 1)
    people.bbox[invisible.any(1)] = np.nan
    for row in range(len(people)):
        if people.reason[row] is None and not points[row, :, 2].any():
            people.reason[row] = Skip(Reason.NO_KEYPOINTS, "no keypoint is labelled")
    good = np.array([reason is None for reason in people.reason], bool)
    people.keypoints[good] = points[good]


def _with_joints(people: People, joints: np.ndarray) -> People:
    known = (np.abs(joints[..., :3]) < LARGEST).all(-1)
    if joints.shape[-1] == 4:
        known &= joints[..., 3] > 0
    points = np.where(known[..., None], joints[..., :3], np.nan)
    focal, center = np.full((len(people), 2), np.nan), np.full((len(people), 2), np.nan)
    for row in np.flatnonzero(known.any(1)):
        both = known[row] & (people.keypoints[row, :, 2] > 0)
        if both.sum() >= 8 and points[row, known[row], 2].min() > _NEAREST:
            found = recover_camera(points[row, both], people.keypoints[row, both, :2])
            if found is not None:
                focal[row], center[row] = found
    return replace(people, joints_3d=points.astype(np.float32), focal=focal, center=center)


def _bodies(path: Path, held: dict, count: int) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray]:
    if "pose" not in held or "shape" not in held:
        return None, None, np.zeros(count, bool)
    valid = np.ones(count, bool)
    if "has_smpl" in held:
        valid = _column(path, held, "has_smpl", held["has_smpl"].shape[1:]).reshape(count, -1)[:, 0] > 0
    return _column(path, held, "pose", (72,)), _column(path, held, "shape", (10,)), valid


def _fits(path: Path, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        if path.suffix == ".npz":
            held = load_npz(path, keys=lambda key: key in ("pose", "betas", "valid_fit"))
        else:
            values = load_npy(path)
            held = {"pose": values[:, :72], "betas": values[:, 72:]} if getattr(values, "ndim", 0) == 2 else {}
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be read ({error.strerror})") from error
    for key, size in (("pose", 72), ("betas", 10)):
        value = held.get(key)
        if value is None or value.dtype.kind not in "fiu" or value.ndim != 2 or value.shape[1] != size:
            raise PgtfastError(f"{path}: wanted fits (N, 82), or an npz of pose (N, 72) and betas (N, 10)")
        if len(value) != count:
            raise PgtfastError(
                f"{path}: holds {len(value)} fits for {count} people; they go by row, so they must be of the very "
                f"same npz"
            )
    valid = held.get("valid_fit", np.ones(count, bool))
    if valid.shape != (count,) or valid.dtype.kind not in "biuf":
        raise PgtfastError(f"{path}: key 'valid_fit': wanted {count} flags, got {valid.shape}")
    return held["pose"], held["betas"], valid.astype(bool)


def _plain(value: Any) -> Any:
    """A numpy scalar as Python's own, text of bytes as text."""
    value = value.item() if isinstance(value, np.generic) else value
    return value.decode("latin1") if isinstance(value, bytes) else value
