"""Quality from signals: fitted to people whose error is known, and checked on others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._errors import PgtfastError
from .score import BOUND_MM, SIGNALS, QualityModel, expanded, transformed

FEWEST = 200
"""People, and of them FEWEST / 10 good and as many bad ones, that a calibration takes at least."""
OPTIONAL = (("flip_disagreement_mm", "jitter_mm"), ("reprojection_rel", "visible_share"))
"""Signals that a run may lack: there is a model with and one without each group."""
BINS = 10
_FOLDS = 5


def fit_models(method: str, signals: Mapping[str, np.ndarray], error_mm: np.ndarray) -> list[QualityModel]:
    """Models for all signals that are known of most people, and for those that other runs may have alone; the richest
    first.

    Args:
        method: of the record.
        signals: (N,) each; NaN where unknown.
        error_mm: (N,) PA-MPJPE.

    Raises:
        PgtfastError: too few people, or too few good or bad ones.
    """
    known = [name for name in SIGNALS if name in signals and np.isfinite(signals[name]).mean() > 0.5]
    models: list[QualityModel] = []
    for left_out in (0, 1, 2, 3):
        gone = {name for bit, group in enumerate(OPTIONAL) if left_out >> bit & 1 for name in group}
        chosen = tuple(name for name in known if name not in gone)
        if chosen and chosen not in [model.signals for model in models]:
            models.append(_fit(method, chosen, signals, error_mm))
    return models


def _fit(method: str, names: tuple[str, ...], signals: Mapping[str, np.ndarray], error_mm: np.ndarray) -> QualityModel:
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    columns = np.stack([transformed(name, signals[name]) for name in names], 1)
    there = np.isfinite(columns).all(1)
    columns, good = columns[there], error_mm[there] <= BOUND_MM
    if len(good) < FEWEST or min(good.sum(), (~good).sum()) < FEWEST // 10:
        raise PgtfastError(
            f"--calibrate: {len(good)} people with {', '.join(names)}, {good.sum()} of them within {BOUND_MM:g} mm; "
            f"wanted at least {FEWEST} people, "
            f"{FEWEST // 10} within and {FEWEST // 10} beyond"
        )
    center, scale = columns.mean(0), np.maximum(columns.std(0), 1e-6)
    features = expanded((columns - center) / scale)
    regression = LogisticRegression(C=0.1, max_iter=2000)
    # the curve is fitted to scores of people that the regression did not see
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    unseen = cross_val_predict(regression, features, good, cv=folds, method="decision_function")
    curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(unseen, good)
    regression.fit(features, good)
    knots = _knots(curve.X_thresholds_, curve.y_thresholds_)
    return QualityModel(
        method, names, center=_rounded(center), scale=_rounded(scale), coefficients=_rounded(regression.coef_[0]),
        intercept=_rounded(regression.intercept_)[0], knots=knots, people=len(good),
    )  # fmt: skip


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)


def _knots(at: np.ndarray, value: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Rising points, rounded; of several at one place the last."""
    points: dict[float, float] = {}
    for a, v in zip(at, value, strict=True):
        points[round(float(a), 4)] = round(float(v), 4)
    return tuple(sorted(points.items()))


def check_quality(quality: np.ndarray, error_mm: np.ndarray) -> dict[str, Any]:
    """How far a quality can be trusted.

    Args:
        quality: (N,) in [0, 1]; NaN where unknown, which does not count.
        error_mm: (N,) PA-MPJPE.

    Returns:
        people; auroc of telling those beyond the bound from those within; reliability: of each tenth of [0, 1] the
        people, their mean quality and the share that is good; calibration_error, the mean distance of the two weighed
        by people; brier; risk_coverage: for the shares kept, best first, the mean error of who is kept (mm) and the
        quality of the last.
    """
    known = np.isfinite(quality) & np.isfinite(error_mm)
    q, error = quality[known], error_mm[known]
    good = error <= BOUND_MM
    out: dict[str, Any] = {"people": len(q), "bound_mm": BOUND_MM, "good_share": float(good.mean()) if len(q) else None}
    if not len(q):
        return out
    cell = np.minimum((q * BINS).astype(int), BINS - 1)
    reliability = [
        {
            "people": int((cell == n).sum()),
            "quality": float(q[cell == n].mean()),
            "good_share": float(good[cell == n].mean()),
        }
        for n in range(BINS)
        if (cell == n).any()
    ]
    distance = sum(row["people"] * abs(row["quality"] - row["good_share"]) for row in reliability) / len(q)
    order = np.argsort(-q, kind="stable")
    kept = [max(1, round(share * len(q))) for share in np.arange(0.1, 1.01, 0.1)]
    return {
        **out,
        "auroc": auroc(q, good),
        "calibration_error": float(distance),
        "brier": float(((q - good) ** 2).mean()),
        "reliability": reliability,
        "risk_coverage": [
            {"kept_share": n / len(q), "pa_mpjpe_mm": float(error[order[:n]].mean()),
                "min_quality": float(q[order[n - 1]])}
            for n in kept
        ],
    }  # fmt: skip


def auroc(score: np.ndarray, positive: np.ndarray) -> float | None:
    """Chance that a positive scores above a negative, ties counted half; None where one of them is missing."""
    from scipy.stats import rankdata

    many, few = int(positive.sum()), int((~positive).sum())
    if not many or not few:
        return None
    return float((rankdata(score)[positive].sum() - many * (many + 1) / 2) / (many * few))
