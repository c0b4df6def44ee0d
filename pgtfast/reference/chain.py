"""The kinematic chain, landmarks and vertices of a skinned body, straight from the formulas."""

from __future__ import annotations

import torch
from torch import Tensor

from .rotations import rotvec_to_matrix
from .terms import LandmarkTerms, SkinTerms


def forward_kinematics(rotations: Tensor, offsets: Tensor, parents: Tensor) -> tuple[Tensor, Tensor]:
    """Global rotations and positions of a tree of joints.

    Args:
        rotations: (..., J, 3, 3) local rotations.
        offsets: (..., J, 3) rest joint minus the parent's rest joint; the root row is the root's rest position. Metres.
        parents: (J,) int32 on the CPU, parents before children, root -1.

    Returns:
        Global rotations (..., J, 3, 3) and posed joint positions (..., J, 3) in metres.
    """
    batch = torch.broadcast_shapes(rotations.shape[:-3], offsets.shape[:-2])
    rotations, offsets = rotations.expand(*batch, -1, -1, -1), offsets.expand(*batch, -1, -1)
    world_r, world_p = [], []
    for j, parent in enumerate(parents.tolist()):
        if parent < 0:
            world_r.append(rotations[..., j, :, :])
            world_p.append(offsets[..., j, :])
        else:
            world_r.append(world_r[parent] @ rotations[..., j, :, :])
            world_p.append(world_p[parent] + (world_r[parent] @ offsets[..., j, :, None]).squeeze(-1))
    return torch.stack(world_r, -3), torch.stack(world_p, -2)


def landmarks(pose: Tensor, betas: Tensor | None, transl: Tensor | None, terms: LandmarkTerms) -> Tensor:
    """Landmarks of posed bodies, exact, without a mesh.

    Args:
        pose: (..., J, 3) rotation vectors or (..., J, 3, 3) matrices, global orientation first.
        betas: (..., S) shape coefficients, or None for zeros.
        transl: (..., 3) metres, or None.
        terms: constants of the body and the landmark set.

    Returns:
        (..., K, 3) metres.
    """
    _, features, world_r, world_p = _posed(pose, betas, terms)
    moments = torch.einsum("mic,...c->...mi", terms.moments, features[..., : terms.moments.shape[-1]])
    bone = terms.pair_bone.long()
    points = terms.pair_mass[:, None] * world_p[..., bone, :]
    has_moment = terms.moment_row >= 0
    turned = (
        world_r[..., bone[has_moment], :, :] @ moments[..., terms.moment_row[has_moment].long(), :, None]
    ).squeeze(-1)
    points = points.index_add(-2, has_moment.nonzero().squeeze(-1), turned)
    owner = torch.repeat_interleave(
        torch.arange(terms.num_landmarks, device=points.device), terms.pair_start.diff().long()
    )
    out = points.new_zeros(*points.shape[:-2], terms.num_landmarks, 3).index_add(-2, owner, points)
    return out if transl is None else out + transl[..., None, :]


def vertices(pose: Tensor, betas: Tensor | None, transl: Tensor | None, terms: SkinTerms) -> Tensor:
    """Vertices of posed bodies: shape and pose blend, then linear blend skinning (SMPL, Eq. 2-9).

    Args:
        pose: (..., J, 3) rotation vectors or (..., J, 3, 3) matrices, global orientation first.
        betas: (..., S) shape coefficients, or None for zeros.
        transl: (..., 3) metres, or None.
        terms: constants of the body.

    Returns:
        (..., V, 3) metres.
    """
    _, features, world_r, world_p = _posed(pose, betas, terms)
    rest = torch.einsum("vic,...c->...vi", terms.basis, features[..., : terms.basis.shape[-1]])
    rest_joints = _rest_joints(features, terms)
    shift = world_p - (world_r @ rest_joints[..., None]).squeeze(-1)
    bone = terms.skin_bone.long()
    turn = (terms.skin_weight[..., None, None] * world_r[..., bone, :, :]).sum(-3)
    move = (terms.skin_weight[..., None] * shift[..., bone, :]).sum(-2)
    out = (turn @ rest[..., None]).squeeze(-1) + move
    return out if transl is None else out + transl[..., None, :]


def _posed(
    pose: Tensor, betas: Tensor | None, terms: LandmarkTerms | SkinTerms
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Local rotations, features F, global rotations and posed joints."""
    matrices = pose.shape[-2:] == (3, 3) and pose.dim() >= 3 and pose.shape[-3] == terms.num_joints
    rotations = pose if matrices else rotvec_to_matrix(pose)
    shape = rotations.new_zeros(terms.num_betas) if betas is None else betas
    batch = torch.broadcast_shapes(rotations.shape[:-3], shape.shape[:-1])
    rotations = rotations.expand(*batch, -1, -1, -1)
    identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
    bend = (rotations[..., 1:, :, :] - identity).flatten(-3)
    features = torch.cat((rotations.new_ones(*batch, 1), shape.expand(*batch, -1), bend), -1)
    offsets = torch.einsum("jic,...c->...ji", terms.offsets, features[..., : 1 + terms.num_betas])
    return rotations, features, *forward_kinematics(rotations, offsets, terms.parents)


def _rest_joints(features: Tensor, terms: SkinTerms) -> Tensor:
    offsets = torch.einsum("jic,...c->...ji", terms.offsets, features[..., : 1 + terms.num_betas])
    joints: list[Tensor] = []
    for j, parent in enumerate(terms.parents.tolist()):
        joints.append(offsets[..., j, :] if parent < 0 else joints[parent] + offsets[..., j, :])
    return torch.stack(joints, -2)
