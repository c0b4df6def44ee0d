"""Human3.6M in the JSON layout of the Pose2Pose authors -> :class:`People`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._errors import PgtfastError
from ..body import BodyModel
from ..people.table import People
from ._spin import read_spin
from ._world_files import WorldFiles, WorldOptions, read_world
from .dataset import Dataset, Found, Search
from .world import join

TRAIN_SUBJECTS, TEST_SUBJECTS = (1, 5, 6, 7, 8), (9, 11)
TEST_EVERY, TEST_CAMERAS = 64, (4,)
"""The usual test: one frame in 64 of the frontal camera."""

_USUAL = "Human36M"


def read_h36m(
    annotations: str | Path,
    *,
    subjects: Sequence[int] = TRAIN_SUBJECTS,
    every: int = 5,
    cameras: Sequence[int] | None = None,
    body: BodyModel | None = None,
    dataset: str = "h36m",
) -> People:
    """Read Human3.6M: for each subject Human36M_subject{S}_data.json, _camera.json and _joint_3d.json.

    Joints, given in the world in millimetres, come out in the camera in metres; keypoints are their projection by the
    camera's focal
    length and principal point. (The lenses distort a little, which this format leaves out: up to 2.5 px towards the
    image's border.)
    Where Human36M_subject{S}_SMPL_NeuralAnnot.json lies beside them, its bodies are moved from the world to the camera.

    Args:
        annotations: the folder of the files. Another first part of the names than "Human36M" is found by itself.
        subjects: whose files to read.
        every: keep the frames whose number this divides.
        cameras: numbers of the cameras to keep; None keeps all.
        body: the body of the SMPL files. A body turns about its rest pelvis, so the translation in the camera needs it;
            without it
            `transl` is NaN, and `pose` and `betas` are right all the same.
        dataset: first part of each person's key.

    Returns:
        One row for each annotation, "h36m17"; image paths relative to the image folder. A frame without joints has a
        reason.

    Raises:
        PgtfastError: a file is missing or cannot be read, lacks the camera of an image, or two subjects share an
        annotation id.
    """
    folder = Path(annotations)
    if not folder.is_dir():
        raise PgtfastError(f"{folder}: no such folder; wanted that of {_USUAL}_subject1_data.json and its companions")
    if every < 1:
        raise PgtfastError(f"every: wanted 1 or more, got {every}")
    if not subjects:
        raise PgtfastError("subjects: wanted at least one, got none")
    options = WorldOptions(
        dataset=dataset,
        landmark_set="h36m17",
        what="Human3.6M in the Pose2Pose authors' layout",
        every=every,
        cameras=None if cameras is None else tuple(cameras),
        body=body,
        path_of=lambda image: image["file_name"],
    )
    found = [_files(folder, subject) for subject in subjects]
    if any(files.bodies is None for files in found) and any(files.bodies is not None for files in found):
        lacking = next(files for files in found if files.bodies is None)
        raise PgtfastError(
            f"{_bodies(lacking.data)}: missing, though other subjects have theirs; add it or take all away"
        )
    return join([read_world(files, options) for files in found], [files.data for files in found])


def read_h36m_spin(path: str | Path, *, dataset: str = "h36m", fits: str | Path | None = None) -> People:
    """Read SPIN's h36m_train.npz, with MoSh's bodies where the file has them; see :func:`read_spin`."""
    return read_spin(path, dataset=dataset, fits=fits)


def _files(folder: Path, subject: int) -> WorldFiles:
    end = f"_subject{subject}_data.json"
    found = sorted(folder.glob(f"*{end}"))
    usual = folder / f"{_USUAL}{end}"
    if usual in found or not found:
        found = [usual]
    if len(found) > 1:
        raise PgtfastError(f"{folder}: {', '.join(path.name for path in found)} are of one subject; keep one dataset")
    stem = found[0].name.removesuffix("_data.json")
    bodies = _bodies(found[0])
    return WorldFiles(
        data=found[0],
        cameras=folder / f"{stem}_camera.json",
        joints=folder / f"{stem}_joint_3d.json",
        bodies=bodies if bodies.is_file() else None,
        camera_keys=("cam_idx",),
        frame_keys=("action_idx", "subaction_idx", "frame_idx"),
    )


def _bodies(data: Path) -> Path:
    return data.with_name(data.name.removesuffix("_data.json") + "_SMPL_NeuralAnnot.json")


def _read(search: Search) -> Found:
    found = search.match("Human36M_subject*_data.json", ("annotations/", ""))
    if not found:
        name = f"h36m_{search.split}.npz"
        return Found(read_h36m_spin(search.need(name, folders=("", "annotations/"))), ("", "images"))
    existing = {int(m[1]) for path in found if (m := re.search(r"_subject(\d+)_data", path.name))}
    of_split = TRAIN_SUBJECTS if search.split == "train" else TEST_SUBJECTS
    wanted = tuple(sorted(existing)) if search.free_world else of_split
    subjects = [s for s in wanted if s in existing]
    if not subjects:
        raise PgtfastError(
            f"{found[0].parent}: split {search.split} is of the subjects {', '.join(map(str, wanted))}, "
            f"only {', '.join(map(str, sorted(existing)))} are there"
        )
    options: dict[str, Any] = {"subjects": subjects, "body": search.one_body}
    if search.free_world:
        search.only("train", "the studio of a free world")
        options.update(every=1)
    elif search.split != "train":
        options.update(every=TEST_EVERY, cameras=TEST_CAMERAS)
    return Found(read_h36m(found[0].parent, **options), ("images", ""))


DATASET = Dataset(
    name="h36m",
    role="mocap",
    layouts="{annotations/,}Human36M_subject{S}_data.json and companions; {,annotations/}h36m_{split}.npz; images/",
    read=_read,
)
