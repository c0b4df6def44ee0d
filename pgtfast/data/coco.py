"""COCO person keypoints: instances JSON -> :class:`People`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from .people import People

OCCLUDED_CONFIDENCE = 0.5
"""Confidence of a keypoint with v = 1: labelled, but hidden in the picture, so placed by guess."""


def read_coco_persons(path: str | Path, *, dataset: str | None = None) -> People:
    """Read a COCO person keypoints file.

    A third value of a keypoint is COCO's flag (0 not labelled, 1 labelled but hidden, 2 visible). A person whose third values are not all
    0, 1 or 2 but all in [0, 1], as detectors write, has them taken as confidences. Numbers written as strings are read as numbers.

    Args:
        path: JSON with `images` and `annotations`; `categories`, where present, says which annotations are people.
        dataset: first part of each person's key; None takes the file's name without suffix.

    Returns:
        One row for each annotation of a person, in file order. A person who cannot be used (crowd region, no keypoint, damaged entry) has a reason.

    Raises:
        PgtfastError: the file cannot be read as such JSON, or an id is missing or given twice.
    """
    path = Path(path)
    content = _load(path)
    images = _images(path, content)
    person = _person_category(path, content)
    entries = [
        a for a in _entries(path, content, "annotations") if person is None or a.get("category_id", person) == person
    ]
    ids = _unique_ids(path, "annotations", entries)
    count, joints = len(entries), len(skeletons.get("coco17"))
    people = People(
        dataset=dataset or path.stem,
        landmark_set="coco17",
        image_path=np.full(count, None, dtype=object),
        image_size=np.zeros((count, 2), dtype=np.int64),
        annotation_id=np.array(ids, dtype=np.int64),
        person_id=np.zeros(count, dtype=np.int64),
        bbox=np.full((count, 4), np.nan),
        keypoints=np.zeros((count, joints, 3)),
        reason=np.full(count, None, dtype=object),
    )
    seen: dict[Any, int] = {}
    for row, entry in enumerate(entries):
        people.reason[row] = _fill(people, row, entry, images, seen)
    return people


def _fill(people: People, row: int, entry: Mapping, images: dict[int, Mapping], seen: dict[Any, int]) -> str | None:
    """Put one annotation in its row; why it cannot be used, or None."""
    image_id = _integer(entry.get("image_id"))
    image = images.get(image_id) if image_id is not None else None
    if image is None:
        return f"no-image: image_id {_brief(entry.get('image_id'))} is not among the file's images"
    people.person_id[row] = seen[image_id] = seen.get(image_id, -1) + 1
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        return f"bad-image: image {image_id}: file_name: wanted a name, got {_brief(name)}"
    people.image_path[row] = name
    size = [_integer(image.get(key)) for key in ("width", "height")]
    if any(n is None or not 0 < n < 2**31 for n in size):
        got = ", ".join(_brief(image.get(key)) for key in ("width", "height"))
        return f"bad-image: image {image_id}: width, height: wanted positive numbers of pixels, got {got}"
    people.image_size[row] = size
    if "bbox" in entry:
        box = _numbers(entry["bbox"], 4)
        if box is None:
            return f"bad-box: bbox: wanted 4 finite numbers x, y, width, height, got {_brief(entry['bbox'])}"
        if not (box[2] > 0 and box[3] > 0):
            return f"bad-box: bbox: wanted width and height above 0, got {box[2]:g} x {box[3]:g}"
        people.bbox[row] = box
    if entry.get("iscrowd") in (1, "1", True):
        return "crowd: the annotation marks a crowd, not a person"
    points = np.zeros_like(people.keypoints[row])
    reason = _fill_keypoints(points, entry.get("keypoints"))
    if reason is None:
        people.keypoints[row] = points
    return reason


def _fill_keypoints(out: np.ndarray, raw: Any) -> str | None:
    joints = skeletons.get("coco17").joints
    if raw is None:
        return "no-keypoints: the annotation has no keypoints"
    if not isinstance(raw, list) or len(raw) != 3 * len(joints):
        got = f"{len(raw)}" if isinstance(raw, list) else _brief(raw)
        return f"bad-keypoints: wanted {3 * len(joints)} numbers (x, y, v of {len(joints)} joints), got {got}"
    values = [_number(v) for v in raw]
    flags = values[2::3]
    for joint, flag in enumerate(flags):
        if flag is None:
            return f"bad-keypoints: v of {joints[joint]}: wanted a number, got {_brief(raw[3 * joint + 2])}"
    known = [f for f in flags if f is not None]
    if all(f in (0, 1, 2) for f in known):
        confidence = [(0.0, OCCLUDED_CONFIDENCE, 1.0)[int(f)] for f in known]
    elif all(0 <= f <= 1 for f in known):
        confidence = known
    else:
        wrong = next(j for j, f in enumerate(known) if f not in (0, 1, 2))
        return (
            f"bad-keypoints: v of {joints[wrong]}: wanted 0, 1 or 2 (or confidences from 0 to 1), got {known[wrong]:g}"
        )
    for joint, weight in enumerate(confidence):
        x, y = values[3 * joint], values[3 * joint + 1]
        if weight == 0:
            continue
        if x is None or y is None or max(abs(x), abs(y)) > 1e7:
            return f"bad-keypoints: x, y of {joints[joint]}: wanted pixels, got {_brief(raw[3 * joint])}, {_brief(raw[3 * joint + 1])}"
        out[joint] = x, y, weight
    if not any(confidence):
        return "no-keypoints: no keypoint is labelled"
    return None


def _load(path: Path) -> Mapping:
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError as error:
        raise PgtfastError(f"{path}: no such file") from error
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be read ({error.strerror})") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise PgtfastError(
            f"{path}: not JSON ({error.msg} at {where}); truncated? Copy or download it again"
        ) from error
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise PgtfastError(
            f"{path}: not JSON ({type(error).__name__}); wanted COCO person keypoints as UTF-8 JSON"
        ) from error
    if not isinstance(content, dict):
        raise PgtfastError(
            f"{path}: wanted a JSON object with 'images' and 'annotations' (COCO person keypoints), got {_brief(content)}"
        )
    return content


def _entries(path: Path, content: Mapping, key: str) -> list[Mapping]:
    held = content.get(key)
    if not isinstance(held, list):
        got = "none" if key not in content else _brief(held)
        raise PgtfastError(f"{path}: key '{key}': wanted a list of objects (COCO person keypoints), got {got}")
    for at, entry in enumerate(held):
        if not isinstance(entry, dict):
            raise PgtfastError(f"{path}: {key}[{at}]: wanted an object, got {_brief(entry)}")
    return held


def _unique_ids(path: Path, key: str, entries: list[Mapping]) -> list[int]:
    """Ids of the entries; people are keyed by them, so each must be there, once."""
    first: dict[int, int] = {}
    for at, entry in enumerate(entries):
        number = _integer(entry.get("id"))
        if number is None or not -(2**63) <= number < 2**63:
            raise PgtfastError(f"{path}: {key}[{at}]: key 'id': wanted a whole number, got {_brief(entry.get('id'))}")
        if number in first:
            raise PgtfastError(
                f"{path}: {key}[{at}]: id {number} is already that of {key}[{first[number]}]; ids must be unique, remove or renumber one"
            )
        first[number] = at
    return list(first)


def _images(path: Path, content: Mapping) -> dict[int, Mapping]:
    entries = _entries(path, content, "images")
    return dict(zip(_unique_ids(path, "images", entries), entries, strict=True))


def _person_category(path: Path, content: Mapping) -> Any:
    """Id of the category "person", or None where the file has no categories."""
    if "categories" not in content:
        return None
    categories = _entries(path, content, "categories")
    found = [c for c in categories if c.get("name") == "person"]
    if not found:
        others = ", ".join(_brief(c.get("name")) for c in categories[:5]) or "none"
        raise PgtfastError(f"{path}: key 'categories': wanted one named 'person', got {others}")
    names = found[0].get("keypoints")
    wanted = skeletons.get("coco17").index
    if names is not None and not (
        isinstance(names, list) and [skeletons.joint_key(str(n)) for n in names] == list(wanted)
    ):
        raise PgtfastError(
            f"{path}: categories: keypoints: wanted COCO's 17 ({', '.join(wanted)}) in this order, got {_brief(names)}"
        )
    return found[0].get("id")


def _number(value: Any) -> float | None:
    """A finite number, also one written as a string; else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _integer(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            return None
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _numbers(value: Any, count: int) -> list[float] | None:
    if not isinstance(value, list) or len(value) != count:
        return None
    numbers = [_number(v) for v in value]
    return None if None in numbers else numbers  # type: ignore[return-value]


def _brief(value: Any) -> str:
    """A value for a message, cut short."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
