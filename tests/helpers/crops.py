"""Batches of random free bodies whose annotations are exact."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pgtfast import ops
from pgtfast.body import BodyModel
from pgtfast.loading import Batch, Supervision


class Scene(NamedTuple):
    """A batch, and what made it."""

    batch: Batch
    landmarks: Tensor
    """(B, K, 3) metres, camera frame of the full image."""
    zoom: Tensor
    """(B,)."""
    middle: Tensor
    """(B, 2): point of the full image that the crop is centred at, pixels."""


def make_scene(
    body: BodyModel,
    supervision: Supervision,
    sets: tuple[str, ...],
    *,
    crop: tuple[int, int] = (192, 256),
    augment: bool = True,
    axis_through_crop: bool = False,
    far: bool = False,
    center: tuple[float, float] | None = None,
    seed: int = 0,
) -> Scene:
    """One person a crop, 4 to 6 m away; person i is annotated with the joints of sets[i], and with body parameters.

    Args:
        body: the free body.
        supervision: rows of the batch.
        sets: joint set of each person.
        crop: width and height.
        augment: mirror every other crop, turn all by up to a radian, and scale them.
        axis_through_crop: the camera looks at the middle of every crop.
        far: 38 to 45 m away, a focal length of 1,000 pixels and a zoom of 5: seen by one virtual camera of 5,000
            pixels.
        center: pixel of the crop that shows the middle of the person; None for the crop's own middle.
        seed: of everything.
    """
    rng = torch.Generator().manual_seed(seed)
    n = len(sets)

    def draw(rows: int, columns: int, low: float, high: float) -> Tensor:
        shape = (rows, columns) if columns else (rows,)
        return low + (high - low) * torch.rand(*shape, generator=rng)

    pose = 0.35 * torch.randn(n, 24, 3, generator=rng)
    pose[:, 22:] = 0  # hands are flat, as the network's
    pose[:, 0] += torch.tensor([math.pi, 0.0, 0.0])
    betas = torch.randn(n, 10, generator=rng)
    transl = torch.cat((draw(n, 2, -0.5, 0.5), draw(n, 1, *((38, 45) if far else (4, 6)))), 1)
    plan = supervision.plan(body)
    landmarks = plan(global_orient=pose[:, 0], body_pose=pose[:, 1:], betas=betas, transl=transl)
    focal = torch.full((n, 2), 1000.0) if far else draw(n, 2, 900, 1100)
    principal = torch.tensor([500.0, 400.0]).expand(n, 2)
    pixels = ops.project(landmarks, focal, principal)
    middle = (pixels.amax(1) + pixels.amin(1)) / 2
    if axis_through_crop:
        focal = focal[:, :1].expand(n, 2).contiguous()
        pelvis = landmarks[:, supervision.base_root, None]
        landmarks = landmarks - pelvis * torch.tensor([1.0, 1.0, 0.0])
        transl = transl - pelvis[:, 0] * torch.tensor([1.0, 1.0, 0.0])
        pixels, middle = ops.project(landmarks, focal, principal), principal
    flip = torch.arange(n) % 2 == 1 if augment else torch.zeros(n, dtype=torch.bool)
    rotation = draw(n, 0, -1, 1) if augment else torch.zeros(n)
    zoom = 0.8 * crop[1] / (pixels.amax(1) - pixels.amin(1)).amax(-1) * (draw(n, 0, 0.8, 1.2) if augment else 1)
    zoom = torch.full((n,), 5.0) if far else zoom
    cos, sin = rotation.cos(), rotation.sin()
    turn = torch.stack((torch.stack((cos, -sin), -1), torch.stack((sin, cos), -1)), 1)
    linear = zoom[:, None, None] * turn * torch.where(flip[:, None], torch.tensor([-1.0, 1.0]), torch.ones(2))[:, None]
    aim = (torch.tensor(crop) - 1) / 2 if center is None else torch.tensor(center)
    offset = aim - (linear @ middle[..., None])[..., 0]

    count = len(supervision)
    keypoints, joints = torch.zeros(n, count, 3), torch.zeros(n, count, 4)
    root, rows = torch.empty(n, dtype=torch.int64), []
    for person, name in enumerate(sets):
        where = supervision.joint_map(name)
        keypoints[person, where.rows] = torch.cat((pixels, torch.ones(n, count, 1)), -1)[person, where.rows]
        joints[person, where.rows] = torch.cat((landmarks, torch.ones(n, count, 1)), -1)[person, where.rows]
        root[person] = where.root
        rows.append(torch.from_numpy(where.position))
    yes = torch.ones(n, dtype=torch.bool)
    batch = Batch(
        image=torch.zeros(n, 3, crop[1], crop[0]),
        matrix=torch.cat((linear, offset[..., None]), -1),
        flip=flip,
        rotation=rotation,
        box=torch.cat((middle - 1, torch.full((n, 2), 2.0)), 1),
        size=torch.tensor([1000.0, 800.0]).expand(n, 2),
        keypoints=keypoints,
        joints_3d=joints,
        root=root,
        position_row=torch.stack(rows),
        pose=pose,
        has_pose=yes,
        betas=betas,
        has_betas=yes,
        set_index=torch.zeros(n, dtype=torch.int64),
        person=torch.arange(n),
        transl=transl,
        intrinsics=torch.cat((focal, principal), 1),
    )
    return Scene(batch, landmarks, zoom, middle)
