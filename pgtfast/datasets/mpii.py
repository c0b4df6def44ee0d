"""MPII Human Pose, as JSON: COCO's layout or the list of people that pose estimators train on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..files.json import array, brief, load, number, numbers
from ..people.boxes import keypoint_boxes
from ..people.reason import Reason, Skip
from ..people.table import People, empty_people
from ._coco_layout import OCCLUDED_CONFIDENCE, Fill, fill_points, read_layout
from .dataset import Dataset, Found, Search

_WHAT = "MPII's 16 keypoints"
_FIRST_PIXEL = 1.0
"""MPII was labelled in MATLAB, whose first pixel is (1, 1); both JSON forms copy its numbers."""
_PERSON_PX = 200.0
"""MPII's `scale` is the height of a person in these pixels."""


def read_mpii(path: str | Path, *, dataset: str = "mpii", first_pixel: float = _FIRST_PIXEL) -> People:
    """Read MPII from JSON of either form.

    * COCO's layout (`images`, `annotations` with 16 keypoints and `bbox`). Files disagree about v: where no v of the
    file is 2, v = 1 means
      labelled and counts fully; where there is a 2, v is COCO's flag. No keypoint ever counts more than 1.
    * A list of people with `image`, `joints` (16, 2), `joints_vis` (16), `center` and `scale`. The place in the list is
    the annotation's id.
      The box is that of the labelled joints, a fifth larger; where they span none, a square of `scale` times 200 pixels
      about `center`.

    Args:
        path: the file.
        dataset: first part of each person's key.
        first_pixel: what the file calls the centre of the first pixel: 1 as MPII does, 0 for files whose writer has
            taken it off.

    Raises:
        PgtfastError: the file cannot be read as such JSON, or is the HDF5 file of other projects.
    """
    path = Path(path)
    if path.suffix.lower() in (".h5", ".hdf5", ".mat"):
        raise PgtfastError(
            f"{path}: MPII is read from JSON; convert the annotations to COCO's layout or to a JSON list"
        )
    content = load(path, _WHAT)
    if isinstance(content, list):
        return _read_list(path, content, dataset, first_pixel)
    joints = skeletons.get("mpii16").joints

    def fill_of(held: list[Mapping]) -> Fill:
        flagged = any(
            number(v) == 2 for a in held if isinstance(a.get("keypoints"), list) for v in a["keypoints"][2::3]
        )
        occluded = OCCLUDED_CONFIDENCE if flagged else None
        return lambda out, entry: fill_points(out, entry.get("keypoints"), joints, occluded)

    people = read_layout(
        path,
        dataset=dataset,
        landmark_set="mpii16",
        what=_WHAT,
        fill_of=fill_of,
        category_joints=len(joints),
        first_pixel=first_pixel,
        content=content,
    )
    return _with_boxes(people)


def _read_list(path: Path, content: list, dataset: str, first_pixel: float) -> People:
    people = empty_people(dataset, range(len(content)), landmark_set="mpii16")
    boxes = np.full((len(content), 4), np.nan)
    seen: dict[str, int] = {}
    for row, entry in enumerate(content):
        if not isinstance(entry, dict):
            raise PgtfastError(f"{path}: [{row}]: wanted an object, got {brief(entry)}")
        people.reason[row] = _fill(people, row, entry, seen)
        center, scale = numbers(entry.get("center"), 2), number(entry.get("scale"))
        if center is not None and scale is not None and scale > 0:
            side = scale * _PERSON_PX
            boxes[row] = center[0] - side / 2, center[1] - side / 2, side, side
    if len(content) and all(e.keys().isdisjoint(("joints", "joints_vis")) for e in content):
        raise PgtfastError(
            f"{path}: wanted people with 'image', 'joints', 'joints_vis', 'center', 'scale' ({_WHAT}), got the "
            f"keys {', '.join(content[0])}"
        )
    people.bbox[:] = boxes
    people.bbox[:, :2] -= first_pixel
    people.keypoints[..., :2] -= first_pixel * (people.keypoints[..., 2:] > 0)
    return _with_boxes(people, prefer_keypoints=True)


def _fill(people: People, row: int, entry: Mapping, seen: dict[str, int]) -> Skip | None:
    name = entry.get("image")
    if not isinstance(name, str) or not name:
        return Skip(Reason.BAD_IMAGE, f"image: wanted a name, got {brief(name)}")
    people.image_path[row] = name
    people.person_id[row] = seen[name] = seen.get(name, -1) + 1
    if "joints" not in entry:
        return Skip(Reason.NO_KEYPOINTS, "the annotation has no joints")
    points = array(entry["joints"], (16, 2), finite=False)
    weights = array(entry.get("joints_vis"), (16,))
    if points is None:
        return Skip(Reason.BAD_KEYPOINTS, f"joints: wanted (16, 2) numbers, got {brief(entry['joints'])}")
    if weights is None or (weights < 0).any():
        return Skip(Reason.BAD_KEYPOINTS, f"joints_vis: wanted 16 numbers from 0, got {brief(entry.get('joints_vis'))}")
    labelled = weights > 0
    if not (np.abs(points[labelled]) <= 1e7).all():
        return Skip(Reason.BAD_KEYPOINTS, "joints: a labelled joint is not at finite pixels")
    # Joints that were not found are written at (-1, -1) or (0, 0), some with joints_vis above 0.
    labelled &= ~(points <= 0).all(axis=1)
    if not labelled.any():
        return Skip(Reason.NO_KEYPOINTS, "no joint is labelled")
    people.keypoints[row, labelled, :2] = points[labelled]
    people.keypoints[row, labelled, 2] = np.minimum(weights[labelled], 1)
    return None


def _with_boxes(people: People, *, prefer_keypoints: bool = False) -> People:
    """Boxes from the keypoints where the file has none, or wherever they span one."""
    boxes = keypoint_boxes(people.keypoints)
    lacking = np.isnan(people.bbox).any(axis=1) | prefer_keypoints
    use = lacking & np.isfinite(boxes).all(axis=1)
    people.bbox[use] = boxes[use]
    return people


def _read(search: Search) -> Found:
    split = search.split
    names = [f"annotations/{split}.json", f"annot/{split}.json", f"{split}.json"]
    names += [f"annotations/mpii_{split}.json", f"mpii_{split}.json"]
    if split == "val":
        names += ["annotations/valid.json", "annot/valid.json", "valid.json"]
    return Found(read_mpii(search.need(*names, "test_mpii.json")), ("images", ""))


DATASET = Dataset(
    name="mpii",
    role="wild",
    layouts="{annotations/,annot/,}{split}.json, {annotations/,}mpii_{split}.json, test_mpii.json; images/, the folder",
    read=_read,
)
