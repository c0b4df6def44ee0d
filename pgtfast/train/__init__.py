"""Explicit training loops: ``python -m pgtfast.train MODULE:RECIPE [--override value ...]``."""

from ._datasets import Datasets
from .annotator import AnnotatorConfig, train_annotator
from .pose2d import Pose2dConfig, train_pose2d
from .prior import PriorConfig, train_prior
from .session import TrainResult

__all__ = [
    "AnnotatorConfig",
    "Datasets",
    "Pose2dConfig",
    "PriorConfig",
    "TrainResult",
    "train_annotator",
    "train_pose2d",
    "train_prior",
]
