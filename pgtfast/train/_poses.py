"""Motion capture poses for training a prior: the small CMU file, AMASS folders; cleaning; a split by clip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .._errors import PgtfastError
from ..files.unpickle import load_npz

RATE = 10.0
"""Poses a second that are kept: neighbouring frames of a fast capture are nearly the same pose."""

_KEYS = frozenset(("poses", "src", "mocap_framerate", "mocap_frame_rate"))

_UNTRUSTED = {"left_ankle": 6, "right_ankle": 7, "left_wrist": 19, "right_wrist": 20}
_UNTRUSTED_ANGLE = 1.3


@dataclass(frozen=True)
class PoseSet:
    """Body poses with the clip that each comes from."""

    pose: Tensor
    """(N, 21, 3) rotation vectors of SMPL's joints 1..21, radians."""
    clip: Tensor
    """(N,) int64: index into `clips`."""
    clips: tuple[str, ...]
    """Names, sorted."""
    replaced: int
    """Joints set to the rest rotation because they were capture glitches."""

    def __len__(self) -> int:
        return self.pose.shape[0]

    def select(self, clips: set[str]) -> PoseSet:
        """The poses of the named clips."""
        keep = torch.tensor([name in clips for name in self.clips])[self.clip]
        return PoseSet(self.pose[keep], self.clip[keep], self.clips, self.replaced)

    def describe(self) -> str:
        return f"{len(self):,} poses of {len(self.clip.unique())} clips"


def read_poses(file: Path | None, amass: Path | None) -> PoseSet:
    """Read every pose of the sources that are given.

    Args:
        file: npz with `poses` (N, 24, 3) in radians at 10 Hz and `src` (N,), the clip of each.
        amass: folder searched for AMASS npz files.

    Returns:
        All poses, glitches replaced.
    """
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    if file is not None:
        parts.append(_read_file(file))
    if amass is not None:
        parts.extend(_read_amass(amass))
    if not parts:
        raise PgtfastError("poses: no source of poses. Give --poses FILE.npz, --amass DIR, or both.")
    pose = torch.from_numpy(np.concatenate([p for p, _ in parts])).float()
    names = np.concatenate([n for _, n in parts])
    clips, index = np.unique(names, return_inverse=True)
    pose, replaced = replace_glitches(pose)
    return PoseSet(pose, torch.from_numpy(index.astype(np.int64)), tuple(str(c) for c in clips), replaced)


def replace_glitches(pose: Tensor) -> tuple[Tensor, int]:
    """Set ankles and wrists rotated by more than 75 degrees to the rest rotation: no body does that, badly solved
    captures do.

    Args:
        pose: (N, 21, 3) radians.

    Returns:
        The copy, and how many joints were replaced.
    """
    pose = pose.clone()
    joints = list(_UNTRUSTED.values())
    bad = pose[:, joints].norm(dim=-1) > _UNTRUSTED_ANGLE
    pose[:, joints] = torch.where(bad[..., None], 0.0, pose[:, joints])
    return pose, int(bad.sum())


def _read_file(path: Path) -> tuple[np.ndarray, np.ndarray]:
    if not path.is_file():
        raise PgtfastError(
            f"poses: no file {path}. Give --poses with an npz that holds `poses` (N, 24, 3) in radians at 10 Hz and "
            "`src` (N,) clip names, "
            "or --amass with a folder of AMASS npz files (and --poses None)."
        )
    arrays = load_npz(path, _KEYS.__contains__)
    for key in ("poses", "src"):
        if key not in arrays:
            raise PgtfastError(f"{path}: no key {key!r}; wanted poses (N, 24, 3) and src (N,), got {sorted(arrays)}")
    poses, source = arrays["poses"], arrays["src"]
    if poses.ndim != 3 or poses.shape[1:] != (24, 3) or source.shape != poses.shape[:1]:
        raise PgtfastError(f"{path}: wanted poses (N, 24, 3) and src (N,), got {poses.shape} and {source.shape}")
    if not np.isfinite(poses).all():
        raise PgtfastError(
            f"{path}: poses holds NaN or infinity, first at row {int(np.argmin(np.isfinite(poses).all((1, 2))))}"
        )
    return poses[:, 1:22], source.astype(str)


def _read_amass(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    if not folder.is_dir():
        raise PgtfastError(
            f"amass: no folder {folder}. Unpack AMASS archives there; each sequence is a *_poses.npz or *_stageii.npz."
        )
    parts = []
    for path in sorted(folder.rglob("*.npz")):
        if path.name == "shape.npz":  # AMASS keeps one of these for each subject, without poses
            continue
        arrays = load_npz(path, _KEYS.__contains__)
        rate = arrays.get("mocap_framerate", arrays.get("mocap_frame_rate"))
        if "poses" not in arrays or rate is None:
            raise PgtfastError(f"{path}: wanted keys poses and mocap_framerate as in AMASS, got {sorted(arrays)}")
        poses = arrays["poses"]
        if poses.ndim != 2 or poses.shape[1] < 66 or not np.isfinite(poses).all():
            raise PgtfastError(f"{path}: wanted finite poses (N, 66 or more), got {poses.shape}")
        step = max(1, round(float(rate) / RATE))
        kept = poses[::step, 3:66].reshape(-1, 21, 3)
        parts.append((kept, np.full(len(kept), path.relative_to(folder).with_suffix("").as_posix())))
    if not parts:
        raise PgtfastError(f"amass: no *.npz sequence below {folder}")
    return parts
