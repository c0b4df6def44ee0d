"""Fused, differentiable ops: the same names and arguments as :mod:`pgtfast.reference`, on CPU (float32, float64) and CUDA (float32)."""

from .keypoint_loss import KeypointLoss, keypoint_loss
from .landmarks import landmarks
from .vertices import vertices
from .vposer_decode import vposer_decode

__all__ = ["KeypointLoss", "keypoint_loss", "landmarks", "vertices", "vposer_decode"]
