"""Body parameters seen from another frame: world <-> camera, and the mirrored image.

A body turns about its rest pelvis J0, not about the origin: ``v = R_root x + J0 + transl``. Moving it by
``v' = R v + t`` therefore needs ``R_root' = R R_root`` and ``transl' = R (J0 + transl) + t - J0``; leaving the pelvis
out puts the body aside by ``(R - 1) J0``, up to half a metre and more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pgtfast import reference


class PlacedBody(NamedTuple):
    """Root rotation in the form that was given, and translation (..., 3) in metres."""

    global_orient: Tensor
    transl: Tensor


def body_to_camera(
    global_orient: Tensor, transl: Tensor, rest_pelvis: Tensor, rotation: Tensor, translation: Tensor
) -> PlacedBody:
    """Body parameters in camera space, so that every vertex is where ``rotation @ vertex + translation`` puts it.

    Args:
        global_orient: (..., 3) rotation vector or (..., 3, 3) matrix, in the world.
        transl: (..., 3) metres, in the world.
        rest_pelvis: (..., 3) root joint of the unposed body of this shape, metres:
            ``body(betas=betas).joints[..., 0, :]``.
        rotation: (..., 3, 3) world to camera.
        translation: (..., 3) metres.
    """
    as_matrix = _is_matrix(global_orient, transl)
    root = global_orient if as_matrix else reference.rotvec_to_matrix(global_orient)
    root = rotation @ root
    moved = _turn(rotation, rest_pelvis + transl) + translation - rest_pelvis
    return PlacedBody(root if as_matrix else reference.matrix_to_rotvec(root), moved)


def body_to_world(
    global_orient: Tensor, transl: Tensor, rest_pelvis: Tensor, rotation: Tensor, translation: Tensor
) -> PlacedBody:
    """Undoes `body_to_camera`; `rotation` and `translation` are again world to camera."""
    back = rotation.transpose(-1, -2)
    return body_to_camera(global_orient, transl, rest_pelvis, back, -_turn(back, translation))


def flip_body(
    pose: Tensor, transl: Tensor, permutation: Sequence[int], rest_pelvis: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The mirrored body, for a mirrored image and `Camera.flipped`.

    Left and right joints change places and every rotation is mirrored. The mirrored mesh is exact for a body whose
    template and shape are symmetric.

    Args:
        pose: (..., J, 3) rotation vectors or (..., J, 3, 3) matrices, root first.
        transl: (..., 3) metres.
        permutation: J indices, ``skeletons.get("smpl24").flip_permutation``.
        rest_pelvis: (..., 3) root joint of the unposed body; None takes it as lying on the mirror plane.

    Returns:
        Pose in the form that was given, and transl (..., 3).
    """
    count = len(permutation)
    as_matrix = pose.shape[-3:] == (count, 3, 3)
    if not as_matrix and pose.shape[-2:] != (count, 3):
        raise ValueError(f"pose: wanted (..., {count}, 3) or (..., {count}, 3, 3), got {tuple(pose.shape)}")
    order = torch.tensor(permutation, device=pose.device)
    mirror = torch.tensor([-1.0, 1.0, 1.0], dtype=pose.dtype, device=pose.device)
    if as_matrix:
        pose = pose.index_select(-3, order) * mirror[:, None] * mirror
    else:
        pose = -pose.index_select(-2, order) * mirror
    moved = transl * mirror
    if rest_pelvis is not None:
        moved = moved + rest_pelvis * mirror - rest_pelvis
    return pose, moved


def _turn(rotation: Tensor, vector: Tensor) -> Tensor:
    return (rotation @ vector[..., None]).squeeze(-1)


def _is_matrix(global_orient: Tensor, transl: Tensor) -> bool:
    """A root rotation has two trailing axes where it has one axis more than the translation of the same batch."""
    if global_orient.shape[-2:] == (3, 3) and global_orient.ndim == transl.ndim + 1:
        return True
    if global_orient.shape[-1:] == (3,) and global_orient.ndim == transl.ndim:
        return False
    raise ValueError(
        "global_orient: wanted (..., 3) or (..., 3, 3) with the leading axes of transl, "
        f"got {tuple(global_orient.shape)} with transl {tuple(transl.shape)}"
    )
