"""Mirror images of poses, and the names of the 21 body joints."""

from __future__ import annotations

from torch import Tensor

BODY_JOINTS = (
    "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle", "spine3",
    "left_foot", "right_foot",
    "neck", "left_collar", "right_collar", "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist",
    "left_hand", "right_hand",
)  # fmt: skip
"""SMPL's joints 1..23. A pose prior covers the first 21."""

MIRROR = tuple(
    BODY_JOINTS.index(name.replace("left", "right") if name.startswith("left") else name.replace("right", "left"))
    for name in BODY_JOINTS
)
"""Row of each joint's partner on the other side; a joint of the middle is its own."""


def mirror_pose(pose: Tensor) -> Tensor:
    """The pose of the person in the mirror: left and right swap.

    Args:
        pose: (..., J, 3) rotation vectors or (..., J, 3, 3) matrices of SMPL's joints 1..J, J = 21 or 23.

    Returns:
        The same shape.

    Convention:
        The mirror plane is x = 0 of the rest frame, so a rotation vector (x, y, z) becomes (x, -y, -z), and a matrix M
        becomes D M D with D = diag(-1, 1, 1).
    """
    matrices = pose.dim() >= 3 and pose.shape[-2:] == (3, 3) and pose.shape[-3] in (21, 23)
    joints = pose.shape[-3] if matrices else pose.shape[-2] if pose.dim() >= 2 else 0
    if joints not in (21, 23) or pose.shape[-1] != 3:
        raise ValueError(f"pose: wanted (..., 21 or 23, 3) or (..., 21 or 23, 3, 3), got {tuple(pose.shape)}")
    order = list(MIRROR[:joints])
    if matrices:
        sign = pose.new_tensor([[1, -1, -1], [-1, 1, 1], [-1, 1, 1]])
        return pose[..., order, :, :] * sign
    return pose[..., order, :] * pose.new_tensor([1, -1, -1])
