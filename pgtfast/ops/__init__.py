"""Fused, differentiable ops: the same names and arguments as :mod:`pgtfast.reference`, on CPU (float32, float64) and
CUDA (float32).
"""

from pgtfast.reference.alignment import ProcrustesResult

from .forward_kinematics import forward_kinematics
from .keypoint_loss import KeypointLoss, keypoint_loss
from .landmarks import landmarks
from .procrustes_align import procrustes_align
from .project import project
from .rotations import matrix_to_rotvec, rot6d_to_matrix, rotvec_to_matrix
from .vertices import vertices
from .vposer_decode import vposer_decode

__all__ = [
    "KeypointLoss",
    "ProcrustesResult",
    "forward_kinematics",
    "keypoint_loss",
    "landmarks",
    "matrix_to_rotvec",
    "procrustes_align",
    "project",
    "rot6d_to_matrix",
    "rotvec_to_matrix",
    "vertices",
    "vposer_decode",
]
