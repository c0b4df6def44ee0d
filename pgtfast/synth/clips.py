"""Recorded poses that people of the open world may take."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from .._errors import PgtfastError

_HELD_OUT = 5
"""One clip in so many is the test's alone."""


def read_clips(path: Path) -> dict[str, np.ndarray]:
    """Read recorded poses.

    Args:
        path: npz with `poses` (N, 24, 3) or (N, 72), rotation vectors of SMPL's joints in a frame with y up, radians,
            and, if there is, `src` (N,), which names the clip of each.

    Returns:
        Poses (M, 24, 3) float32 by set: one clip in five is the test's, the others are those of wild and bridge.
        Without `src`, or of fewer clips than five, all have all.

    Raises:
        PgtfastError: the file cannot be read, or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            poses = np.asarray(file["poses"], np.float32)
            source = np.asarray(file["src"]) if "src" in file.files else np.zeros(len(poses))
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be read ({error.strerror or error}); wanted an npz of poses") from error
    except (KeyError, ValueError) as error:
        raise PgtfastError(f"{path}: not an npz with the array 'poses' ({error})") from error
    if poses.ndim not in (2, 3) or poses.size != len(poses) * 72 or not len(poses) or not np.isfinite(poses).all():
        raise PgtfastError(f"{path}: poses: wanted finite numbers (N, 24, 3) or (N, 72), got {poses.shape}")
    if source.shape != (len(poses),):
        raise PgtfastError(f"{path}: src: wanted a name for each of {len(poses)} poses, got {source.shape}")
    poses = poses.reshape(-1, 24, 3)
    names, clip = np.unique(source, return_inverse=True)
    held_out = clip % _HELD_OUT == _HELD_OUT - 1 if len(names) >= _HELD_OUT else np.ones(len(poses), bool)
    rest = ~held_out if len(names) >= _HELD_OUT else held_out
    return {"wild": poses[rest], "bridge": poses[rest], "test": poses[held_out]}


def identity_of(path: Path) -> str:
    """sha256 of a file's bytes."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be read ({error.strerror or error}); wanted an npz of poses") from error
