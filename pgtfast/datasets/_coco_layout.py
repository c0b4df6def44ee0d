"""Files in COCO's layout, whatever their joints: images, annotations, categories -> :class:`People`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..files.json import brief, by_id, entries, integer, load_object, number, numbers, unique_ids
from ..people.reason import Reason, Skip
from ..people.table import People, empty_people

OCCLUDED_CONFIDENCE = 0.5
"""Confidence of a keypoint with v = 1: labelled, but hidden in the picture, so placed by guess."""

Fill = Callable[[np.ndarray, Mapping], Skip | None]
"""Puts the keypoints of an annotation into (K, 3); why they cannot be used, or None."""


def read_layout(
    path: str | Path,
    *,
    dataset: str | None,
    landmark_set: str,
    what: str,
    fill_of: Callable[[list[Mapping]], Fill],
    category_joints: Sequence[str] | int | None = None,
    first_pixel: float = 0.0,
    content: Any = None,
) -> People:
    """Read a file in COCO's layout.

    Args:
        path: JSON with `images` and `annotations`; `categories`, where present, says which annotations are people.
        dataset: first part of each person's key; None takes the file's name without suffix.
        landmark_set: the set of the keypoints.
        what: the kind of file, for messages.
        fill_of: gets all annotations of people, and returns what reads the keypoints of one.
        category_joints: the keys that the category's `keypoints`, where present, must have in this order, or how many
            of them.
        first_pixel: coordinate of the centre of the first pixel in the file, taken off the boxes and keypoints.
        content: what the file holds, where it has been loaded already.
    """
    path = Path(path)
    content = load_object(path, what, ("images", "annotations"), content)
    images = by_id(path, content, "images", what)
    categories = person_categories(path, content, what, category_joints)
    held = [a for a in entries(path, content, "annotations", what) if is_person(a, categories)]
    ids = unique_ids(path, "annotations", held)
    people = empty_people(dataset or path.stem, ids, landmark_set=landmark_set)
    fill = fill_of(held)
    seen: dict[Any, int] = {}
    for row, entry in enumerate(held):
        people.reason[row] = fill_row(people, row, entry, images, seen, fill)
    if first_pixel:
        people.bbox[:, :2] -= first_pixel
        people.keypoints[..., :2] -= first_pixel * (people.keypoints[..., 2:] > 0)
    return people


def read_frame(
    people: People, row: int, entry: Mapping, images: Mapping[int, Mapping], seen: dict[int, int]
) -> tuple[Mapping, Skip | None]:
    """Put the image of an annotation, its place among the people of the image and its box in a row.

    Returns:
        The image's entry, and why the annotation cannot be used, or None.
    """
    image_id = integer(entry.get("image_id"))
    if image_id is None or image_id not in images:
        return {}, Skip(Reason.NO_IMAGE, f"image_id {brief(entry.get('image_id'))} is not among the file's images")
    image = images[image_id]
    people.person_id[row] = seen[image_id] = seen.get(image_id, -1) + 1
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        return image, Skip(Reason.BAD_IMAGE, f"image {image_id}: file_name: wanted a name, got {brief(name)}")
    people.image_path[row] = name
    size = [integer(image.get(key)) for key in ("width", "height")]
    if any(n is None or not 0 < n < 2**31 for n in size):
        got = ", ".join(brief(image.get(key)) for key in ("width", "height"))
        return image, Skip(
            Reason.BAD_IMAGE, f"image {image_id}: width, height: wanted positive numbers of pixels, got {got}"
        )
    people.image_size[row] = size
    if "bbox" in entry:
        box = numbers(entry["bbox"], 4)
        if box is None:
            return image, Skip(
                Reason.BAD_BOX, f"bbox: wanted 4 finite numbers x, y, width, height, got {brief(entry['bbox'])}"
            )
        if not (box[2] > 0 and box[3] > 0):
            return image, Skip(Reason.BAD_BOX, f"bbox: wanted width and height above 0, got {box[2]:g} x {box[3]:g}")
        people.bbox[row] = box
    return image, None


def fill_row(
    people: People, row: int, entry: Mapping, images: Mapping[int, Mapping], seen: dict[int, int], fill: Fill
) -> Skip | None:
    """Put one annotation in its row; why it cannot be used, or None."""
    _, reason = read_frame(people, row, entry, images, seen)
    if reason is not None:
        return reason
    if entry.get("iscrowd") in (1, "1", True):
        return Skip(Reason.CROWD, "the annotation marks a crowd, not a person")
    points = np.zeros_like(people.keypoints[row])
    reason = fill(points, entry)
    if reason is None:
        people.keypoints[row] = points
    return reason


def fill_points(
    out: np.ndarray, raw: Any, joints: Sequence[str], occluded: float | None = OCCLUDED_CONFIDENCE
) -> Skip | None:
    """Put a flat list of x, y, v into (K, 3); why it cannot be used ("no-keypoints" where none is labelled), or None.

    `occluded` is the confidence of v = 1; None takes any v above 0 as 1.
    """
    if raw is None:
        return Skip(Reason.NO_KEYPOINTS, "the annotation has no keypoints")
    if not isinstance(raw, list) or len(raw) != 3 * len(joints):
        got = f"{len(raw)}" if isinstance(raw, list) else brief(raw)
        return Skip(
            Reason.BAD_KEYPOINTS, f"wanted {3 * len(joints)} numbers (x, y, v of {len(joints)} joints), got {got}"
        )
    values = [number(v) for v in raw]
    flags = values[2::3]
    for joint, flag in enumerate(flags):
        if flag is None:
            return Skip(Reason.BAD_KEYPOINTS, f"v of {joints[joint]}: wanted a number, got {brief(raw[3 * joint + 2])}")
    known = [f for f in flags if f is not None]
    if all(f in (0, 1, 2) for f in known):
        levels = (0.0, 1.0 if occluded is None else occluded, 1.0)
        confidence = [levels[int(f)] for f in known]
    elif all(0 <= f <= 1 for f in known):
        confidence = known
    else:
        wrong = next(j for j, f in enumerate(known) if f not in (0, 1, 2))
        return Skip(
            Reason.BAD_KEYPOINTS,
            f"v of {joints[wrong]}: wanted 0, 1 or 2 (or confidences from 0 to 1), got {known[wrong]:g}",
        )
    for joint, weight in enumerate(confidence):
        x, y = values[3 * joint], values[3 * joint + 1]
        if weight == 0:
            continue
        if x is None or y is None or max(abs(x), abs(y)) > 1e7:
            return Skip(
                Reason.BAD_KEYPOINTS,
                f"x, y of {joints[joint]}: wanted pixels, got {brief(raw[3 * joint])}, {brief(raw[3 * joint + 1])}",
            )
        out[joint] = x, y, weight
    if not any(confidence):
        return Skip(Reason.NO_KEYPOINTS, "no keypoint is labelled")
    return None


def person_categories(path: Path, content: Mapping, what: str, joints: Sequence[str] | int | None) -> list | None:
    """Ids of the categories "person" (several in files that were merged), or None where the file has no categories."""
    if "categories" not in content:
        return None
    categories = entries(path, content, "categories", what)
    found = [c for c in categories if c.get("name") == "person"]
    if not found:
        others = ", ".join(brief(c.get("name")) for c in categories[:5]) or "none"
        raise PgtfastError(f"{path}: key 'categories': wanted one named 'person', got {others}")
    for names in (c.get("keypoints") for c in found):
        if names is None or joints is None:
            continue
        if isinstance(joints, int):
            fits, wanted = isinstance(names, list) and len(names) == joints, f"{joints} ({what})"
        else:
            fits = isinstance(names, list) and [skeletons.joint_key(str(n)) for n in names] == list(joints)
            wanted = f"{what}: {len(joints)} ({', '.join(joints)}) in this order"
        if not fits:
            raise PgtfastError(f"{path}: categories: keypoints: wanted {wanted}, got {brief(names)}")
    ids = [_category(c.get("id")) for c in found]
    return None if None in ids else ids


def is_person(entry: Mapping, categories: list | None) -> bool:
    """Whether an annotation is of one of the categories, or says nothing of its category."""
    category = _category(entry.get("category_id"))
    return categories is None or category is None or category in categories


def _category(value: Any) -> Any:
    """An id of a category: a number where it is one, however it is written."""
    whole = integer(value)
    return value if whole is None else whole
