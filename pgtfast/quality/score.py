"""How likely a body is a good one, from what can be seen without its truth; calibrated on the free world
(`pgtfast.evaluate`).
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .._errors import PgtfastError

BOUND_MM = 50.0
"""A body is good where its PA-MPJPE is at most this."""
EMBEDDED = Path(__file__).parents[1] / "assets" / "quality.json"
SIGNALS: dict[str, float | None] = {
    "flip_disagreement_mm": 5.0,
    "jitter_mm": 2.0,
    "reprojection_rel": 0.005,
    "visible_share": None,
    "prior_energy": 0.05,
    "limit_violation": 0.02,
    "truncation": None,
}
"""Signal -> what is added before its logarithm is taken; None takes it as it is. What each is stands in
docs/quality.md.
"""
_KIND = "pgtfast-quality"


@dataclass(frozen=True)
class QualityModel:
    """Logistic regression on some signals, their squares and products, then a monotonic curve.

    Convention:
        Features are, in this order, the standardised signals, and their products i * j for i <= j, row by row.
    """

    method: str
    """Of the record: how the bodies were found."""
    signals: tuple[str, ...]
    """All of them must be known."""
    center: tuple[float, ...]
    """Mean of each transformed signal."""
    scale: tuple[float, ...]
    """Deviation of each."""
    coefficients: tuple[float, ...]
    """One a feature."""
    intercept: float
    knots: tuple[tuple[float, float], ...]
    """Rising points (score, quality) of the curve, linear between them and flat outside."""
    people: int
    """That it was fitted to."""

    def features(self, signals: Mapping[str, np.ndarray]) -> np.ndarray:
        """(N, F) of signals (N,) each."""
        columns = np.stack([transformed(name, signals[name]) for name in self.signals], 1)
        return expanded((columns - np.array(self.center)) / np.array(self.scale))

    def score(self, signals: Mapping[str, np.ndarray]) -> np.ndarray:
        """(N,) probabilities of a good body; NaN where a signal is NaN."""
        raw = self.features(signals) @ np.array(self.coefficients) + self.intercept
        at, value = np.array(self.knots).T
        return np.where(np.isnan(raw), np.nan, np.interp(raw, at, value))


@dataclass(frozen=True)
class Quality:
    """Models for each method, those that know more before those that know less."""

    models: tuple[QualityModel, ...]
    about: dict
    """Where it was calibrated: worlds, people, networks, scores."""
    sha256: str
    """Of the file."""

    def score(self, method: str, signals: Mapping[str, np.ndarray]) -> np.ndarray:
        """Quality in [0, 1] of N bodies: each by the first model whose signals are all known, NaN where no model
        serves.

        Args:
            method: of the record.
            signals: (N,) each, of :data:`SIGNALS`; NaN where unknown.
        """
        count = len(next(iter(signals.values())))
        out = np.full(count, np.nan)
        for model in self.models:
            if model.method == method and set(model.signals) <= set(signals):
                open_ = np.isnan(out)
                out[open_] = model.score({name: np.asarray(signals[name])[open_] for name in model.signals})
        return out


def transformed(name: str, values: np.ndarray) -> np.ndarray:
    """A signal as the regression takes it."""
    values = np.asarray(values, np.float64)
    floor = SIGNALS[name]
    return values if floor is None else np.log(np.maximum(values, 0) + floor)


def expanded(columns: np.ndarray) -> np.ndarray:
    """(N, S + S (S + 1) / 2): columns (N, S) and their products."""
    first, second = np.triu_indices(columns.shape[1])
    return np.concatenate((columns, columns[:, first] * columns[:, second]), 1)


def load_quality(path: str | Path | None = None) -> Quality:
    """Read a calibration.

    Args:
        path: a file of `python -m pgtfast.evaluate ... --calibrate FILE`; None for the one in the package.

    Raises:
        PgtfastError: the file is none.
    """
    file = EMBEDDED if path is None else Path(path)
    try:
        content = file.read_bytes()
        held = json.loads(content)
        if held["kind"] != _KIND:
            raise ValueError(f"kind {held['kind']!r}")
        models = tuple(_model(one) for one in held["models"])
        return Quality(models, dict(held["about"]), hashlib.sha256(content).hexdigest())
    except OSError as error:
        raise PgtfastError(f"--quality {file}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PgtfastError(
            f"--quality {file}: no calibration ({type(error).__name__}: {error}); make one with "
            "python -m pgtfast.evaluate synth --calibrate FILE"
        ) from error


def add_quality(path: str | Path, method: str, models: Sequence[QualityModel], about: Mapping) -> None:
    """Put the models of a method into a file, in place of those that it has of this method.

    Args:
        path: of the file; made if absent.
        method: of the record.
        models: of this method.
        about: where they were calibrated.

    Raises:
        PgtfastError: there is a file that is no calibration.
    """
    held = load_quality(path) if Path(path).exists() else None
    others = () if held is None else tuple(model for model in held.models if model.method != method)
    told = {} if held is None else held.about
    save_quality(path, [*others, *models], {**told, method: dict(about)})


def save_quality(path: str | Path, models: Sequence[QualityModel], about: Mapping) -> None:
    """Write a calibration."""
    from ..files.atomic import replacing

    held = {"kind": _KIND, "about": dict(about), "models": [asdict(model) for model in models]}
    with replacing(Path(path)) as partial:
        partial.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")


def _model(held: dict) -> QualityModel:
    signals = tuple(held["signals"])
    unknown = set(signals) - set(SIGNALS)
    knots = tuple((float(at), float(value)) for at, value in held["knots"])
    number = len(signals)
    sizes = (len(held["center"]), len(held["scale"]), len(held["coefficients"]))
    rising = all(a[0] < b[0] and a[1] <= b[1] for a, b in itertools.pairwise(knots))
    if unknown or not number or sizes != (number, number, number + number * (number + 1) // 2):
        raise ValueError(f"model of {signals}: unknown signals, or another number of coefficients")
    if not knots or not rising or not all(0 <= value <= 1 for _, value in knots):
        raise ValueError(f"model of {signals}: its curve does not rise from 0 to 1")
    numbers = {name: tuple(map(float, held[name])) for name in ("center", "scale", "coefficients")}
    return QualityModel(
        str(held["method"]), signals, **numbers, intercept=float(held["intercept"]), knots=knots,
        people=int(held["people"])
    )  # fmt: skip
