"""Errors of bodies against true bodies of the same model."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .. import reference, skeletons
from ..body import BodyModel
from ..metrics import mpjpe_mm, pa_mpjpe_mm, pve_mm
from ..priors import VPoser

MEASURED = "h36m17"
"""Landmark set that errors are measured on: of its 17 joints the 14 that LSP has too, and the pelvis as the root."""
PARAMETERS = ("global_orient", "body_pose", "betas", "transl")
_CHUNK = 256


def measured_joints(body: BodyModel, pose: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The 14 joints (N, 14, 3) and the pelvis (N, 3) of posed bodies, metres.

    Args:
        body: the model.
        pose: its keywords.
    """
    plan = body.landmarks(MEASURED)
    points = plan(**pose)
    return skeletons.map_joints(points, MEASURED, "lsp14").points, points[:, plan.names.index("Pelvis")]


def body_errors(body: BodyModel, pose: Mapping[str, Tensor], true: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Errors of N bodies, each against its own truth.

    Args:
        body: the model of both.
        pose: global_orient (N, 3), body_pose (N, 69), betas (N, 10), transl (N, 3) in the camera frame.
        true: likewise.

    Returns:
        (N,) millimetres each: pa_mpjpe_mm after the best similarity, mpjpe_mm pelvis on pelvis, both also with _x, _y,
        _z (mean absolute error
        along the axis: x right, y down, z depth), and pve_mm of the whole mesh, pelvis on pelvis.
    """
    (joints, root), (true_joints, true_root) = measured_joints(body, pose), measured_joints(body, true)
    aligned = pa_mpjpe_mm(joints, true_joints, per_axis=True)
    rooted = mpjpe_mm(joints, true_joints, root=torch.stack((root, true_root)), per_axis=True)
    columns = {}
    for name, values in (("pa_mpjpe", aligned), ("mpjpe", rooted)):
        for at, axis in enumerate(("", "_x", "_y", "_z")):
            columns[f"{name}{axis}_mm"] = values[:, at]
    mesh = []
    for start in range(0, len(root), _CHUNK):
        part = slice(start, start + _CHUNK)
        here, there = (body(**{k: v[part] for k, v in one.items()}).vertices for one in (pose, true))
        mesh.append(pve_mm(here, there, pred_root=root[part], gt_root=true_root[part]))
    return {**columns, "pve_mm": torch.cat(mesh) if mesh else root.new_zeros(0)}


def standing_body(prior: VPoser, count: int) -> dict[str, Tensor]:
    """One body for all: the mean shape in the pose at the prior's centre, upright and facing the camera."""
    pose = reference.matrix_to_rotvec(prior.decode(torch.zeros(32)))
    pose = torch.cat((pose, torch.zeros(2, 3))).flatten()
    return {
        "global_orient": torch.tensor([torch.pi, 0.0, 0.0]).expand(count, 3),
        "body_pose": pose.expand(count, -1),
        "betas": torch.zeros(count, 10),
        "transl": torch.zeros(count, 3),
    }


def facing_angle_deg(pose: Mapping[str, Tensor], true: Mapping[str, Tensor]) -> Tensor:
    """(N,) degrees between where the pelvises of the two bodies face."""
    ahead = [reference.rotvec_to_matrix(one["global_orient"])[..., 2] for one in (pose, true)]
    return torch.rad2deg(torch.arccos((ahead[0] * ahead[1]).sum(-1).clamp(-1, 1)))
