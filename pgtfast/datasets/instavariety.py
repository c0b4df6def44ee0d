"""InstaVariety, as the field passes it on: one database of frames -> :class:`People`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..files.joblib import load_joblib
from ..people.boxes import keypoint_boxes
from ..people.reason import Reason, Skip
from ..people.table import People, empty_people
from .dataset import Dataset, Found, Search

_COLUMNS = ("joints2D", "file_name", "img_name", "vid_name", "frame_id", "ann_id", "img_shape", "bbox")


def read_instavariety(path: str | Path, *, dataset: str = "instavariety", anchor: str | None = None) -> People:
    """Read InstaVariety from an `insta_train_db` file.

    The joints are OpenPose's, but in an order of their own ("insta25"): heels, knees and hips first. Columns, of which
    all but `joints2D` and one of
    the three ways to name a picture may be missing:

    * `joints2D` (N, 25, 3): x, y in pixels, confidence (cut to [0, 1]).
    * `file_name` or `img_name` (N,): the picture; else `vid_name` and `frame_id`, whose picture is VIDEO/FRAME.jpg,
    where the last "-" of
      the video's name, which counts the tracks of a TFRecord, becomes a "/".
    * `ann_id` (N,), else the row; `img_shape` (N, 2) height and width; `bbox` (N, 4) x, y, width, height, else that of
    the joints, a fifth larger.

    Args:
        path: joblib file (.pt, .pkl, .joblib), read without running what it says, or HDF5 file (.h5), which needs h5py.
        dataset: first part of each person's key.
        anchor: what the names of the pictures are cut after, where it is found in them: their writers left their own
            folders in front.

    Raises:
        PgtfastError: the file is damaged, asks for code to be run, or lacks a column.
    """
    path = Path(path)
    columns = _load(path)
    joints = columns.get("joints2D")
    if joints is None or not isinstance(joints, np.ndarray):
        raise PgtfastError(f"{path}: wanted the column 'joints2D' (N, 25, 3), the file holds {_held(columns)}")
    count = len(skeletons.get("insta25"))
    if joints.ndim != 3 or joints.shape[1:] != (count, 3) or joints.dtype.kind not in "fiu":
        raise PgtfastError(
            f"{path}: joints2D: wanted numbers of shape (N, {count}, 3), got {joints.dtype} {joints.shape}"
        )
    for name, column in columns.items():
        if not isinstance(column, np.ndarray) or column.ndim == 0 or len(column) != len(joints):
            got = f"shape {column.shape}" if isinstance(column, np.ndarray) else type(column).__name__
            raise PgtfastError(f"{path}: {name}: wanted an array of the {len(joints)} rows of joints2D, got {got}")
    ids = _ids(path, columns, len(joints))
    people = empty_people(dataset, ids, landmark_set="insta25")
    seen: dict[str, int] = {}
    for row, name in enumerate(_names(path, columns)):
        name = _after(name, anchor)
        people.image_path[row] = name
        people.person_id[row] = seen[name] = seen.get(name, -1) + 1
    if "img_shape" in columns:
        people.image_size[:] = _numbers(path, "img_shape", columns["img_shape"], 2)[:, ::-1].astype(np.int64)
    points = joints.astype(np.float64)
    known = np.isfinite(points).all(axis=-1) & (points[..., 2] > 0) & (np.abs(points[..., :2]) <= 1e7).all(axis=-1)
    points[..., 2] = np.clip(points[..., 2], 0, 1)
    people.keypoints[known] = points[known]
    people.bbox[:] = keypoint_boxes(people.keypoints)
    if "bbox" in columns:
        boxes = _numbers(path, "bbox", columns["bbox"], 4)
        good = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
        people.bbox[good] = boxes[good]
    people.reason[~known.any(axis=1)] = Skip(Reason.NO_KEYPOINTS, "no joint has a confidence above 0")
    return people


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise PgtfastError(f"{path}: no such file")
    if path.suffix.lower() in (".h5", ".hdf5"):
        try:
            import h5py  # type: ignore[import-not-found,import-untyped,unused-ignore]
        except ImportError as error:
            raise PgtfastError(f"{path}: reading HDF5 files needs h5py: pip install h5py") from error
        try:
            with h5py.File(path, "r") as file:
                return {name: file[name][()] for name in _COLUMNS if name in file}
        except (OSError, KeyError, TypeError) as error:
            raise PgtfastError(f"{path}: not a readable HDF5 file ({error}). Copy or download it again") from error
    if path.suffix.lower() == ".tfrecord":
        raise PgtfastError(f"{path}: TFRecords hold the pictures themselves; unpack them into insta_train_db.h5 first")
    content = load_joblib(path)
    if not isinstance(content, dict):
        raise PgtfastError(f"{path}: wanted a dict of columns, got {type(content).__name__}")
    return {
        name: np.asarray(content[name]) if isinstance(content[name], list) else content[name]
        for name in _COLUMNS
        if name in content
    }


def _held(columns: dict[str, Any]) -> str:
    return ", ".join(columns) or "none of the columns known"


def _ids(path: Path, columns: dict[str, Any], count: int) -> np.ndarray:
    if "ann_id" not in columns:
        return np.arange(count)
    try:
        ids = columns["ann_id"].astype(np.int64).reshape(count)
    except (ValueError, TypeError, OverflowError) as error:
        raise PgtfastError(f"{path}: ann_id: wanted {count} whole numbers ({error})") from error
    values, times = np.unique(ids, return_counts=True)
    if (times > 1).any():
        raise PgtfastError(f"{path}: ann_id {values[times > 1][0]} is given twice; ids must be unique")
    return ids


def _names(path: Path, columns: dict[str, Any]) -> list[str]:
    for key in ("file_name", "img_name"):
        if key in columns:
            return [_text(name) for name in columns[key]]
    if "vid_name" in columns and "frame_id" in columns:
        videos = ["/".join(_text(name).rsplit("-", 1)) for name in columns["vid_name"]]
        return [f"{video}/{_text(frame)}.jpg" for video, frame in zip(videos, columns["frame_id"], strict=True)]
    raise PgtfastError(
        f"{path}: wanted 'file_name', 'img_name', or 'vid_name' with 'frame_id', the file holds {_held(columns)}"
    )


def _after(name: str, anchor: str | None) -> str:
    name = name.replace("\\", "/")
    head, found, tail = name.rpartition(f"{anchor.strip('/')}/") if anchor else ("", "", "")
    return tail if found and (not head or head.endswith("/")) else name


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _numbers(path: Path, key: str, column: np.ndarray, width: int) -> np.ndarray:
    try:
        return column.astype(np.float64).reshape(len(column), width)
    except (ValueError, TypeError) as error:
        raise PgtfastError(
            f"{path}: {key}: wanted numbers of shape ({len(column)}, {width}), got {column.dtype} {column.shape}"
        ) from error


def _read(search: Search) -> Found:
    names = [f"insta_{search.split}_db.{suffix}" for suffix in ("pt", "h5")]
    people = read_instavariety(search.need(*names, folders=("annotations/", "")), anchor="insta_variety_img")
    return Found(people, ("images", "insta_variety_img", ""))


DATASET = Dataset(
    name="instavariety",
    role="wild",
    layouts="{annotations/,}insta_{split}_db.{pt,h5}; images/, insta_variety_img/, the folder",
    read=_read,
)
