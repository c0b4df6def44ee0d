"""The studio: one plain room, four calibrated cameras, five people who do a few upright things."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .people import Cast, turn
from .scene import Scene, View
from .wardrobe import Outfit

SUBJECTS = (1, 5, 6, 7, 8)
CAMERAS = (1, 2, 3, 4)
ACTIONS = {2: "Directions", 3: "Discussion", 5: "Greeting", 6: "Phoning", 7: "Posing", 13: "Waiting"}
"""Numbers and names as Human3.6M has them; what is done is not the same."""
FRAME_STEP = 5
"""Readers of Human3.6M keep every fifth frame: the others are not made."""

HALF_ROOM = 4.5
"""Metres from the middle of the floor to the walls."""
_CORNER = 3.4
_MIDDLE, _SPREAD = 0.4, 0.35
"""Standard deviations of the latent: of the activities about the prior's mean, and of their moments about the
activity."""
_TO_ROOM = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""From the drawing's world (y down) to the data set's (z up)."""


class Moment(NamedTuple):
    """What an image of the studio shows."""

    subject: int
    action: int
    frame: int
    camera: int


class Calibration(NamedTuple):
    """A camera as the data set's files give it.

    Convention:
        World: z up, origin on the floor. A world point X (millimetres) is at rotation @ X + translation in the camera
            frame.
    """

    rotation: np.ndarray
    """(3, 3)."""
    translation: np.ndarray
    """(3,) millimetres."""
    focal: np.ndarray
    """(2,) pixels."""
    center: np.ndarray
    """(2,) pixels."""


def moment_of(number: int) -> Moment:
    """Subject, action, frame and camera of an image: all cameras see a moment, subjects and actions take turns."""
    moment, camera = divmod(number, len(CAMERAS))
    turn_of, subject = divmod(moment, len(SUBJECTS))
    frame, action = divmod(turn_of, len(ACTIONS))
    return Moment(SUBJECTS[subject], tuple(ACTIONS)[action], FRAME_STEP * frame, CAMERAS[camera])


def view_of(seed: int, size: tuple[int, int], moment: Moment) -> View:
    """The camera that takes an image: near a corner, aimed at the middle; each subject came on a day of its own
    calibration."""
    rng = np.random.default_rng([seed, 0, moment.subject, moment.camera])
    corner = np.array([(1, 1), (-1, 1), (1, -1), (-1, -1)])[moment.camera - 1]
    aside = corner * _CORNER + rng.normal(0, 0.15, 2)
    place = np.array([aside[0], -rng.uniform(1.35, 1.8), aside[1]])
    ahead = np.array([*rng.normal(0, 0.06, 2), 0])[[0, 2, 1]] + (0, -0.92, 0) - place
    yaw, pitch = np.arctan2(ahead[0], ahead[2]), np.arctan2(ahead[1], np.hypot(ahead[0], ahead[2]))
    rotation = turn(2, rng.normal(0, np.radians(0.5))) @ turn(0, pitch) @ turn(1, -yaw)
    side = min(size)
    focal = 1.75 * side * (1 + rng.normal(0, 0.002, 2))
    center = (np.array(size) - 1) / 2 + rng.normal(0, 0.008, 2) * side
    return View(focal, center, rotation, place)


def calibration_of(view: View) -> Calibration:
    """A view as the data set's files give it."""
    rotation = view.rotation @ _TO_ROOM.T
    return Calibration(rotation, -1000 * view.rotation @ view.place, view.focal, view.center)


def draw_moment(seed: int, cast: Cast, size: tuple[int, int], moment: Moment) -> Scene:
    """The scene of a image. All cameras see the same person, in the same place, in one of two outfits of the subject.

    Args:
        seed: of the world.
        cast: body and prior.
        size: width and height, pixels.
        moment: which image.
    """
    subject, action, frame, _ = moment
    middle = _MIDDLE * np.random.default_rng([seed, 1, action]).standard_normal(32)
    fixed = np.random.default_rng([seed, 2, subject])
    betas = (0.8 * fixed.standard_normal(cast.body.num_betas)).clip(-2, 2).astype(np.float32)
    outfit = Outfit(np.random.default_rng([seed, 3, subject, action % 2]))
    rng = np.random.default_rng([seed, 4, subject, action, frame])
    person = cast.person(rng, _SPREAD, middle=middle, betas=betas)
    places = rng.uniform(-0.6, 0.6, (1, 2))
    view = view_of(seed, size, moment)
    return Scene(view, (person,), places, np.zeros((0, 2, 3)), 2 * HALF_ROOM, (outfit,))
