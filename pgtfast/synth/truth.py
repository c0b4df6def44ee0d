"""The hidden truth of a set: what its annotations do not say. Nothing that learns or fits may open it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._errors import PgtfastError
from ..files.atomic import replacing


class Truth(NamedTuple):
    """N people; row i of every array is the person of `annotation_id[i]` in the set's annotations.

    Convention:
        Metres, radians, camera frame (x right, y down, z forward). A point X is seen at focal * X[:2] / X[2] + center,
        in pixels with the centre of the first pixel at (0, 0). The pose is that of the body and prior named in the
        world's run.json.
    """

    annotation_id: np.ndarray
    """(N,) int64."""
    image_id: np.ndarray
    """(N,) int64."""
    global_orient: np.ndarray
    """(N, 3) rotation vector, camera frame."""
    body_pose: np.ndarray
    """(N, 69) rotation vectors of joints 1 to 23."""
    betas: np.ndarray
    """(N, 10)."""
    transl: np.ndarray
    """(N, 3) metres."""
    latent: np.ndarray
    """(N, 32) where the prior's encoder puts the pose."""
    focal: np.ndarray
    """(N, 2) pixels."""
    center: np.ndarray
    """(N, 2) pixels."""
    joints: np.ndarray
    """(N, 24, 3) kinematic joints, metres."""
    landmarks: np.ndarray
    """(N, 17, 3) the annotated COCO keypoints, metres."""
    landmarks_2d: np.ndarray
    """(N, 17, 2) where they are seen, pixels, without the annotation's noise; also of those outside the image."""
    visibility: np.ndarray
    """(N, 17) int8: 0 outside the image, 1 hidden, 2 visible. An annotator leaves out some of the hidden ones: their
    flag in the annotation is 0."""
    up: np.ndarray
    """(N, 3) unit vector against gravity, camera frame."""
    camera_height: np.ndarray
    """(N,) metres above the floor."""

    def __repr__(self) -> str:
        return f"Truth({', '.join(f'{k}={v.shape}' for k, v in self._asdict().items())})"


def write_truth(path: Path, columns: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Join the images' arrays, by name of the column, in an npz."""
    joined = {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in columns.items()}
    with replacing(path) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, **joined)  # type: ignore[arg-type]  # numpy types allow_pickle only


def read_truth(path: str | Path) -> Truth:
    """Read the truth of a set.

    Args:
        path: OUT/truth/wild.npz or OUT/truth/test.npz, or the world's folder OUT, for that of wild.

    Raises:
        PgtfastError: there is no such file, or it is not one.
    """
    path = Path(path)
    path = path / "truth" / "wild.npz" if path.is_dir() else path
    try:
        with np.load(path, allow_pickle=False) as file:
            return Truth(**{name: file[name] for name in Truth._fields})
    except FileNotFoundError as error:
        raise PgtfastError(f"{path}: no such file; python -m pgtfast.synth makes a world with its truth") from error
    except (OSError, ValueError, KeyError) as error:
        raise PgtfastError(f"{path}: not the truth of a set ({error}); make the world anew") from error
