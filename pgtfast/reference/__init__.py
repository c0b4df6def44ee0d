"""Slow, plain-PyTorch twins of the fused ops: the specification. Same names and arguments as :mod:`pgtfast.ops`, any
device, clean in float64.
"""

from .alignment import ProcrustesResult, procrustes_align
from .chain import forward_kinematics, landmarks, vertices
from .decoder import vposer_decode
from .losses import KeypointLoss, keypoint_loss, project
from .rotations import matrix_to_rotvec, rot6d_to_matrix, rotvec_to_matrix
from .terms import DecoderTerms, LandmarkTerms, SkinTerms

__all__ = [
    "DecoderTerms",
    "KeypointLoss",
    "LandmarkTerms",
    "ProcrustesResult",
    "SkinTerms",
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
