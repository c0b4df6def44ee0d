"""CrowdPose: COCO's layout with 14 joints, and sizes that are the wrong way round in some files."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import skeletons
from ..images.sizes import swapped_sizes
from ..people.table import People
from ._coco_layout import fill_points, read_layout
from .dataset import Dataset, Found, Search

_LOG = logging.getLogger(__name__)


def read_crowdpose(path: str | Path, *, images: str | Path | None = None, dataset: str | None = None) -> People:
    """Read a CrowdPose file.

    Some releases of the training files give each picture's width as its height. Where `images` is given, each picture's
    header decides;
    else the keypoints do, for the whole file (see :func:`swapped_sizes`). What was exchanged is counted in a log
    message.

    Args:
        path: crowdpose_{train,val,test,trainval}.json.
        images: folder of the pictures, or None.
        dataset: first part of each person's key; None takes the file's name without suffix.
    """
    joints = skeletons.get("crowdpose14").joints
    people = read_layout(
        path,
        dataset=dataset,
        landmark_set="crowdpose14",
        what="CrowdPose's 14 keypoints",
        fill_of=lambda held: lambda out, entry: fill_points(out, entry.get("keypoints"), joints),
        category_joints=len(joints),
    )
    folder = Path(images) if images is not None else None
    swapped = swapped_sizes(people, folder)
    if not swapped.any():
        return people
    count = len(set(people.image_path[swapped]))
    _LOG.warning("%s: width and height of %d pictures were swapped; they have been put right", path, count)
    return replace(people, image_size=np.where(swapped[:, None], people.image_size[:, ::-1], people.image_size))


def _read(search: Search) -> Found:
    names = [f"{folder}crowdpose_{search.split}.json" for folder in ("annotations/", "json/", "")]
    path = search.need(*names, "test_crowdpose.json")
    folder = next((f for f in (search.root / "images", search.root) if any(f.glob("*.jpg"))), None)
    return Found(read_crowdpose(path, images=folder, dataset="crowdpose"), ("images", ""))


DATASET = Dataset(
    name="crowdpose",
    role="wild",
    layouts="{annotations/,json/,}crowdpose_{split}.json, test_crowdpose.json; images/, the folder",
    read=_read,
)
