"""MPI-INF-3DHP in the JSON layout of the Pose2Pose authors, and in SPIN's -> :class:`People`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from .._errors import PgtfastError
from ..body import BodyModel
from ..people.table import People
from ._spin import read_spin
from ._world_files import WorldFiles, WorldOptions, read_world
from .dataset import Dataset, Found, Search
from .world import WorldCamera

_STEM = "MPI-INF-3DHP"
_NEAR = 1.3
"""The principal point of a camera that fits lies within this factor of the image's middle."""


def read_mpi_inf_3dhp(
    annotations: str | Path,
    *,
    every: int = 3,
    cameras: Sequence[int] | None = None,
    resize_cameras: bool = False,
    body: BodyModel | None = None,
    dataset: str = "mpi_inf_3dhp",
) -> People:
    """Read MPI-INF-3DHP_1k.json, MPI-INF-3DHP_camera_1k.json and MPI-INF-3DHP_joint_3d.json (the first two also without
    "_1k").

    The authors annotate a copy of the images of about a thousand pixels; cameras of the full images (2048 px) do not
    fit it. Each camera's principal
    point is therefore held against the annotated image size. Joints are moved from the world to the camera as for
    :func:`read_h36m`, and the bodies of
    MPI-INF-3DHP_SMPL_NeuralAnnot.json where it is there.

    Args:
        annotations: the folder of the files.
        every: keep the frames whose number this divides.
        cameras: numbers of the cameras to keep; None keeps all.
        resize_cameras: scale cameras of images of twice or half the size to the annotated one, rather than refuse them.
        body: the body of the SMPL file; without it `transl` is NaN.
        dataset: first part of each person's key.

    Returns:
        One row for each annotation, "mpi17"; image paths are S1/Seq1/imageSequence/FILE, relative to the folder
        images_1k.

    Raises:
        PgtfastError: a file is missing or cannot be read, lacks the camera of an image, or a camera is of another image
        size.
    """
    folder = Path(annotations)
    if every < 1:
        raise PgtfastError(f"every: wanted 1 or more, got {every}")
    data = _first(folder, "", "_1k")
    bodies = folder / f"{_STEM}_SMPL_NeuralAnnot.json"
    small = data.stem.endswith("_1k")
    files = WorldFiles(
        data=data,
        cameras=_first(folder, "_camera", "_1k" if small else ""),
        joints=folder / f"{_STEM}_joint_3d.json",
        bodies=bodies if bodies.is_file() else None,
        camera_keys=("subject_idx", "seq_idx", "cam_idx"),
        frame_keys=("subject_idx", "seq_idx", "frame_idx"),
    )
    options = WorldOptions(
        dataset=dataset,
        landmark_set="mpi17",
        what="MPI-INF-3DHP in the Pose2Pose authors' layout",
        every=every,
        cameras=None if cameras is None else tuple(cameras),
        body=body,
        path_of=_image_path,
        camera_of=partial(_fit, resize=resize_cameras),
        cure="The 1k images need MPI-INF-3DHP_camera_1k.json",
    )
    return read_world(files, options)


def read_mpi_inf_3dhp_spin(
    path: str | Path, *, dataset: str = "mpi_inf_3dhp", fits: str | Path | None = None
) -> People:
    """Read SPIN's mpi_inf_3dhp_train.npz; see :func:`read_spin`. Its images are the full frames, of 2048 px."""
    return read_spin(path, dataset=dataset, fits=fits)


def _first(folder: Path, middle: str, end: str) -> Path:
    """The file with or without "_1k", the preferred end first."""
    names = [f"{_STEM}{middle}{one}.json" for one in (end, "" if end else "_1k")]
    return next((folder / name for name in names if (folder / name).is_file()), folder / names[0])


def _image_path(image: Mapping) -> str:
    return f"S{image['subject_idx']}/Seq{image['seq_idx']}/imageSequence/{image['file_name']}"


def _fit(camera: WorldCamera, size: np.ndarray, path: Path, *, resize: bool) -> WorldCamera:
    """The camera of an image of `size`; cameras of twice or half that size are scaled where that is asked for."""
    off = camera.center / (size / 2)
    for factor in (1.0, 2.0, 0.5):
        if (off / factor < _NEAR).all() and (off / factor > 1 / _NEAR).all():
            break
    else:
        factor = 0.0
    if factor == 1:
        return camera
    if resize and factor:
        center = (camera.center + 0.5) / factor - 0.5
        return camera._replace(focal=camera.focal / factor, center=center)
    cure = (
        "take MPI-INF-3DHP_camera_1k.json with the 1k images, or pass resize_cameras=True"
        if factor
        else "take the data and camera files from one copy of the dataset"
    )
    raise PgtfastError(
        f"{path}: a principal point of ({camera.center[0]:.0f}, {camera.center[1]:.0f}) does not fit images of "
        f"{size[0]} x {size[1]} px"
        f"{f': the camera is of images {factor:g} times as large' if factor else ''}; {cure}"
    )


def _read(search: Search) -> Found:
    found = search.find(f"{_STEM}_1k.json", f"{_STEM}.json", folders=("annotations/", "data/", ""))
    if found is None:
        name = f"mpi_inf_3dhp_{search.split}.npz"
        return Found(read_mpi_inf_3dhp_spin(search.need(name, folders=("", "annotations/"))), ("", "images"))
    search.only("train", f"{found.name}, which holds the training subjects alone,")
    people = read_mpi_inf_3dhp(found.parent, body=search.one_body)
    return Found(people, ("images_1k", "data/images_1k", "images", ""))


DATASET = Dataset(
    name="mpi_inf_3dhp",
    role="mocap",
    layouts="{annotations/,data/,}MPI-INF-3DHP{_1k,}.json and companions; {,annotations/}mpi_inf_3dhp_{split}.npz; "
    "{,data/}images_1k/, images/",
    read=_read,
)
