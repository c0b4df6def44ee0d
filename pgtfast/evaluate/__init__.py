"""Scores of predictions under named protocols."""

from ._errors import MEASURED, body_errors, facing_angle_deg, measured_joints, standing_body
from ._options import SPLITS
from ._synth import evaluate_synth

__all__ = [
    "MEASURED",
    "SPLITS",
    "body_errors",
    "evaluate_synth",
    "facing_angle_deg",
    "measured_joints",
    "standing_body",
]
