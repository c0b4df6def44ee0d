"""Batched optimisation of keypoints into bodies."""

from ._problem import Weights
from ._smplify import FitResult, fit_keypoints

__all__ = ["FitResult", "Weights", "fit_keypoints"]
