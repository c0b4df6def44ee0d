"""From one joint set to another, by joint name."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pgtfast.skeletons._sets import get
from pgtfast.skeletons._skeleton import Skeleton, joint_key


class MappedJoints(NamedTuple):
    """Result of `map_joints`."""

    points: Tensor
    valid: Tensor


def map_joints(points: Tensor, src: str | Skeleton, dst: str | Skeleton) -> MappedJoints:
    """Reorders joints from one set to another.

    Joints are matched by name alone ("left_hip" and "L_Hip" are one name). Two sets may use a name for points that lie
    some centimetres apart (COCO's and SMPL's hips): this function does not move points.

    Args:
        points: (..., K, D) in the order of `src`, any unit; a confidence may be among the D columns.
        src: name of the set or a Skeleton.
        dst: likewise.

    Returns:
        points (..., K', D) in the order of `dst`, zero where `src` lacks the joint; valid (K',) bool.
    """
    src, dst = (get(one) if isinstance(one, str) else one for one in (src, dst))
    if points.ndim < 2 or points.shape[-2] != len(src):
        raise ValueError(f"points: wanted (..., {len(src)}, D) for {src.name}, got {tuple(points.shape)}")
    found = [src.index.get(joint_key(joint), -1) for joint in dst.joints]
    order = torch.tensor(found, device=points.device)
    valid = order >= 0
    picked = points.index_select(-2, order.clamp(min=0))
    return MappedJoints(torch.where(valid[:, None], picked, torch.zeros_like(picked)), valid)
