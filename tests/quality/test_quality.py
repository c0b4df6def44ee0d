"""A calibration: read, refused, applied; and the truncation that it looks at."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.quality.measure import truncation
from pgtfast.quality.score import EMBEDDED, SIGNALS, Quality, QualityModel, add_quality, load_quality, save_quality

ONE = QualityModel("m", ("prior_energy",), (0.0,), (1.0,), (-1.0, 0.0), 0.0, ((-3.0, 0.0), (3.0, 1.0)), 300)
TWO = dataclasses.replace(
    ONE,
    signals=("prior_energy", "truncation"),
    center=(0.0, 0.0),
    scale=(1.0, 1.0),
    coefficients=(0.0, 0.0, 0.0, -3.0, 0.0),
)


def test_a_model_is_a_logistic_score_through_a_curve():
    energy = np.array([1 - 0.05, np.exp(3) - 0.05, np.exp(-2) - 0.05, np.nan])
    np.testing.assert_allclose(ONE.score({"prior_energy": energy})[:3], [0.5, 0.0, 5 / 6], atol=1e-9)
    assert np.isnan(ONE.score({"prior_energy": energy})[3])
    # the product of the two signals is the fourth feature
    signals = {"prior_energy": np.array([np.e - 0.05]), "truncation": np.array([0.5])}
    np.testing.assert_allclose(TWO.score(signals), (3 - 1.5) / 6, atol=1e-9)


def test_each_body_is_judged_by_the_first_model_that_knows_enough():
    quality = Quality((TWO, ONE), {}, "")
    signals = {"prior_energy": np.array([np.e - 0.05] * 3), "truncation": np.array([0.5, np.nan, np.nan])}
    signals["prior_energy"][2] = np.nan
    found = quality.score("m", signals)
    np.testing.assert_allclose(found[:2], [0.25, 1 / 3], atol=1e-9)
    assert np.isnan(found[2])
    assert np.isnan(quality.score("another method", signals)).all()
    np.testing.assert_allclose(quality.score("m", {"prior_energy": signals["prior_energy"]})[:2], 1 / 3)


def test_a_file_gives_the_same_scores(tmp_path):
    save_quality(tmp_path / "q.json", [TWO, ONE], {"people": 3})
    read = load_quality(tmp_path / "q.json")
    assert read.models == (TWO, ONE)
    assert read.about == {"people": 3}
    assert len(read.sha256) == 64


def test_models_of_a_method_take_the_place_of_those_before(tmp_path):
    path = tmp_path / "q.json"
    add_quality(path, "m", [TWO, ONE], {"people": 1})
    other = dataclasses.replace(ONE, method="other")
    add_quality(path, "other", [other], {"people": 2})
    add_quality(path, "m", [ONE], {"people": 3})
    held = load_quality(path)
    assert held.models == (other, ONE)
    assert held.about == {"m": {"people": 3}, "other": {"people": 2}}


def test_the_package_judges_fits_and_annotations():
    held = load_quality()
    for method in ("smplify", "pgtfast-annotator"):
        models = [model for model in held.models if model.method == method]
        assert models
        counts = [len(model.signals) for model in models]
        assert counts == sorted(counts, reverse=True)
    assert json.loads(EMBEDDED.read_text())["about"]["smplify"]["people"] > 500


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "something"}, "kind 'something'"),
        ({"models": [{}]}, "KeyError"),
        ({"models": 3}, "TypeError"),
        ("signals", "unknown signals"),
        ("coefficients", "another number of coefficients"),
        ("knots", "does not rise"),
    ],
)
def test_other_files_are_refused(tmp_path, change, told):
    path = tmp_path / "q.json"
    save_quality(path, [ONE], {})
    held = json.loads(path.read_text())
    if isinstance(change, dict):
        held |= change
    else:
        held["models"][0][change] = {"signals": ["height"], "coefficients": [1.0], "knots": [[0, 1], [1, 0]]}[change]
    path.write_text(json.dumps(held))
    with pytest.raises(PgtfastError, match=told) as error:
        load_quality(path)
    assert str(path) in str(error.value)


def test_no_file_and_no_json_are_refused(tmp_path):
    with pytest.raises(PgtfastError, match="cannot be read"):
        load_quality(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(PgtfastError, match="no calibration"):
        load_quality(tmp_path / "bad.json")


def test_truncation_is_the_share_of_landmarks_outside():
    points = np.array([[[0.0, 0], [99.4, 49.4], [99.6, 0], [np.nan, np.nan]], [[-1.0, 0], [5, 5], [5, 60], [5, 5]]])
    found = truncation(points, np.array([[100, 50], [100, 50]]))
    np.testing.assert_allclose(found, [1 / 3, 0.5])
    assert np.isnan(truncation(points, np.zeros((2, 2)))).all()
    assert set(SIGNALS) >= {"truncation", "jitter_mm"}
