"""What is drawn for crops."""

from __future__ import annotations

import numpy as np
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.images.augment import NONE, AugmentConfig, draw, generator

MANY = 40_000


def test_the_defaults_are_those_of_pose2pose():
    drawn = draw(AugmentConfig(), MANY, generator(0, 0))
    assert drawn.scale.min() == 0.75
    assert drawn.scale.max() == 1.25
    # N(0, 1) lies outside [-1, 1] in 31.7 % of cases.
    assert np.isin(drawn.scale, (0.75, 1.25)).mean() == pytest.approx(0.317, abs=0.01)
    turned = drawn.rotation != 0
    assert turned.mean() == pytest.approx(0.6, abs=0.01)
    assert np.abs(drawn.rotation).max() == pytest.approx(np.deg2rad(60))
    assert np.std(drawn.rotation[turned]) == pytest.approx(np.deg2rad(30) * 0.9594, rel=0.02)
    assert drawn.flip.mean() == pytest.approx(0.5, abs=0.01)
    assert drawn.color.shape == (MANY, 3)
    assert drawn.color.min() >= 0.8
    assert drawn.color.max() <= 1.2
    assert drawn.color.mean() == pytest.approx(1, abs=0.01)
    assert not drawn.occlusion.any()
    assert not drawn.blur.any()


def test_nothing_drawn_leaves_the_crop_alone():
    drawn = draw(NONE, 50, generator(3, 1))
    assert (drawn.scale == 1).all()
    assert not drawn.rotation.any()
    assert not drawn.flip.any()
    assert (drawn.color == 1).all()


def test_hidden_rectangles_lie_within_the_crop():
    drawn = draw(AugmentConfig(occlusion_p=0.3, blur_p=0.2), MANY, generator(0, 0))
    hidden = drawn.occlusion[:, 2] > 0
    assert hidden.mean() == pytest.approx(0.3, abs=0.01)
    assert (drawn.occlusion[:, :2] + drawn.occlusion[:, 2:] <= 1 + 1e-6).all()
    assert (drawn.occlusion >= 0).all()
    assert (drawn.blur > 0).mean() == pytest.approx(0.2, abs=0.01)


def test_one_change_does_not_move_the_others():
    plain = draw(AugmentConfig(), 100, generator(5, 7))
    more = draw(AugmentConfig(occlusion_p=0.9, blur_p=0.9, color=0.1), 100, generator(5, 7))
    for name in ("scale", "rotation", "flip"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(more, name))


def test_draws_follow_from_seed_and_step_alone():
    first, again = (draw(AugmentConfig(), 8, generator(5, 7)) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    for key in ((5, 8), (6, 7)):
        assert not np.array_equal(draw(AugmentConfig(), 8, generator(*key)).scale, first.scale)
    half = first.rows(slice(1, None, 2))
    np.testing.assert_array_equal(half.color, first.color[1::2])


@pytest.mark.parametrize(
    ("key", "value"), [("flip_p", 1.5), ("rotation_p", -0.1), ("scale", 1.0), ("color", -1), ("rotation_deg", 200)]
)
def test_a_wrong_setting_is_named(key, value):
    with pytest.raises(PgtfastError, match=f"AugmentConfig: {key}: wanted"):
        AugmentConfig(**{key: value})
