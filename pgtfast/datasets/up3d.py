"""UP-3D (Unite the People): pictures with 14 joints and an SMPL fit each -> :class:`People`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .._errors import PgtfastError
from ..body import BodyModel
from ..files.unpickle import load_npy, load_pickle
from ..images.sizes import read_image_size
from ..people.boxes import keypoint_boxes
from ..people.reason import Reason, Skip
from ..people.table import People, empty_people
from ..reference import rotvec_to_matrix
from .dataset import Dataset, Found, Search
from .world import place_bodies

_NAME = re.compile(r"(\d+)_image\.(?:png|jpg)$")
_FIT = (("pose", 72), ("betas", 10), ("trans", 3), ("rt", 3), ("t", 3))


def read_up3d(
    root: str | Path, *, split: str = "trainval", body: BodyModel | None = None, dataset: str = "up3d"
) -> People:
    """Read UP-3D's folder.

    The list names pictures %05d_image.png; beside each lie %05d_joints.npy (3, 14): x, y, confidence of LSP's joints,
    and %05d_body.pkl, the SMPL
    fit, read without running what it says. The fit's camera looks at the middle of the picture, with one focal length;
    its rotation `rt` and
    translation `t` are applied to the body, so that pose and transl are in the camera frame. The number of the picture
    is the annotation's id.

    Args:
        root: the folder.
        split: name of the list, without ".txt": "train", "val", "trainval" or "test".
        body: the SMPL body, for fits whose camera is turned: where `rt` is not zero, the translation is unknown (NaN)
            without it.
        dataset: first part of each person's key.

    Returns:
        One row for each line of the list. A person whose joints cannot be read has a reason; one without a readable fit
        keeps the joints.
    """
    root = Path(root)
    listed = root / f"{split}.txt"
    try:
        lines = [line.split()[0] for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise PgtfastError(f"{listed}: cannot be read ({error.strerror}); it lists UP-3D's pictures") from error
    except UnicodeDecodeError as error:
        raise PgtfastError(f"{listed}: not text; wanted names of pictures, one to a line") from error
    names = [line.lstrip("/") for line in lines]
    found = [_NAME.search(name) for name in names]
    for at, (name, match) in enumerate(zip(names, found, strict=True)):
        if match is None:
            raise PgtfastError(f"{listed}: line {at + 1}: wanted a name like 00001_image.png, got {name!r}")
    stems = [name[: -len("_image.png")] for name in names]
    numbers = [int(match[1]) for match in found if match]
    twice = sorted({n for n in numbers if numbers.count(n) > 1}) if len(set(numbers)) < len(numbers) else []
    if twice:
        raise PgtfastError(f"{listed}: picture {twice[0]} is listed twice; ids must be unique, remove one")
    people = empty_people(dataset, numbers, landmark_set="lsp14")
    count = len(names)
    columns: dict[str, np.ndarray] = {key: np.full((count, size), np.nan) for key, size in _FIT}
    focal, center = np.full((count, 2), np.nan), np.full((count, 2), np.nan)
    for row, (name, stem) in enumerate(zip(names, stems, strict=True)):
        people.image_path[row] = name
        size = read_image_size(root / name)
        if size is None:
            people.reason[row] = Skip(Reason.MISSING_FILE, f"{root / name} is not there, or no picture")
            continue
        people.image_size[row] = size
        people.reason[row] = _fill_joints(people.keypoints[row], root / f"{stem}_joints.npy")
        fit = _fit(root / f"{stem}_body.pkl")
        if fit is not None:
            for key, _ in _FIT:
                columns[key][row] = fit[key]
            focal[row], center[row] = fit["f"], (size[0] / 2, size[1] / 2)
    people.bbox[:] = keypoint_boxes(people.keypoints)
    pose, transl = _placed(columns, body, str(root))
    pose, betas, transl = (values.astype(np.float32) for values in (pose, columns["betas"], transl))
    return replace(
        people.with_pose("smpl", pose, betas=betas, transl=transl),
        focal=focal,
        center=center,
        gender=np.array(["neutral" if known else None for known in np.isfinite(focal[:, 0])], dtype=object),
    )


def _fill_joints(out: np.ndarray, path: Path) -> Skip | None:
    try:
        joints = np.asarray(load_npy(path), dtype=np.float64)
    except (OSError, PgtfastError, ValueError, TypeError) as error:
        return Skip(Reason.BAD_KEYPOINTS, f"{path.name}: {error}")
    if joints.shape != (3, 14):
        return Skip(Reason.BAD_KEYPOINTS, f"{path.name}: wanted shape (3, 14), got {joints.shape}")
    points = joints.T
    known = np.isfinite(points).all(axis=1) & (points[:, 2] > 0) & (np.abs(points[:, :2]) <= 1e7).all(axis=1)
    if not known.any():
        return Skip(Reason.NO_KEYPOINTS, "no joint has a confidence above 0")
    out[known] = points[known]
    out[known, 2] = np.minimum(points[known, 2], 1)
    return None


def _fit(path: Path) -> dict[str, Any] | None:
    """pose, betas, trans, rt, t and f of a fit; None where there is no file, or not such a one."""
    try:
        content = load_pickle(path)
    except FileNotFoundError:
        return None
    if not isinstance(content, dict):
        raise PgtfastError(f"{path}: wanted a dict with {', '.join(k for k, _ in _FIT)} and f")
    fit = {}
    for key, size in (*_FIT, ("f", 1)):
        try:
            value = np.asarray(content[key], dtype=np.float64).reshape(-1)
        except (KeyError, ValueError, TypeError) as error:
            raise PgtfastError(f"{path}: key '{key}': wanted {size} numbers, got {type(error).__name__}") from error
        if key == "f" and len(value) == 2:
            value = value[:1]
        if len(value) != size:
            raise PgtfastError(f"{path}: key '{key}': wanted {size} numbers, got {len(value)}")
        if not np.isfinite(value).all():
            return None
        fit[key] = value if key != "f" else float(value[0])
    return fit


def _placed(fit: dict[str, np.ndarray], body: BodyModel | None, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Pose and transl in the camera frame."""
    pose, transl = fit["pose"].copy(), fit["trans"] + fit["t"]
    turned = np.flatnonzero(np.abs(fit["rt"]).max(axis=1, initial=0) > 1e-9)
    if len(turned):
        matrices = rotvec_to_matrix(torch.from_numpy(fit["rt"][turned])).numpy()
        pose[turned], transl[turned] = place_bodies(
            pose[turned], fit["betas"][turned], fit["trans"][turned], matrices, fit["t"][turned], body, where
        )
    return pose, transl


def _read(search: Search) -> Found:
    names = ("trainval", "train") if search.split == "train" else (search.split,)
    path = search.need(*(f"{name}.txt" for name in names))
    return Found(read_up3d(search.root, split=path.stem, body=search.one_body), ("",))


DATASET = Dataset(
    name="up3d", role="wild", layouts="trainval.txt or train.txt, val.txt, test.txt; the folder", read=_read
)
