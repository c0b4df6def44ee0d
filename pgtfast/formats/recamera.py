"""The same people for formats whose camera is fixed: another focal length or principal point, or weak perspective.

Two pinhole cameras see a person alike only where their rays are parallel; the body's origin is kept at its pixel and in
its size, and what that costs elsewhere on the body is measured (`pixels_apart`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from .. import cameras
from ..body import BodyModel
from ..people import People, layout_of
from .notes import Notes

BOX_UNIT = 200
"""Pixels in one unit of `scale`."""
GROWN = 1.2
"""SPIN, CLIFF and 4D-Humans grow an annotated box by this much and make it square."""


def square_boxes(bbox: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes as these formats have them.

    Args:
        bbox: (N, 4) x, y, width, height. A square one is kept; another is an annotated box and is grown by 1.2 about
            its middle.

    Returns:
        Centre (N, 2) and side (N,) in pixels, and (N,) whether it was grown.
    """
    middle = bbox[:, :2] + bbox[:, 2:] / 2
    side = bbox[:, 2:].max(1)
    grown = np.abs(bbox[:, 2] - bbox[:, 3]) > 1e-6 * side
    return middle, np.where(grown, GROWN * side, side), grown


def grown_boxes(bbox: np.ndarray, notes: Notes) -> tuple[np.ndarray, np.ndarray]:
    """Centre and side of `square_boxes`; `notes` gets how many were grown."""
    center, side, grown = square_boxes(bbox)
    notes.count("boxes: {n} annotated boxes are grown by 1.2 and made square", int(grown.sum()))
    return center, side


def boxes_of(center: np.ndarray, side: np.ndarray) -> np.ndarray:
    """(N, 4) x, y, width, height of square boxes by centre (N, 2) and side (N,)."""
    half = side[:, None] / 2
    return np.concatenate([center - half, 2 * half, 2 * half], 1)


def camera_of(people: People) -> cameras.Camera:
    """The pinhole cameras of the people, float64."""
    return cameras.Camera(_tensor(people.focal), _tensor(people.center), _tensor(people.image_size))


def with_camera(people: People, focal: np.ndarray, center: np.ndarray) -> People:
    """The people before other pinhole cameras (N, 2), each with the body's origin where it was in the image and as
    large."""
    weak = camera_of(people).to_weak(_tensor(people.body["transl"]))
    placed = weak.to_perspective(_tensor(focal), _tensor(center))
    same = (np.abs(people.focal - focal) < 1e-9).all(1) & (np.abs(people.center - center) < 1e-9).all(1)
    transl = np.where(same[:, None], people.body["transl"], placed.transl.numpy())
    return moved(people, transl, np.asarray(focal, np.float64), np.asarray(center, np.float64))


def weak_in_boxes(people: People, box_center: np.ndarray, side: np.ndarray) -> np.ndarray:
    """(N, 3) scale and translation in the square boxes, ``scale * (x + translation)`` spanning -1 to 1, that see the
    body's origin plane as the cameras do."""
    weak = camera_of(people).to_weak(_tensor(people.body["transl"]))
    return weak.weak_perspective(_tensor(box_center), _tensor(side)).numpy()


def from_weak(people: People, weak: np.ndarray, box_center: np.ndarray, side: np.ndarray, focal: np.ndarray) -> People:
    """The people with cameras (N, 3) weak in square boxes as pinhole cameras of focal lengths (N,) that look through
    the middle of the boxes."""
    count = len(people)
    camera = cameras.Camera.from_weak_perspective(
        _tensor(weak), _tensor(box_center), _tensor(side), _tensor(np.zeros((count, 2)))
    )
    both = np.repeat(focal[:, None], 2, 1)
    placed = camera.to_perspective(_tensor(both), _tensor(box_center))
    return moved(people, placed.transl.numpy(), both, np.asarray(box_center, np.float64))


def moved(people: People, transl: np.ndarray, focal: np.ndarray, center: np.ndarray) -> People:
    """The people at other places (N, 3) before other cameras (N, 2)."""
    return replace(people, body={**people.body, "transl": transl}, focal=focal, center=center)


def joint_points(people: People, body: BodyModel) -> Tensor:
    """(N, J, 3) joints in camera space, float64, of a body of the same joints; shapes that it lacks count as 0."""
    betas = np.zeros((len(people), body.num_betas))
    count = min(body.num_betas, people.body["betas"].shape[1])
    betas[:, :count] = people.body["betas"][:, :count]
    orient, pose = _tensor(people.body["global_orient"]), _tensor(people.body["body_pose"])
    wanted = layout_of(body.kind).rotations["body_pose"]
    if pose.shape[1] < wanted:  # the body joints of SMPL-X and SMPL-H are SMPL's without the hands
        pose = torch.nn.functional.pad(pose, (0, wanted - pose.shape[1]))
    plan = body.to("cpu", torch.float64).joints_plan
    transl = people.body.get("transl", np.zeros((len(people), 3)))
    return plan(global_orient=orient, body_pose=pose, betas=_tensor(betas), transl=_tensor(transl))


def pixels_apart(before: People, after: People, body: BodyModel) -> np.ndarray:
    """(N,) pixels: how far the joint that moves most has moved in the image."""
    seen = [camera_of(each).project(joint_points(each, body)) for each in (before, after)]
    return torch.linalg.vector_norm(seen[0] - seen[1], dim=-1).amax(-1).numpy()


def weak_apart(
    before: People, weak: np.ndarray, box_center: np.ndarray, side: np.ndarray, body: BodyModel
) -> np.ndarray:
    """(N,) pixels: the same for cameras (N, 3) that are weak in square boxes."""
    camera = cameras.Camera.from_weak_perspective(
        _tensor(weak), _tensor(box_center), _tensor(side), _tensor(before.image_size)
    )
    points = joint_points(before, body)
    flat = points - _tensor(before.body["transl"])[:, None]
    return torch.linalg.vector_norm(camera_of(before).project(points) - camera.project(flat), dim=-1).amax(-1).numpy()


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float64))


def boxes_around(people: People, body: BodyModel) -> np.ndarray:
    """(N, 4) x, y, width, height of the joints in the image, NaN where there is no camera."""
    points = camera_of(people).project(joint_points(people, body)).numpy()
    low, high = points.min(1), points.max(1)
    return np.concatenate([low, high - low], 1)


def image_camera(people: People, focal: np.ndarray, notes: Notes, measured: BodyModel | None) -> People:
    """The people before a camera through the middle of their image, of focal length (N,) where theirs is not such a one
    already."""
    middle = people.image_size / 2
    same = (np.abs(people.center - middle) < 1e-9).all(1) & (np.abs(people.focal[:, 0] - people.focal[:, 1]) < 1e-9)
    target = np.where(same, people.focal[:, 0], focal)
    out = with_camera(people, np.repeat(target[:, None], 2, 1), middle)
    notes.count(
        "camera: {n} people are placed anew before a camera through the middle of their image", int((~same).sum())
    )
    if measured is not None and not same.all():
        off = pixels_apart(people, out, measured).max()
        notes.worst(f"camera: that moves joints by up to {{n}} px (measured on the {measured.kind} body)", off)
    return out
