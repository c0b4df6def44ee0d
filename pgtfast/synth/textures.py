"""Procedural colours: noise, patterns and palettes. All colours are linear light, 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence

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


class Noise:
    """Smooth periodic noise over the plane, 0 to 1, mean one half."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._table = rng.random((64, 64), np.float32)

    def __call__(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Noise (...) with a grain of 1 at points u, v (...)."""
        i, j = np.floor(u), np.floor(v)
        a, b = (u - i).astype(np.float32), (v - j).astype(np.float32)
        a, b = a * a * (3 - 2 * a), b * b * (3 - 2 * b)
        i, j = i.astype(np.int32) & 63, j.astype(np.int32) & 63
        k, m = (i + 1) & 63, (j + 1) & 63
        table = self._table
        top = table[i, j] + a * (table[k, j] - table[i, j])
        return top + b * (table[i, m] + a * (table[k, m] - table[i, m]) - top)


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
