"""Which camera took each image."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import PgtfastError
from . import People

_WANTED = '{"focal": [fx, fy], "center": [cx, cy]} in pixels, or an object of such objects keyed by file_name'


def cameras(
    people: People, *, focal: float | None = None, intrinsics: str | Path | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Focal length and principal point of each person's image.

    Args:
        people: N people.
        focal: pixels, for every image; the principal point is the middle of the image.
        intrinsics: JSON file of cameras. Without either the focal length is the image's diagonal.

    Returns:
        focal (N, 2) and center (N, 2) in pixels; NaN for images that the file does not name.
    """
    size = people.image_size.astype(np.float64)
    length = np.linalg.norm(size, axis=1) if focal is None else np.full(len(people), float(focal))
    lengths, centers = np.stack((length, length), -1), (size - 1) / 2
    if intrinsics is None:
        return lengths, centers
    known = _read(Path(intrinsics))
    for row, name in enumerate(people.image_path):
        camera = known.get("", known.get(name))
        lengths[row], centers[row] = (math.nan, math.nan) if camera is None else camera
    return lengths, centers


def _read(path: Path) -> dict[str, tuple[list[float], list[float]]]:
    """Cameras by file name; under "" the one of all images."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PgtfastError(f"--intrinsics {path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise PgtfastError(f"--intrinsics {path}: not JSON ({error}); wanted {_WANTED}") from error
    if not isinstance(content, dict):
        raise PgtfastError(f"--intrinsics {path}: wanted {_WANTED}, got {type(content).__name__}")
    if "focal" in content or "center" in content:
        content = {"": content}
    return {
        name: (_pair(path, name, value, "focal", 1e-3), _pair(path, name, value, "center", -math.inf))
        for name, value in content.items()
    }


def _pair(path: Path, name: str, camera: Any, key: str, above: float) -> list[float]:
    value = camera.get(key) if isinstance(camera, dict) else None
    sound = (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(v, (int, float)) and math.isfinite(v) and v > above for v in value)
    )
    if not sound:
        where = f" of {name!r}" if name else ""
        raise PgtfastError(
            f"--intrinsics {path}: key {key!r}{where}: wanted two numbers of pixels, got {str(value)[:60]}; the file "
            f"is {_WANTED}"
        )
    return [float(v) for v in value]  # type: ignore[union-attr]
