"""Procedural colours: noise, patterns and palettes. All colours are linear light, 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

SKIN = (
    (0.93, 0.76, 0.65),
    (0.87, 0.66, 0.52),
    (0.78, 0.56, 0.42),
    (0.62, 0.42, 0.30),
    (0.45, 0.29, 0.20),
    (0.32, 0.20, 0.14),
)
HAIR = (
    (0.08, 0.06, 0.05),
    (0.18, 0.11, 0.07),
    (0.35, 0.21, 0.11),
    (0.62, 0.45, 0.24),
    (0.55, 0.53, 0.50),
    (0.30, 0.10, 0.05),
)
PATTERNS = ("plain", "checks", "planks", "tiles", "spots", "bands")


def linear(color: Sequence[float] | np.ndarray) -> np.ndarray:
    """Display colour to linear light."""
    return np.asarray(color, np.float32) ** np.float32(2.2)


def draw_color(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> np.ndarray:
    """(3,) of any hue, with saturation and value (of the display colour) from two ranges."""
    hue, s, v = rng.uniform(0, 6), rng.uniform(*saturation), rng.uniform(*value)
    wheel = np.clip(np.abs((hue + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return linear(v * (1 - s * (1 - wheel)))


def draw_skin(rng: np.random.Generator) -> np.ndarray:
    """(3,) somewhere between two neighbours of the palette."""
    at = rng.uniform(0, len(SKIN) - 1)
    low = int(at)
    return linear(np.array(SKIN[low]) + (at - low) * (np.array(SKIN[low + 1]) - np.array(SKIN[low])))


_GRAINS, _FINE = 64, 16
"""A table of noise repeats after so many grains; each grain is laid out in so many steps."""
_TABLES = 4


@lru_cache
def _table(number: int) -> np.ndarray:
    """(_GRAINS * _FINE) squared values, flat: smooth noise, laid out finely enough that the nearest entry will do."""
    coarse = np.random.default_rng([7, number]).random((_GRAINS, _GRAINS), np.float32)
    share = (np.arange(_FINE, dtype=np.float32) + 0.5) / _FINE
    share = share * share * (3 - 2 * share)
    for axis in (0, 1):
        after = np.roll(coarse, -1, axis)
        shape = (1, 1, -1) if axis else (1, -1, 1)
        fine = np.expand_dims(coarse, axis + 1)
        fine = fine + share.reshape(shape) * (np.expand_dims(after, axis + 1) - fine)
        coarse = fine.reshape(-1, coarse.shape[1]) if axis == 0 else fine.reshape(len(coarse), -1)
    return coarse.ravel()


class Noise:
    """Smooth periodic noise over the plane, 0 to 1, mean one half: a piece of one of a few tables."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._table = _table(int(rng.integers(_TABLES)))
        self._first = rng.integers(0, _GRAINS * _FINE, 2)

    def __call__(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Noise (...) with a grain of 1 at points u, v (...)."""
        side = _GRAINS * _FINE
        i, j = (
            np.floor(np.asarray(at, np.float32) * np.float32(_FINE)).astype(np.int32) + np.int32(first)
            & np.int32(side - 1)
            for at, first in zip((u, v), self._first, strict=True)
        )
        return self._table[i * np.int32(side) + j]


def pattern(kind: str, u: np.ndarray, v: np.ndarray, noise: Noise) -> np.ndarray:
    """A pattern of period 1.

    Args:
        kind: one of `PATTERNS`.
        u: (...) across.
        v: (...) along.
        noise: for grain.

    Returns:
        (...) 0 for the first colour to 1 for the second.
    """
    if kind == "checks":
        return ((np.floor(u) + np.floor(v)) % 2).astype(np.float32)
    if kind == "planks":
        row = np.floor(u)
        return 0.6 * noise(row * 7.3, np.floor(v / 6 + row * 0.37)) + 0.4 * noise(u * 6, v)
    if kind == "tiles":
        return (np.minimum(u % 1, v % 1) < 0.06).astype(np.float32)
    if kind == "spots":
        return (np.hypot(u % 1 - 0.5, v % 1 - 0.5) < 0.28).astype(np.float32)
    if kind == "bands":
        return (u % 1 < 0.5).astype(np.float32)
    return 0.5 * noise(u * 2, v * 2) + 0.5 * noise(u * 11, v * 11)
