"""How crops are varied while a network learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._errors import PgtfastError

OCCLUSION_SHARE = (0.15, 0.45)
"""Least and largest side of the rectangle that hides part of a crop, as a share of the crop's."""
BLUR_SIGMA = (0.5, 2.5)
"""Pixels of the crop."""


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes of a crop. The defaults are Pose2Pose's (CVPRW 2022), which knows neither occlusion nor blur."""

    scale: float = 0.25
    """The crop shows 1 + scale * clip(N(0, 1), -1, 1) times as much of the picture."""
    rotation_deg: float = 30.0
    """Degrees; the picture turns by rotation_deg * clip(N(0, 1), -2, 2)."""
    rotation_p: float = 0.6
    """Probability of turning at all."""
    color: float = 0.2
    """Each channel is multiplied by U(1 - color, 1 + color), and cut at full brightness."""
    flip_p: float = 0.5
    """Probability of mirroring."""
    occlusion_p: float = 0.0
    """Probability of hiding a rectangle under grey."""
    blur_p: float = 0.0
    """Probability of a Gaussian blur."""

    def __post_init__(self) -> None:
        for name in ("rotation_p", "flip_p", "occlusion_p", "blur_p"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise PgtfastError(f"AugmentConfig: {name}: wanted a probability from 0 to 1, got {value!r}")
        for name, most in (("scale", 1.0), ("color", 1.0), ("rotation_deg", 180.0)):
            value = getattr(self, name)
            if not 0 <= value < most:
                raise PgtfastError(f"AugmentConfig: {name}: wanted at least 0 and below {most:g}, got {value!r}")


NONE = AugmentConfig(scale=0, rotation_deg=0, rotation_p=0, color=0, flip_p=0)
"""Crops as they are."""


class Draws(NamedTuple):
    """What was drawn for N crops; row i belongs to crop i."""

    scale: np.ndarray
    """(N,) float64: how much more of the picture the crop shows."""
    rotation: np.ndarray
    """(N,) float64 radians by which the picture's content turns, from x (right) towards y (down)."""
    flip: np.ndarray
    """(N,) bool."""
    color: np.ndarray
    """(N, 3) float32 factor of red, green and blue."""
    occlusion: np.ndarray
    """(N, 4) float32 x, y, width, height of the hidden rectangle, as shares of the crop; 0 where nothing is hidden."""
    blur: np.ndarray
    """(N,) float32 sigma in pixels of the crop, 0 where not blurred."""

    def rows(self, index: np.ndarray | slice) -> Draws:
        """Those of some crops."""
        return Draws(*(column[index] for column in self))


def generator(seed: int, key: int) -> np.random.Generator:
    """Random numbers that depend on nothing but `seed` and `key`, each from 0 to 2^64 - 1."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, key], np.uint64)))


def draw(config: AugmentConfig, count: int, rng: np.random.Generator) -> Draws:
    """Draw the changes of `count` crops.

    Every quantity takes the same numbers from `rng` whatever the config, so that switching one on leaves the others as
    they were.
    """
    scale, turn = rng.standard_normal((2, count))
    chance = rng.random((4, count))
    color, corner, shape = rng.random((count, 3)), rng.random((count, 2)), rng.random((count, 2))
    strength = rng.random(count)

    turned = config.rotation_deg * np.clip(turn, -2, 2)
    sides = OCCLUSION_SHARE[0] + shape * (OCCLUSION_SHARE[1] - OCCLUSION_SHARE[0])
    hidden = (chance[2] < config.occlusion_p)[:, None]
    sigma = BLUR_SIGMA[0] + strength * (BLUR_SIGMA[1] - BLUR_SIGMA[0])
    return Draws(
        scale=1 + config.scale * np.clip(scale, -1, 1),
        # Pose2Pose turns the box; the picture's content then turns the other way.
        rotation=np.where(chance[0] < config.rotation_p, -np.deg2rad(turned), 0.0) + 0.0,
        flip=chance[1] < config.flip_p,
        color=(1 + config.color * (2 * color - 1)).astype(np.float32),
        occlusion=np.where(hidden, np.concatenate([corner * (1 - sides), sides], -1), 0).astype(np.float32),
        blur=np.where(chance[3] < config.blur_p, sigma, 0).astype(np.float32),
    )
