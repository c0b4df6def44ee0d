"""MuPoTS-3D: the 3DMPPE authors' JSON and the official annot.mat files -> :class:`People`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..files.json import array, brief, number
from ..people.reason import Reason, Skip
from ..people.table import People, empty_people
from ._in_camera import read_in_camera
from .dataset import Dataset, Found, Search
from .world import LARGEST, all_unusable, behind, join, recover_camera

_SET = "mupots17"
_JOINTS = len(skeletons.get(_SET))
_WHAT = "MuPoTS-3D in the 3DMPPE authors' layout"
_NOT_VALID = Skip(Reason.NOT_VALID, "the annotation is marked as not valid")
_MOST_PEOPLE = 100


def read_mupots(path: str | Path, *, dataset: str = "mupots") -> People:
    """Read MuPoTS-3D.json: joints in the camera, intrinsics of each image.

    Args:
        path: the JSON.
        dataset: first part of each person's key.

    Returns:
        One row for each annotation, "mupots17"; those with is_valid 0 have the reason "not-valid". Image paths are
        TS1/img_000000.jpg and so on.

    Raises:
        PgtfastError: the file cannot be read as such JSON, or an image has no intrinsics.
    """
    return read_in_camera(
        Path(path), dataset=dataset, landmark_set=_SET, what=_WHAT, intrinsics=_intrinsics, refuse=_refuse
    )


def read_mupots_sequences(folder: str | Path, *, universal: bool = False, dataset: str = "mupots") -> People:
    """Read the official MultiPersonTestSet/TS{1..20}/annot.mat (needs scipy).

    The files hold no intrinsics; each sequence's camera is found from its 3D and 2D joints.

    Args:
        folder: MultiPersonTestSet.
        universal: take univ_annot3, the skeleton scaled to one size that the official score is computed with, in place
            of annot3. Such joints are
            not seen where they are: `focal` and `center` are NaN.
        dataset: first part of each person's key.

    Returns:
        One row for each person and frame, by sequence, person and frame; annotation ids are made of the three. Frames
        without a valid annotation have
        the reason "not-valid".
    """
    folder = Path(folder)
    found = {
        int(m[1]): path
        for path in folder.glob("TS*/annot.mat")
        if (m := re.fullmatch(r"TS(\d{1,4})", path.parent.name))
    }
    if not found:
        raise PgtfastError(f"{folder}: no TS1/annot.mat and the like in it; wanted MuPoTS's MultiPersonTestSet")
    paths = [found[number] for number in sorted(found)]
    return join([_sequence(path, n, universal, dataset) for n, path in zip(sorted(found), paths, strict=True)], paths)


def _intrinsics(image: Mapping) -> tuple[np.ndarray, np.ndarray] | str:
    read = array(image.get("intrinsic"), (4,))
    if read is None or np.abs(read).max() > LARGEST or read[:2].min() <= 0:
        return f"key 'intrinsic': wanted fx, fy, cx, cy in pixels, got {brief(image.get('intrinsic', 'none'))}"
    return read[:2], read[2:]


def _refuse(entry: Mapping) -> Skip | None:
    valid = entry.get("is_valid", 1)
    return _NOT_VALID if valid is False or (valid is not True and not number(valid)) else None


def _sequence(path: Path, sequence: int, universal: bool, dataset: str) -> People:
    cells = _load(path)
    frames, persons = cells.shape
    if persons > _MOST_PEOPLE or frames > 10**6:
        raise PgtfastError(f"{path}: {persons} people in {frames} frames: no sequence of MuPoTS")
    count = frames * persons
    ids = [(sequence * 10**6 + frame) * _MOST_PEOPLE + person for person in range(persons) for frame in range(frames)]
    people = empty_people(dataset, ids, landmark_set=_SET)
    points, pixels = np.full((count, _JOINTS, 3), np.nan), np.full((count, _JOINTS, 2), np.nan)
    shown = np.full((count, _JOINTS, 3), np.nan)
    for row in range(count):
        person, frame = divmod(row, frames)
        people.image_path[row] = f"{path.parent.name}/img_{frame:06d}.jpg"
        people.person_id[row] = person
        where = f"{path}: annotations({frame + 1}, {person + 1})"
        valid = _field(where, cells[frame, person], "isValidFrame", 1)
        if not valid.any():
            people.reason[row] = _NOT_VALID
            continue
        pixels[row] = _field(where, cells[frame, person], "annot2", 2 * _JOINTS).reshape(2, _JOINTS).T
        shown[row] = _field(where, cells[frame, person], "annot3", 3 * _JOINTS).reshape(3, _JOINTS).T / 1000
        points[row] = shown[row]
        if universal:
            points[row] = _field(where, cells[frame, person], "univ_annot3", 3 * _JOINTS).reshape(3, _JOINTS).T / 1000
    for row in np.flatnonzero(behind(shown)).tolist():
        people.reason[row] = people.reason[row] or Skip(Reason.BEHIND_CAMERA, "a joint lies behind the camera")
    all_unusable(people, path)
    good = np.array([reason is None for reason in people.reason], bool)
    points[~good] = np.nan
    people.keypoints[good, :, :2], people.keypoints[good, :, 2] = pixels[good], 1
    focal, center = np.full((count, 2), np.nan), np.full((count, 2), np.nan)
    if not universal:
        camera = recover_camera(shown[good].reshape(-1, 3), pixels[good].reshape(-1, 2))
        if camera is None:
            raise PgtfastError(
                f"{path}: annot3 does not project onto annot2 by any camera; damaged? Copy or download it again"
            )
        focal[good], center[good] = camera
    return replace(people, joints_3d=points.astype(np.float32), focal=focal, center=center)


def _load(path: Path) -> np.ndarray:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise PgtfastError(f"{path}: reading .mat files needs scipy: pip install scipy") from error
    try:
        content = loadmat(path)
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # scipy's reader fails in many ways on a damaged file
        raise PgtfastError(f"{path}: not a readable .mat file ({type(error).__name__}: {error})") from error
    cells = content.get("annotations")
    if not isinstance(cells, np.ndarray) or cells.dtype != object or cells.ndim != 2 or not cells.size:
        raise PgtfastError(f"{path}: key 'annotations': wanted cells of frames x people, got {_kind(cells)}")
    return cells


def _field(where: str, cell: Any, name: str, count: int) -> np.ndarray:
    """A field of a cell's 1 x 1 struct, as `count` numbers."""
    try:
        value = (
            np.asarray(cell[name][0, 0], np.float64).reshape(-1)
            if cell.dtype.names and name in cell.dtype.names
            else None
        )
    except (AttributeError, IndexError, TypeError, ValueError):
        value = None
    if value is None or len(value) != count or not (np.abs(value) < LARGEST).all():
        raise PgtfastError(f"{where}: field '{name}': wanted {count} finite numbers, got {_kind(cell)}")
    return value


def _kind(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else brief(value)


def _read(search: Search) -> Found:
    folders = ("data/MultiPersonTestSet", "data", "MultiPersonTestSet", "images", "")
    what = "MuPoTS-3D, a set to test on,"
    path = search.find("MuPoTS-3D.json", folders=("annotations/", "data/", ""))
    if path is not None:
        search.only("test", what)
        return Found(read_mupots(path), folders)
    sequences = search.match("TS*/annot.mat", ("MultiPersonTestSet/", "data/MultiPersonTestSet/", ""))
    if not sequences:
        raise search.nothing()
    search.only("test", what)
    return Found(read_mupots_sequences(sequences[0].parent.parent), folders)


DATASET = Dataset(
    name="mupots",
    role="bridge",
    layouts="{annotations/,data/,}MuPoTS-3D.json; {,data/}MultiPersonTestSet/TS*/annot.mat; "
    "{,data/}MultiPersonTestSet/, data/, images/",
    read=_read,
)
