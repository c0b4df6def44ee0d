"""Training by visible loops: ``python -m pgtfast.train MODULE:RECIPE [--override value ...]``, or :func:`train` of a
config."""

from __future__ import annotations

from .._errors import PgtfastError
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
    "train",
    "train_annotator",
    "train_pose2d",
    "train_prior",
]


def train(config: AnnotatorConfig | Pose2dConfig | PriorConfig) -> TrainResult:
    """Train what the config describes, and write the run's folder; an unfinished run is resumed, a finished one
    recognised.

    Raises:
        PgtfastError: the config is of another kind, its data cannot be used, or its folder is another run's.
        KeyboardInterrupt: SIGINT or SIGTERM ended the run at a checkpoint.
    """
    match config:
        case PriorConfig():
            return train_prior(config)
        case Pose2dConfig():
            return train_pose2d(config)
        case AnnotatorConfig():
            return train_annotator(config)
    raise PgtfastError(
        f"train: wanted an AnnotatorConfig, a Pose2dConfig or a PriorConfig, got {type(config).__name__}"
    )
