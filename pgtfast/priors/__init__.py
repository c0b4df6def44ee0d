"""Pose priors: VPoser v1, v2 and the free one; joint limits; mirror images of poses."""

from .limits import limit_violation, swing_twist
from .load import load_vposer
from .poses import BODY_JOINTS, MIRROR, mirror_pose
from .vposer import PriorSource, VPoser, prior_energy

__all__ = [
    "BODY_JOINTS",
    "MIRROR",
    "PriorSource",
    "VPoser",
    "limit_violation",
    "load_vposer",
    "mirror_pose",
    "prior_energy",
    "swing_twist",
]
