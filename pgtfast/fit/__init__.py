"""Batched optimisation of keypoints into bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._config import FitConfig

if TYPE_CHECKING:
    from ..fitting.problem import Weights
    from ..fitting.smplify import FitResult, fit_keypoints
    from ._run import FitRun

__all__ = ["FitConfig", "FitResult", "FitRun", "Weights", "fit", "fit_keypoints"]


def fit(config: FitConfig) -> FitRun:
    """Fit the people of a file and write them as a run; needs the extra `annotate`.

    Raises:
        PgtfastError: an option or a file that does not fit.
    """
    from ._run import run

    return run(config)


def __getattr__(name: str) -> Any:
    """Load torch where it is needed, not for the help text; `fit_keypoints` needs no extra."""
    if name in ("FitResult", "Weights", "fit_keypoints"):
        from ..fitting import smplify

        return getattr(smplify, name)
    if name == "FitRun":
        from ._run import FitRun

        return FitRun
    raise AttributeError(f"module 'pgtfast.fit' has no attribute {name!r}")
