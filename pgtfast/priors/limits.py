"""Joint limits of the SMPL body as a differentiable penalty."""

from __future__ import annotations

import torch
from torch import Tensor

from .poses import BODY_JOINTS

_TWIST_X = frozenset(("collar", "shoulder", "elbow", "wrist", "hand"))
TWIST_AXIS = tuple(0 if name.partition("_")[2] in _TWIST_X else 1 for name in BODY_JOINTS)
"""Axis along the bone in the rest pose: x for the arms, y for all else."""

_MARGIN = 0.15

# 0.5 and 99.5 percentiles of swing_twist() over the cleaned CMU poses (subjects 01 to 03, 6,494 poses) and their mirror
# images, left side.
_MEASURED = {
    "hip": ((-1.58, 0.33), (-0.41, 0.67), (-0.39, 0.77)),
    "spine1": ((-0.05, 0.95), (-0.20, 0.20), (-0.28, 0.28)),
    "knee": ((0.00, 2.38), (0.00, 0.27), (-0.32, 0.00)),
    "spine2": ((-0.14, 0.35), (-0.26, 0.26), (-0.18, 0.18)),
    "ankle": ((-0.75, 0.72), (-0.64, 0.62), (-0.25, 0.34)),
    "spine3": ((-0.48, 0.18), (-0.14, 0.14), (-0.31, 0.31)),
    "foot": ((-0.77, 1.14), (-0.04, 0.07), (-0.04, 0.00)),
    "neck": ((-0.56, 0.57), (-0.40, 0.40), (-0.63, 0.63)),
    "head": ((-0.86, 0.97), (-0.87, 0.87), (-0.91, 0.91)),
    "shoulder": ((-2.06, 1.21), (-1.90, 0.80), (-1.68, 1.35)),
    "elbow": ((0.00, 0.00), (-2.06, -0.17), (0.10, 1.19)),
    "wrist": ((-1.17, 0.82), (0.00, 0.00), (0.00, 0.00)),
}

# What a body can do beyond that capture, whose solver gives hinges one axis and never moves collars and hands; left
# side, radians.
_AT_LEAST = {
    "hip": ((-2.10, 0.60), (-0.60, 1.20), (-0.50, 1.20)),
    "spine1": ((-0.30, 0.90), (-0.35, 0.35), (-0.40, 0.40)),
    "knee": ((-0.10, 2.50), (-0.25, 0.25), (-0.25, 0.25)),
    "spine2": ((-0.30, 0.50), (-0.35, 0.35), (-0.30, 0.30)),
    "ankle": ((-0.60, 0.90), (-0.50, 0.50), (-0.40, 0.40)),
    "spine3": ((-0.30, 0.40), (-0.30, 0.30), (-0.30, 0.30)),
    "foot": ((-0.70, 0.40), (-0.25, 0.25), (-0.25, 0.25)),
    "collar": ((-0.40, 0.40), (-0.60, 0.40), (-0.50, 0.80)),
    "elbow": ((-0.80, 0.80), (-2.50, 0.10), (-0.20, 1.30)),
    "wrist": ((-1.30, 1.30), (-0.60, 0.60), (-1.10, 1.10)),
    "hand": ((-0.30, 0.30), (-0.40, 0.40), (-0.90, 0.90)),
}


def _table() -> tuple[tuple[tuple[float, float], ...], ...]:
    rows = []
    for name in BODY_JOINTS:
        side, _, part = name.rpartition("_")
        measured = [(low - _MARGIN, high + _MARGIN) for low, high in _MEASURED.get(part, ())]
        both = [ranges for ranges in (measured, _AT_LEAST.get(part, ())) if ranges]
        row = [(min(r[axis][0] for r in both), max(r[axis][1] for r in both)) for axis in range(3)]
        if side == "right":
            row = [row[0], *((-high, -low) for low, high in row[1:])]
        rows.append(tuple(row))
    return tuple(rows)


LIMITS = _table()
"""(23, 3, 2): lowest and highest angle of SMPL's joints 1..23 about x, y, z as :func:`swing_twist` gives them,
radians.
"""


def swing_twist(pose: Tensor) -> Tensor:
    """Angles of each joint about the rest frame's axes: the twist about its own bone, and the swing that follows it.

    Args:
        pose: (..., J, 3) rotation vectors of SMPL's joints 1..J, J = 21 or 23, radians.

    Returns:
        (..., J, 3) radians: the component on the bone's axis is the twist in (-pi, pi], the other two are the swing's
        rotation vector.

    Convention:
        R = swing twist: a turn about the bone first, then the bone is swung by the shortest way. (An arm held down has
        swing alone.)
    """
    joints = _check(pose)
    half = 0.5 * _angle(pose)
    quaternion_w = half.cos()
    vector = 0.5 * torch.sinc(half / torch.pi)[..., None] * pose
    axis = torch.tensor(TWIST_AXIS[:joints], device=pose.device)
    along = torch.nn.functional.one_hot(axis, 3).to(pose.dtype)
    on_axis = (vector * along).sum(-1)
    twist = 2 * torch.atan2(on_axis, quaternion_w)
    twist = twist - 2 * torch.pi * torch.round(twist / (2 * torch.pi))
    # swing = q * conj(twist); its vector part has no component on the axis
    norm = (quaternion_w.square() + on_axis.square()).clamp_min(1e-12).sqrt()
    cos, sin = quaternion_w / norm, on_axis / norm
    swing = cos[..., None] * vector - sin[..., None] * torch.linalg.cross(vector, along.expand_as(vector), dim=-1)
    swing = swing - (swing * along).sum(-1, keepdim=True) * along
    sine = (swing.square().sum(-1) + 1e-20).sqrt()
    swing = swing * (2 * torch.atan2(sine, norm) / sine)[..., None]
    return swing + twist[..., None] * along


def limit_violation(pose: Tensor) -> Tensor:
    """How far each joint is turned beyond the range of the body, summed over its three axes; 0 inside.

    Args:
        pose: (..., J, 3) rotation vectors of SMPL's joints 1..J, J = 21 or 23, radians.

    Returns:
        (..., J) radians, differentiable.
    """
    joints = _check(pose)
    limits = torch.tensor(LIMITS, dtype=pose.dtype, device=pose.device)[:joints]
    angles = swing_twist(pose)
    return ((limits[..., 0] - angles).relu() + (angles - limits[..., 1]).relu()).sum(-1)


def _check(pose: Tensor) -> int:
    if pose.dim() < 2 or pose.shape[-1] != 3 or pose.shape[-2] not in (21, 23):
        raise ValueError(
            f"pose: wanted (..., 21 or 23, 3) rotation vectors of SMPL's joints 1.., got {tuple(pose.shape)}"
        )
    return pose.shape[-2]


def _angle(pose: Tensor) -> Tensor:
    """Angle with a finite gradient at zero."""
    square = pose.square().sum(-1)
    return torch.where(
        square < 1e-20, torch.zeros_like(square), torch.where(square < 1e-20, torch.ones_like(square), square).sqrt()
    )
