"""From what an estimator's layers give to bodies in a camera."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from .. import ops
from .._errors import PgtfastError
from ..cameras import Camera
from ..priors import VPoser

if TYPE_CHECKING:
    from .annotator import NetworkConfig, Prediction

FOCAL, FOCAL_WIDTH = 5000.0, 192
"""Focal length in pixels of a crop of that width; another crop's is in proportion."""
CAMERA_SIZE = 2.5
"""Metres that a crop spans at the depth k."""


class Bodies(NamedTuple):
    """B bodies in the virtual camera of their crops."""

    rotations: Tensor
    """(B, 24, 3, 3), the root first; the hands are flat."""
    latent: Tensor | None
    """(B, 32), or None for a network that gives rotations."""
    betas: Tensor
    """(B, 10)."""
    transl: Tensor
    """(B, 3) metres."""
    focal: Tensor
    """(2,) pixels of the crop."""
    center: Tensor
    """(2,) pixels of the crop, the centre of the first at (0, 0)."""


def place(prediction: Prediction, config: NetworkConfig, prior: VPoser | None) -> Bodies:
    """Bodies of a prediction, differentiable.

    The depth is k sigmoid(c), k = sqrt(fx fy 2.5^2 / (W H)), 56.4 m for Pose2Pose's crops (its main/model.py; the
    camera of NeuralAnnot's files).

    Args:
        prediction: of B crops.
        config: of the network.
        prior: of its latents; None for the head "rotations".

    Raises:
        PgtfastError: the head gives latents and there is no prior.
    """
    with torch.autocast(prediction.pose.device.type, enabled=False):
        root_6d, pose, betas, camera = (t.float() for t in prediction[1:])
        count = len(pose)
        root = ops.rot6d_to_matrix(root_6d, layout="column")[:, None]
        latent = None
        if config.head == "vposer":
            if prior is None:
                raise PgtfastError("prior: the network gives latents of a prior; pass the one that it was trained with")
            latent = pose
            body = prior.decode(latent)
        else:
            body = ops.rot6d_to_matrix(pose.view(count, -1, 6), layout="column")
        hands = torch.eye(3, device=pose.device).expand(count, 2, 3, 3)
        rotations = torch.cat((root, body, hands), 1)
        transl = torch.cat((camera[:, :2], reach(config) * camera[:, 2:].sigmoid()), 1)
        focal, center = (camera.new_tensor(pair) for pair in virtual_camera(config))
        return Bodies(rotations, latent, betas, transl, focal, center)


def virtual_camera(config: NetworkConfig) -> tuple[tuple[float, float], tuple[float, float]]:
    """Focal length and principal point that the network assumes in every crop, pixels of the crop.

    Convention:
        Pose2Pose's principal point is half the crop's size; with pixel centres at whole numbers the middle, where the
        "improved" mode has it, lies half a pixel before that. Mirrored crops have the same middle.
    """
    width, height = config.input_size
    focal = FOCAL * width / FOCAL_WIDTH
    middle = 0.5 if config.mode == "improved" else 0.0
    return (focal, focal), (width / 2 - middle, height / 2 - middle)


def reach(config: NetworkConfig) -> float:
    """k: metres within which the network's depths lie."""
    width, height = config.input_size
    (focal_x, focal_y), _ = virtual_camera(config)
    return math.sqrt(focal_x * focal_y * CAMERA_SIZE**2 / (width * height))


def full_image_camera(bbox_xywh: Tensor, size: Tensor, config: NetworkConfig) -> Camera:
    """The virtual camera in pixels of the whole images; bodies of `place` stay as they are.

    Args:
        bbox_xywh: (B, 4) boxes that the crops show (grown to the crop's shape), pixels of the images.
        size: (B, 2) width and height of the images.
        config: of the network.
    """
    focal, center = virtual_camera(config)
    return Camera.from_crop(bbox_xywh, size, crop_size=config.input_size, focal=focal, center=center)
