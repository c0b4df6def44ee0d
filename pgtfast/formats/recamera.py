"""The same people for formats whose camera is fixed: another focal length or principal point, or weak perspective.

Two pinhole cameras see a person alike only where their rays are parallel; the body's origin is kept at its pixel and in its size, and what that
costs elsewhere on the body is measured (`pixels_apart`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from .. import cameras
from ..body import BodyModel
from .bodies import Bodies

BOX_UNIT = 200
"""Pixels in one unit of `scale`."""
GROWN = 1.2
"""SPIN, CLIFF and 4D-Humans grow an annotated box by this much and make it square."""


def square_boxes(bbox: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes as these formats have them.

    Args:
        bbox: (N, 4) x, y, width, height. A square one is kept; another is an annotated box and is grown by 1.2 about its middle.

    Returns:
        Centre (N, 2) and side (N,) in pixels, and (N,) whether it was grown.
    """
    middle = bbox[:, :2] + bbox[:, 2:] / 2
    side = bbox[:, 2:].max(1)
    grown = np.abs(bbox[:, 2] - bbox[:, 3]) > 1e-6 * side
    return middle, np.where(grown, GROWN * side, side), grown


def boxes_of(center: np.ndarray, side: np.ndarray) -> np.ndarray:
    """(N, 4) x, y, width, height of square boxes by centre (N, 2) and side (N,)."""
    half = side[:, None] / 2
    return np.concatenate([center - half, 2 * half, 2 * half], 1)


def camera_of(bodies: Bodies) -> cameras.Camera:
    """The pinhole cameras of the people, float64."""
    return cameras.Camera(_tensor(bodies.focal), _tensor(bodies.center), _tensor(bodies.image_size))


def with_camera(bodies: Bodies, focal: np.ndarray, center: np.ndarray) -> Bodies:
    """The people before other pinhole cameras (N, 2), each with the body's origin where it was in the image and as large."""
    weak = camera_of(bodies).to_weak(_tensor(bodies.transl))
    placed = weak.to_perspective(_tensor(focal), _tensor(center))
    same = (np.abs(bodies.focal - focal) < 1e-9).all(1) & (np.abs(bodies.center - center) < 1e-9).all(1)
    transl = np.where(same[:, None], bodies.transl, placed.transl.numpy())
    return replace(bodies, transl=transl, focal=np.asarray(focal, np.float64), center=np.asarray(center, np.float64))


def weak_in_boxes(bodies: Bodies, box_center: np.ndarray, side: np.ndarray) -> np.ndarray:
    """(N, 3) scale and translation in the square boxes, ``scale * (x + translation)`` spanning -1 to 1, that see the body's origin plane as the cameras do."""
    weak = camera_of(bodies).to_weak(_tensor(bodies.transl))
    return weak.weak_perspective(_tensor(box_center), _tensor(side)).numpy()


def from_weak(bodies: Bodies, weak: np.ndarray, box_center: np.ndarray, side: np.ndarray, focal: np.ndarray) -> Bodies:
    """The people with cameras (N, 3) weak in square boxes as pinhole cameras of focal lengths (N,) that look through the middle of the boxes."""
    count = len(bodies)
    camera = cameras.Camera.from_weak_perspective(
        _tensor(weak), _tensor(box_center), _tensor(side), _tensor(np.zeros((count, 2)))
    )
    both = np.repeat(focal[:, None], 2, 1)
    placed = camera.to_perspective(_tensor(both), _tensor(box_center))
    return replace(bodies, transl=placed.transl.numpy(), focal=both, center=np.asarray(box_center, np.float64))


def joint_points(bodies: Bodies, body: BodyModel) -> Tensor:
    """(N, J, 3) joints in camera space, float64, of a body of the same joints; shapes that it lacks count as 0."""
    betas = np.zeros((len(bodies), body.num_betas))
    count = min(body.num_betas, bodies.betas.shape[1])
    betas[:, :count] = bodies.betas[:, :count]
    pose, transl = _tensor(bodies.pose), _tensor(bodies.transl)
    if body.num_joints == 24 and pose.shape[1] == 66:  # SMPL-X's body joints are SMPL's without the hands
        pose = torch.nn.functional.pad(pose, (0, 6))
    plan = body.to("cpu", torch.float64).joints_plan
    return plan(global_orient=pose[:, :3], body_pose=pose[:, 3:], betas=_tensor(betas), transl=transl)


def pixels_apart(before: Bodies, after: Bodies, body: BodyModel) -> np.ndarray:
    """(N,) pixels: how far the joint that moves most has moved in the image."""
    seen = [camera_of(each).project(joint_points(each, body)) for each in (before, after)]
    return torch.linalg.vector_norm(seen[0] - seen[1], dim=-1).amax(-1).numpy()


def weak_apart(
    before: Bodies, weak: np.ndarray, box_center: np.ndarray, side: np.ndarray, body: BodyModel
) -> np.ndarray:
    """(N,) pixels: the same for cameras (N, 3) that are weak in square boxes."""
    camera = cameras.Camera.from_weak_perspective(
        _tensor(weak), _tensor(box_center), _tensor(side), _tensor(before.image_size)
    )
    points = joint_points(before, body)
    flat = points - _tensor(before.transl)[:, None]
    return torch.linalg.vector_norm(camera_of(before).project(points) - camera.project(flat), dim=-1).amax(-1).numpy()


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float64))


def boxes_around(bodies: Bodies, body: BodyModel) -> np.ndarray:
    """(N, 4) x, y, width, height of the joints in the image, NaN where there is no camera."""
    points = camera_of(bodies).project(joint_points(bodies, body)).numpy()
    low, high = points.min(1), points.max(1)
    return np.concatenate([low, high - low], 1)
