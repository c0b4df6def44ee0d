"""Scores of predictions under named protocols."""

from ._config import SPLITS, EvaluateConfig, EvaluateResult
from ._errors import MEASURED, body_errors, facing_angle_deg, measured_joints, standing_body

__all__ = [
    "MEASURED",
    "SPLITS",
    "EvaluateConfig",
    "EvaluateResult",
    "body_errors",
    "evaluate",
    "facing_angle_deg",
    "measured_joints",
    "standing_body",
]


def evaluate(config: EvaluateConfig) -> EvaluateResult:
    """Score runs, print a table and write what is asked for; needs the extra `annotate`, and `coco` for that protocol.

    Raises:
        PgtfastError: a run or what it is compared with cannot be read, or they do not belong together.
    """
    from ._run import run

    return run(config)
