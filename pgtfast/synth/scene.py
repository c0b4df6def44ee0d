"""Where the camera, the people and the things stand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .people import Cast, Person, turn
from .wardrobe import Outfit

BODY_HEIGHT = 1.7
"""Metres."""

_RECORDED = 0.5
"""Share of the people who take a recorded pose, where there are any."""


class View(NamedTuple):
    """A pinhole camera over the floor.

    Convention:
        World frame: x right, y down, z away from the camera, floor at y = 0, the camera above the origin.
        A world point X is at rotation @ (X - place) in the camera frame.
    """

    focal: np.ndarray
    """(2,) pixels."""
    center: np.ndarray
    """(2,) pixels."""
    rotation: np.ndarray
    """(3, 3) world to camera."""
    place: np.ndarray
    """(3,) metres, world frame."""

    def see(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) in the camera frame."""
        return (points - self.place) @ self.rotation.T

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of points (..., 3) in the camera frame."""
        return points[..., :2] / points[..., 2:] * self.focal + self.center


class Scene(NamedTuple):
    """People with their places on the floor, the boxes between them, and how deep the place is."""

    view: View
    people: tuple[Person, ...]
    places: np.ndarray
    """(P, 2) x and z of the people's roots, metres, world frame."""
    boxes: np.ndarray
    """(B, 2, 3) opposite corners of boxes on the floor, metres, world frame."""
    depth: float
    """Metres from the camera beyond which nobody stands."""
    outfits: tuple[Outfit, ...]
    """What each of the people wears."""


def draw_scene(
    rng: np.random.Generator,
    cast: Cast,
    size: tuple[int, int],
    people: tuple[int, int],
    temperature: float,
    clips: np.ndarray | None = None,
) -> Scene:
    """Draw a scene of the open world.

    Args:
        rng: all randomness.
        cast: body and prior.
        size: width and height of the image, pixels.
        people: fewest and most.
        temperature: of the poses.
        clips: (M, 24, 3) recorded poses that every other person takes; None for the prior's alone.
    """
    width, height = size
    count = int(rng.integers(people[0], people[1] + 1))
    persons = tuple(
        cast.person(rng, temperature, clips=clips if clips is not None and rng.random() < _RECORDED else None)
        for _ in range(count)
    )
    focal = np.hypot(width, height) * np.exp(rng.uniform(np.log(0.75), np.log(1.6)))
    center = (np.array(size) - 1) / 2 + rng.normal(0, 0.01, 2) * size
    # one time in six the first person fills more than the image
    share = rng.uniform(0.95, 1.5) if rng.random() < 1 / 6 else rng.uniform(0.45, 0.92)
    distance = max(BODY_HEIGHT * focal / (share * height), 1.8)
    above = rng.choice((rng.uniform(0.4, 1.0), rng.uniform(1.1, 2.3), rng.uniform(2.3, 3.6)), p=(0.25, 0.6, 0.15))
    pitch = np.arctan2(above - 0.85, distance) + rng.normal(0, 0.05) * height / focal
    roll = rng.normal(0, np.radians(2.5))
    rotation = turn(2, roll) @ turn(0, pitch)
    view = View(np.array([focal, focal]), center, rotation, np.array([0.0, -above, 0.0]))
    places = _places(rng, persons, distance, width / focal)
    depth = max(z + person.reach for (_, z), person in zip(places, persons, strict=True))
    outfits = tuple(Outfit(rng) for _ in persons)
    return Scene(view, persons, places, _boxes(rng, persons, places, distance), depth, outfits)


def _places(rng: np.random.Generator, persons: tuple[Person, ...], distance: float, spread: float) -> np.ndarray:
    """x and z of each person: the first at the distance and near the middle, the others around, as close as they may
    stand."""
    places = [np.array([rng.uniform(-0.12, 0.12) * spread * distance, distance])]
    if len(persons) > 1:
        places[0][0] = rng.uniform(-0.28, 0.28) * spread * distance
    for number, person in enumerate(persons[1:], 1):
        best, room = None, -np.inf
        for _ in range(16):
            z = distance + rng.uniform(-0.1, 0.6) * max(distance, 2.5)
            place = np.array([rng.uniform(-0.42, 0.42) * spread * z, z])
            gaps = [
                np.hypot(*(place - other)) - 0.55 * (person.reach + persons[at].reach)
                for at, other in enumerate(places[:number])
            ]
            if min(gaps) > room:
                best, room = place, min(gaps)
            if room > 0:
                break
        places.append(best)  # type: ignore[arg-type]
    return np.array(places)


def _boxes(rng: np.random.Generator, persons: tuple[Person, ...], places: np.ndarray, distance: float) -> np.ndarray:
    """Things on the floor: some behind or beside the people, three times in ten a low one or a post before the
    first."""
    boxes = []
    for _ in range(int(rng.integers(0, 5))):
        extent = np.exp(rng.uniform(np.log((0.25, 0.3, 0.25)), np.log((1.4, 1.6, 1.2))))
        middle = np.array([rng.uniform(-2.5, 2.5), distance + rng.uniform(-0.3, 3.0)])
        boxes.append(_box(middle, extent))
    if rng.random() < 0.3 and distance > 2.6:
        low, post = rng.uniform((0.4, 0.35, 0.2), (1.2, 0.9, 0.5)), rng.uniform((0.08, 1.0, 0.08), (0.3, 2.2, 0.3))
        extent = low if rng.random() < 0.6 else post
        ahead = distance - persons[0].reach - extent[2] / 2 - 0.1
        boxes.append(_box(np.array([places[0, 0] * ahead / distance + rng.uniform(-0.4, 0.4), ahead]), extent))
    clear = [b for b in boxes if b[0, 2] > 0.8 and not _stands_on(b, persons, places)]
    return np.array(clear).reshape(-1, 2, 3)


def _box(middle: np.ndarray, extent: np.ndarray) -> np.ndarray:
    low = np.array([middle[0] - extent[0] / 2, -extent[1], middle[1] - extent[2] / 2])
    return np.stack([low, low + extent])


def _stands_on(box: np.ndarray, persons: tuple[Person, ...], places: np.ndarray) -> bool:
    nearest = np.clip(places, box[0, [0, 2]], box[1, [0, 2]])
    return any(np.hypot(*(n - p)) < person.reach for n, p, person in zip(nearest, places, persons, strict=True))
