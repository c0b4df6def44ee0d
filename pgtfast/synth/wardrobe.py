"""Skin, hair and clothes, painted on the body at rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .people import Cast
from .textures import HAIR, Noise, draw_color, draw_skin, linear, pattern

_FABRICS = ("plain", "plain", "plain", "checks", "spots", "bands", "bands")


@dataclass(frozen=True)
class Figure:
    """Where the parts of the body lie at rest: arms along x, legs along -y, face to +z. Metres."""

    shoulder: np.ndarray
    wrist: np.ndarray
    hip: np.ndarray
    ankle: np.ndarray
    neck: np.ndarray
    nose: np.ndarray
    eye: np.ndarray
    ear: np.ndarray
    waist: np.ndarray


def figure_of(cast: Cast) -> Figure:
    """Measure the body; of paired joints the left ones."""
    plan = cast.landmarks
    points = plan(transl=cast.rest.new_zeros(3)).numpy()
    found = {name.removeprefix("left_"): p for name, p in zip(plan.names, points, strict=True)}
    joints = dict(zip(cast.body.joint_names, cast.body().joints.numpy(), strict=True))
    return Figure(
        **{name: found[name] for name in ("shoulder", "wrist", "hip", "ankle", "nose", "eye", "ear")},
        neck=joints["neck"],
        waist=joints["spine1"],
    )


class Outfit:
    """What one person looks like; call it with points of the body at rest."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.skin = draw_skin(rng)
        self.hair = (
            linear(HAIR[rng.integers(len(HAIR))]) * rng.uniform(0.7, 1.3)
            if rng.random() < 0.9
            else draw_color(rng, (0.4, 0.9), (0.3, 0.9))
        )
        self.hair_length = rng.choice((0.0, 0.03, 0.09, 0.2))
        self.sleeve = rng.choice((-0.05, 0.3, 0.4, 0.97), p=(0.15, 0.25, 0.2, 0.4))
        self.leg = rng.choice((0.3, 0.42, 0.7, 0.93), p=(0.15, 0.2, 0.1, 0.55))
        self.hem = rng.uniform(-0.06, 0.06)
        self.shirt = draw_color(rng, (0.0, 0.8), (0.15, 1.0)), draw_color(rng, (0.0, 0.8), (0.1, 1.0))
        self.trousers = draw_color(rng, (0.0, 0.6), (0.08, 0.75))
        if rng.random() < 0.08:
            self.trousers = self.shirt[0]
        self.shoes = draw_color(rng, (0.0, 0.8), (0.05, 0.95))
        self.fabric = _FABRICS[rng.integers(len(_FABRICS))]
        self.period = rng.uniform(0.05, 0.14)
        self.print = rng.random() < 0.3
        self.noise = Noise(rng)

    def paint(self, rest: np.ndarray, figure: Figure) -> np.ndarray:
        """Colours of surface points.

        Args:
            rest: (n, 3) metres, on the mean body at rest.
            figure: of that body.

        Returns:
            (n, 3) float32 linear RGB.
        """
        x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
        color = np.tile(self.skin, (len(rest), 1))
        arm = (x - figure.shoulder[0]) / (figure.wrist[0] - figure.shoulder[0])
        limb = (arm > 0.08) & (y > figure.waist[1] + 0.1)
        leg = (figure.hip[1] - y) / (figure.hip[1] - figure.ankle[1])
        neckline = figure.neck[1] - 0.02 - 0.6 * np.maximum(0.07 - x, 0) * (z > figure.neck[2])
        bare = (x < 0.085) & (y > neckline)
        upper = (y > figure.waist[1] + self.hem) & ~bare & (arm < self.sleeve)
        lower = ~upper & (y <= figure.waist[1] + self.hem) & (leg < self.leg) & ~limb
        color[upper] = self._cloth(rest[upper])
        color[lower] = self.trousers * (0.85 + 0.3 * self.noise(rest[lower, 0] * 25, y[lower] * 8))[:, None]
        color[(leg > 0.97) & (y < figure.ankle[1] + 0.02)] = self.shoes
        color[limb & (arm > self.sleeve) & ~upper & (arm < 1.6)] = self.skin
        self._head(rest, figure, color)
        return color.astype(np.float32)

    def _cloth(self, rest: np.ndarray) -> np.ndarray:
        u, v = rest[:, 1] / self.period, rest[:, 0] / self.period
        amount = pattern(self.fabric, u, v, self.noise)[:, None]
        if self.fabric == "plain":
            amount = 0.12 * amount
        color = self.shirt[0] + amount * (self.shirt[1] - self.shirt[0])
        if self.print:
            logo = (np.abs(rest[:, 0]) < 0.08) & (np.abs(rest[:, 1] - 0.1) < 0.06) & (rest[:, 2] > 0.05)
            color[logo] = self.shirt[1]
        return color * (0.9 + 0.2 * self.noise(rest[:, 0] * 30, rest[:, 1] * 30))[:, None]

    def _head(self, rest: np.ndarray, figure: Figure, color: np.ndarray) -> None:
        x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
        head = (x < 0.13) & (y > figure.neck[1] - 0.02)
        crown = y > figure.eye[1] + 0.04 + 0.012 * self.noise(rest[:, 0] * 90, rest[:, 1] * 0)
        back = (z < figure.ear[2] + 0.005) & (y > figure.ear[1] + 0.03 - self.hair_length)
        strands = 0.75 + 0.5 * self.noise(rest[:, 0] * 120, y * 20)
        hair = head & (crown | back)
        color[hair] = self.hair * strands[hair, None]
        front = head & (z > figure.ear[2] + 0.03)
        eyes = np.hypot(x - figure.eye[0], y - figure.eye[1])
        color[front & (eyes < 0.016) & (np.abs(y - figure.eye[1]) < 0.008)] = linear((0.92, 0.92, 0.9))
        color[front & (eyes < 0.008)] = linear((0.12, 0.08, 0.06))
        brow = front & (np.abs(y - figure.eye[1] - 0.022) < 0.004) & (np.abs(x - figure.eye[0]) < 0.02)
        color[brow] = self.hair * 0.6
        mouth = front & (x < 0.024) & (np.abs(y - figure.nose[1] + 0.04) < 0.006)
        color[mouth] = self.skin * np.array([0.75, 0.35, 0.35], np.float32)
