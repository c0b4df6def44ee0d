"""Training poses for weights and pose blend shapes: everyday ranges of motion, arms above the head included."""

from __future__ import annotations

import numpy as np

from .rig import JOINT_MIRROR, JOINT_NAMES, PARENTS, chain, rigid, rotation

# Left-side ranges in degrees, rotation vector (x, y, z) as (low, high); the right side mirrors y and z.
# Raising the left arm is +z, bringing it forward -y; lifting the left thigh is -x; bending a knee +x, an elbow -y.
_RANGE = {
    "hip": ((-120, 30), (-35, 35), (-20, 45)),
    "knee": ((0, 145), (-8, 8), (-8, 8)),
    "ankle": ((-35, 35), (-15, 15), (-15, 15)),
    "foot": ((-30, 15), (0, 0), (0, 0)),
    "spine": ((-12, 32), (-22, 22), (-16, 16)),
    "neck": ((-28, 35), (-40, 40), (-22, 22)),
    "head": ((-25, 25), (-30, 30), (-15, 15)),
    "collar": ((-8, 8), (-22, 14), (-12, 20)),
    "shoulder": ((-60, 60), (-95, 35), (-85, 75)),
    "elbow": ((-45, 45), (-145, 0), (-8, 8)),
    "wrist": ((-35, 35), (-30, 30), (-55, 55)),
    "hand": ((-5, 5), (-8, 8), (-25, 25)),
}


def random_poses(count: int, seed: int) -> np.ndarray:
    """Rotation vectors (2 * count, 24, 3): `count` poses and their mirror images. Each joint moves in half of them."""
    rng = np.random.default_rng(seed)
    pose = np.zeros((count, 24, 3))
    for j, name in enumerate(JOINT_NAMES[1:], 1):
        low, high = np.radians(_RANGE[name.split("_")[-1].rstrip("123")]).T
        sample = rng.uniform(low, high, (count, 3)) * (rng.random((count, 1)) < 0.55)
        if name.startswith("right_"):
            sample *= (1, -1, -1)
        pose[:, j] = sample
    for side, sign in (("left", 1), ("right", -1)):  # a raised arm lifts its collar bone along
        arm, collar = JOINT_NAMES.index(f"{side}_shoulder"), JOINT_NAMES.index(f"{side}_collar")
        pose[:, collar, 2] += sign * 0.25 * np.maximum(sign * pose[:, arm, 2], 0)
    return np.concatenate([pose, mirror_pose(pose)])


def mirror_pose(pose: np.ndarray) -> np.ndarray:
    """The pose (..., 24, 3) seen in a mirror at x = 0."""
    return pose[..., JOINT_MIRROR, :] * (1, -1, -1)


def joint_maps(pose: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Rest-to-posed maps (..., 24, 4, 4) for pose (..., 24, 3) and rest joints (24, 3)."""
    return rigid(*chain(rotation(pose), joints), joints)


def features(pose: np.ndarray) -> np.ndarray:
    """SMPL's pose features (..., 207): rotation matrices of joints 1..23 minus the identity, row-major."""
    turn = rotation(pose[..., 1:, :]) - np.eye(3)
    return turn.reshape(*pose.shape[:-2], 9 * (len(PARENTS) - 1))
