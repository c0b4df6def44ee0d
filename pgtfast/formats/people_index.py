"""Who is annotated: ids, images, boxes and cameras of an annotation file, for formats that do not hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import PgtfastError
from ..datasets.world import WorldCamera, read_camera
from ..files.json import brief, by_id, entries, integer, load_object, numbers, unique_ids
from ..people import People, empty_people
from .format import Context
from .spin import SPIN

_WHAT = "an annotation file in COCO's layout"
_LAYOUTS = {
    "h36m": (("action_idx", "subaction_idx", "frame_idx"), ("cam_idx",)),
    "mpi-inf-3dhp": (("subject_idx", "seq_idx", "frame_idx"), ("subject_idx", "seq_idx", "cam_idx")),
}
"""Keys of an image that lead to its frame among the bodies and to its camera."""


@dataclass(frozen=True, eq=False)
class PeopleIndex:
    """Annotated people, keyed by annotation id."""

    path: Path
    people: People
    """Without bodies; with camera where the file has one for each image (3DPW)."""
    frames: list[tuple[str, ...]]
    """Keys of each one's frame in the world; empty where the set has no such thing."""
    which: np.ndarray
    """(N,) camera of each, -1 where unknown."""
    cameras: list[WorldCamera]

    def __len__(self) -> int:
        return len(self.people)

    def extrinsics(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rotations (N, 3, 3) and translations (N, 3), metres, world to camera, of the cameras of these rows."""
        cameras = [self.cameras[which] for which in self.which[rows]]
        if not cameras:
            return np.zeros((0, 3, 3)), np.zeros((0, 3))
        return np.stack([camera.rotation for camera in cameras]), np.stack([camera.translation for camera in cameras])


def read_people(path: str | Path, *, dataset: str, variant: str = "itw", cameras: Path | None = None) -> PeopleIndex:
    """Read a JSON in COCO's layout (COCO, MPII, CrowdPose, 3DPW, and with cameras Human3.6M and MPI-INF-3DHP), or an
    npz in SPIN's.

    Args:
        path: the file.
        dataset: first part of each person's key.
        variant: "h36m" or "mpi-inf-3dhp" where bodies are wanted in the world.
        cameras: JSON of the set's cameras; needed for these two.

    Raises:
        PgtfastError: the file is of another layout, an id is missing or there twice, or a camera is missing.
    """
    path = Path(path)
    if path.suffix == ".npz":
        (people,) = SPIN.read(path, Context(dataset=dataset))  # type: ignore[misc]
        return PeopleIndex(path, people, [], np.full(len(people), -1), [])
    content = load_object(path, _WHAT, ("images", "annotations"))
    images = by_id(path, content, "images", _WHAT)
    held = entries(path, content, "annotations", _WHAT)
    people = empty_people(dataset, unique_ids(path, "annotations", held))
    index = PeopleIndex(path, people, [], np.full(len(held), -1), [])
    found: dict[tuple, int] = {}
    tree = None
    if variant in _LAYOUTS:
        if cameras is None:
            raise PgtfastError(f"{path}: --variant {variant} needs the cameras of the set: --cameras FILE")
        tree = load_object(cameras, "cameras")
    seen: dict[Any, int] = {}
    for row, entry in enumerate(held):
        image = images.get(integer(entry.get("image_id")))  # type: ignore[arg-type]
        if image is None:
            raise PgtfastError(
                f"{path}: annotation {people.annotation_id[row]}: image_id {brief(entry.get('image_id'))} is not "
                f"among its images"
            )
        _put_row(path, people, row, image, entry)
        people.person_id[row] = seen[id(image)] = seen.get(id(image), -1) + 1
        if variant in _LAYOUTS and cameras is not None:
            frame, camera = ([_key(path, image, name) for name in names] for names in _LAYOUTS[variant])
            known = tuple(camera)
            if known not in found:
                found[known] = len(index.cameras)
                index.cameras.append(read_camera(cameras, tree, camera, ("f", "focal"), ("c", "princpt")))
            index.which[row] = found[known]
            index.frames.append(tuple(frame))
    if index.cameras:
        focal, center = (
            np.stack([getattr(c, name) for c in index.cameras])[index.which] for name in ("focal", "center")
        )
        return replace(index, people=replace(people, focal=focal, center=center))
    return index


def _put_row(path: Path, people: People, row: int, image: Mapping[str, Any], entry: Mapping[str, Any]) -> None:
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        raise PgtfastError(f"{path}: image {brief(image.get('id'))}: file_name: wanted a name, got {brief(name)}")
    sequence = image.get("sequence")
    people.image_path[row] = f"{sequence}/{name}" if isinstance(sequence, str) and "/" not in name else name
    size = [integer(image.get(key)) for key in ("width", "height")]
    if all(n is not None and 0 < n < 2**31 for n in size):
        people.image_size[row] = size
    box = numbers(entry.get("bbox"), 4)
    if box is not None and box[2] > 0 and box[3] > 0:
        people.bbox[row] = box
    camera = image.get("cam_param")
    if isinstance(camera, dict):
        focal, center = numbers(camera.get("focal"), 2), numbers(camera.get("princpt"), 2)
        if focal is not None and center is not None and min(focal) > 0:
            people.focal[row], people.center[row] = focal, center


def _key(path: Path, image: Mapping[str, Any], name: str) -> str:
    value = integer(image.get(name))
    if value is None:
        raise PgtfastError(
            f"{path}: image {brief(image.get('id'))}: key '{name}': wanted a whole number, got {brief(image.get(name))}"
        )
    return str(value)
