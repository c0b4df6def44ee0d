"""What is known about the people of a batch, moved into their crops on the device."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .. import ops, skeletons
from .batch import Batch
from .supervision import Supervision


class Targets(NamedTuple):
    """Targets of B crops; K rows of the :class:`Supervision`, each still the joint that it is named after where the
    crop is mirrored."""

    keypoints: Tensor
    """(B, K, 2) float32: pixels of the crop, the centre of the first at (0, 0); meaningless where the weight is 0."""
    weights: Tensor
    """(B, K) float32, 0 where not labelled."""
    inside: Tensor
    """(B, K) bool: labelled, and within the crop, which covers -0.5 to W - 0.5."""
    joints_3d: Tensor
    """(B, K, 3) float32: metres from the pelvis of `Batch.root`, axes of the crop's camera (x right, y down, z
    forward)."""
    joints_3d_weights: Tensor
    """(B, K) float32: 1 where known, 0 elsewhere and wherever that pelvis is unknown."""
    rotations: Tensor
    """(B, 24, 3, 3) float32: each joint's relative to its parent, the root's in the axes of the crop's camera."""
    has_pose: Tensor
    """(B,) bool."""
    betas: Tensor
    """(B, 10) float32."""
    has_betas: Tensor
    """(B,) bool."""

    def rows(self, index: Tensor | slice) -> Targets:
        """The people of `index`: indices, a mask or a slice."""
        return Targets(*(value[index] for value in self))

    def __repr__(self) -> str:
        return f"Targets({', '.join(f'{name}={tuple(value.shape)}' for name, value in self._asdict().items())})"


def crop_targets(batch: Batch, supervision: Supervision, crop_size: tuple[int, int]) -> Targets:
    """Targets in the mirrored, turned and scaled frame of the crops. Nothing waits for the device.

    Args:
        batch: B people.
        supervision: its K rows.
        crop_size: width and height of the crops, pixels.

    Convention:
        A mirrored person's left is the right of the one in the picture: rows are exchanged, so that row k is joint k of
        the person that the crop
        shows, and `Batch.position_row` holds as it is. In 3D a crop is ``diag(-1, 1, 1)`` if mirrored, then a turn
        about the camera's axis by
        `Batch.rotation`, the turn that the pixels make. Mirrored rotations are those of the mirrored body where the
        body is symmetric (the free body is).

        The turn is exact in 3D. That its picture is the turned picture holds where the camera's axis passes through the
        centre of the turn or perspective is
        weak; elsewhere the crop looks at the body from slightly aside, as every crop does (Pose2Pose leaves that out,
        too).
    """
    width, height = crop_size
    keypoints = points_in_crop(batch.keypoints[..., :2], batch, supervision)
    weights = exchange_sides(batch.keypoints[..., 2], batch, supervision)
    x, y = keypoints.unbind(-1)
    within = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)

    row = batch.root.clamp(min=0)
    known = batch.joints_3d[..., 3]
    pelvis_known = known.gather(1, row[:, None]) * (batch.root >= 0)[:, None]
    joints = vectors_in_crop(batch.joints_3d[..., :3] - take_row(batch.joints_3d[..., :3], row), batch, supervision)
    return Targets(
        keypoints=keypoints,
        weights=weights,
        inside=within & (weights > 0),
        joints_3d=joints,
        joints_3d_weights=exchange_sides(known, batch, supervision) * pelvis_known,
        rotations=rotations_in_crop(ops.rotvec_to_matrix(batch.pose), batch),
        has_pose=batch.has_pose,
        betas=batch.betas,
        has_betas=batch.has_betas,
    )


def points_in_crop(points: Tensor, batch: Batch, supervision: Supervision) -> Tensor:
    """Points of the full image (B, K, 2), pixels, in the crop."""
    m = batch.matrix
    moved = torch.stack([(points * m[:, None, axis, :2]).sum(-1) + m[:, None, axis, 2] for axis in (0, 1)], -1)
    return exchange_sides(moved, batch, supervision)


def vectors_in_crop(vectors: Tensor, batch: Batch, supervision: Supervision) -> Tensor:
    """Vectors of the image's camera (B, K, 3) in the axes of the crop's."""
    x, y, z = vectors.unbind(-1)
    x = torch.where(batch.flip[:, None], -x, x)
    cos, sin = batch.rotation.cos()[:, None], batch.rotation.sin()[:, None]
    return exchange_sides(torch.stack((cos * x - sin * y, sin * x + cos * y, z), -1), batch, supervision)


def rotations_in_crop(rotations: Tensor, batch: Batch) -> Tensor:
    """Local rotations (B, 24, 3, 3), the root's in the axes of the image's camera, of the body that the crop shows."""
    order, sign = _mirror(rotations.device)
    mirrored = rotations.index_select(1, order) * sign
    turned = torch.where(batch.flip[:, None, None, None], mirrored, rotations)
    x, y, z = turned[:, 0].unbind(1)
    cos, sin = batch.rotation.cos()[:, None], batch.rotation.sin()[:, None]
    root = torch.stack((cos * x - sin * y, sin * x + cos * y, z), 1)
    return torch.cat((root[:, None], turned[:, 1:]), 1)


def exchange_sides(values: Tensor, batch: Batch, supervision: Supervision) -> Tensor:
    """Values of K rows (B, K, ...), with left and right exchanged where the crop is mirrored."""
    swapped = values.index_select(1, _exchange(supervision, values.device))
    return torch.where(batch.flip.view(-1, *(1,) * (values.dim() - 1)), swapped, values)


def take_row(points: Tensor, row: Tensor) -> Tensor:
    """(B, 1, D): the point of (B, K, D) at each person's own row (B,)."""
    return points.gather(1, row[:, None, None].expand(-1, 1, points.shape[-1]))


@lru_cache(maxsize=64)
def _exchange(supervision: Supervision, device: torch.device) -> Tensor:
    return torch.from_numpy(supervision.flip_permutation).to(device)


@lru_cache(maxsize=8)
def _mirror(device: torch.device) -> tuple[Tensor, Tensor]:
    """Order of the mirrored body's joints, and D D^T of D = diag(-1, 1, 1)."""
    order = torch.tensor(skeletons.get("smpl24").flip_permutation, device=device)
    return order, torch.tensor([[1.0, -1.0, -1.0], [-1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]], device=device)
