"""First orientation and translation of each person, in closed form from a standing body and the keypoints."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .. import ops

TRUNK = ("shoulder", "hip")
"""Joints whose position in the body hardly depends on the pose."""

LIMBS = ("elbow", "wrist", "ankle")
"""Joints that move most: they count little here."""

BONES = (
    ("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("shoulder", "hip"),
)  # fmt: skip


class Starts(NamedTuple):
    """S starts of N people."""

    orient: Tensor
    """(N, S, 3, 3): root orientation, camera frame."""
    transl: Tensor
    """(N, S, 3): metres, camera frame."""
    residual: Tensor
    """(N, S): root mean square residual of the keypoints, metres at the body's depth."""


def orientations(yaws: Tensor, pitches: Tensor) -> Tensor:
    """Root orientations of an upright body in the camera frame.

    Args:
        yaws: (S,) radians; 0 faces the camera, positive turns the body to its own left.
        pitches: (S,) radians; positive tilts the head away from the camera.

    Returns:
        (S, 3, 3).
    """
    zero = torch.zeros_like(yaws)
    upright = torch.stack((zero + math.pi, zero, zero), -1)
    yaw = torch.stack((zero, yaws, zero), -1)
    pitch = torch.stack((pitches, zero, zero), -1)
    pitch, upright, yaw = (ops.rotvec_to_matrix(r) for r in (pitch, upright, yaw))
    return pitch @ upright @ yaw


def rigid_starts(
    body: Tensor, names: tuple[str, ...], keypoints: Tensor, focal: Tensor, center: Tensor, orient: Tensor
) -> Starts:
    """Fit a rigid standing body to the keypoints under scaled orthography, once for each orientation.

    Args:
        body: (K, 3) landmarks of the standing body about its root, metres, body frame.
        names: K landmark names.
        keypoints: (N, K, 3) pixels and confidence.
        focal: (N, 2) pixels.
        center: (N, 2) pixels.
        orient: (S, 3, 3) orientations to try; the rotation in the image plane is found for each.
    """
    part = [name.rpartition("_")[2] for name in names]
    importance = body.new_tensor([3.0 if p in TRUNK else 0.3 if p in LIMBS else 1.0 for p in part])
    weight = importance * keypoints[..., 2].square()  # (N, K)
    weight = (weight / weight.sum(-1, keepdim=True).clamp(min=1e-9))[:, None, :, None]  # (N, 1, K, 1)
    seen = keypoints[:, None, :, :2].nan_to_num()
    flat = (orient[:, None] @ body[:, :, None]).squeeze(-1)[None, ..., :2]  # (1, S, K, 2)
    mean_seen, mean_flat = (weight * seen).sum(2, keepdim=True), (weight * flat).sum(2, keepdim=True)
    u, p = seen - mean_seen, flat - mean_flat
    square = (weight * p * p).sum((2, 3)).clamp(min=1e-9)
    cos = (weight * u * p).sum((2, 3)) / square
    sin = (weight * (u[..., 1] * p[..., 0] - u[..., 0] * p[..., 1])[..., None]).sum((2, 3)) / square
    scale = (cos.square() + sin.square()).sqrt().clamp(min=1e-9)
    roll = torch.atan2(sin, cos)
    turn = ops.rotvec_to_matrix(torch.stack((torch.zeros_like(roll), torch.zeros_like(roll), roll), -1))
    fitted = (turn[:, :, None, :2, :2] @ p[..., None]).squeeze(-1) * scale[..., None, None]
    residual = (weight * (fitted - u).square()).sum((2, 3)).sqrt() / scale
    # foreshortening only ever shrinks: the longest of the bones tells the scale
    scale = torch.maximum(scale, bone_scale(body, names, keypoints)[:, None])
    root = (turn[..., :2, :2] @ mean_flat.squeeze(2)[..., None]).squeeze(-1) * scale[..., None]
    root = mean_seen.squeeze(2) - root  # where the body's origin is seen
    depth = focal.mean(-1)[:, None] / scale
    sideways = (root - center[:, None]) / focal[:, None] * depth[..., None]
    return Starts(turn @ orient, torch.cat((sideways, depth[..., None]), -1), residual)


def bone_scale(body: Tensor, names: tuple[str, ...], keypoints: Tensor) -> Tensor:
    """(N,): pixels per metre of the second longest of the bones that are seen, measured against their length; 0 where
    fewer than two are."""
    at = {name: k for k, name in enumerate(names)}
    bones = [(f"{side}_{a}", f"{side}_{b}") for a, b in BONES for side in ("left", "right")]
    pairs = [(at[a], at[b]) for a, b in bones if a in at and b in at]
    if len(pairs) < 2:
        return keypoints.new_zeros(len(keypoints))
    one, two = (torch.tensor(index, device=keypoints.device) for index in zip(*pairs, strict=True))
    length = (body[one] - body[two]).norm(dim=-1)
    seen = (keypoints[:, one, :2] - keypoints[:, two, :2]).norm(dim=-1) / length
    both = (keypoints[:, one, 2] > 0) & (keypoints[:, two, 2] > 0)
    return torch.where(both, seen, 0.0).topk(2, dim=-1).values[:, 1]
