"""Quality fitted to people whose error is known, and how it is checked."""

from __future__ import annotations

import numpy as np
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.evaluate._plots import draw_quality
from pgtfast.quality.calibrate import auroc, check_quality, fit_models

pytest.importorskip("sklearn")


def made_up(count: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Signals that tell some of the error, and the error."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=count)
    signals = {
        "flip_disagreement_mm": np.exp(3 + 0.5 * hidden + 0.3 * rng.normal(size=count)),
        "jitter_mm": np.exp(2 + 0.5 * hidden + 0.5 * rng.normal(size=count)),
        "reprojection_rel": np.exp(-4 + 0.3 * hidden + 0.3 * rng.normal(size=count)),
        "visible_share": rng.uniform(0.3, 1, count),
        "prior_energy": np.exp(rng.normal(size=count)),
        "limit_violation": rng.exponential(0.1, count),
        "truncation": rng.choice([0, 0.1, 0.4], count),
    }
    return signals, 50 * np.exp(0.4 * (hidden + 0.3 * rng.normal(size=count)))


def test_fitted_quality_holds_on_other_people():
    signals, error = made_up(2000, 0)
    models = fit_models("m", signals, error)
    assert [len(model.signals) for model in models] == [7, 5, 5, 3]
    others, their_error = made_up(4000, 1)
    for model, least in zip(models, (0.9, 0.75, 0.85, 0.4), strict=True):
        found = check_quality(model.score(others), their_error)
        assert found["auroc"] > least
        assert found["calibration_error"] < 0.05
    best = check_quality(models[0].score(others), their_error)
    risk = [row["pa_mpjpe_mm"] for row in best["risk_coverage"]]
    assert risk[0] < 0.7 * risk[-1]
    assert risk == sorted(risk)
    assert best["risk_coverage"][-1]["kept_share"] == 1
    assert abs(risk[-1] - their_error.mean()) < 1e-9


def test_a_run_without_keypoints_or_second_looks_gets_the_models_that_it_can_use():
    signals, error = made_up(1000, 0)
    signals["jitter_mm"][:] = np.nan
    signals["flip_disagreement_mm"][:] = np.nan
    assert [len(model.signals) for model in fit_models("m", signals, error)] == [5, 3]


def test_a_quality_that_says_too_much_is_found_out():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 1, 20000)
    error = np.where(rng.uniform(0, 1, 20000) < truth, 30.0, 90.0)
    assert check_quality(truth, error)["calibration_error"] < 0.02
    assert check_quality(np.sqrt(truth), error)["calibration_error"] > 0.1
    backwards = check_quality(1 - truth, error)
    assert backwards["auroc"] < 0.3


def test_auroc_counts_ties_half():
    assert auroc(np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, False, True, True])) == 1
    assert auroc(np.array([0.5, 0.5]), np.array([False, True])) == 0.5
    assert auroc(np.array([0.5, 0.5]), np.array([True, True])) is None


def test_people_without_a_quality_do_not_count():
    found = check_quality(np.array([0.9, np.nan, 0.1]), np.array([10.0, 10, 90]))
    assert found["people"] == 2
    assert found["auroc"] == 1
    assert check_quality(np.array([np.nan]), np.array([10.0]))["people"] == 0


def test_too_few_people_are_refused():
    signals, error = made_up(150, 0)
    with pytest.raises(PgtfastError, match=r"150 people with .* wanted at least 200"):
        fit_models("m", signals, error)
    signals, error = made_up(400, 0)
    with pytest.raises(PgtfastError, match="0 of them within 50 mm"):
        fit_models("m", signals, error + 100)


def test_the_picture_is_drawn(tmp_path):
    signals, error = made_up(500, 0)
    found = check_quality(fit_models("m", signals, error)[0].score(signals), error)
    draw_quality(tmp_path / "q.png", "run", found)
    assert (tmp_path / "q.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(PgtfastError, match="nobody"):
        draw_quality(tmp_path / "q.png", "run", check_quality(np.array([np.nan]), np.array([1.0])))
