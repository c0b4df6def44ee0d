"""From crops to bodies in the camera of the whole image, with what measures them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .. import ops, reference, skeletons
from ..body import LandmarkPlan
from ..cameras import Camera, flip_body
from ..data import Batch, Supervision
from ..formats.rows import Solved
from ..metrics import mpjpe_mm
from ..networks import Bodies
from ..priors import limit_violation, prior_energy
from ._network import LoadedNetwork

JITTER_SHIFT = 0.08
"""How far copies of a crop are moved, share of its half side."""
JITTER_SCALE = (0.93, 1.07)
"""How much of the crop the copies show, in turns."""


@dataclass(frozen=True, eq=False)
class Measured:
    """Landmarks of the body that a dataset's keypoints are compared with."""

    plan: LandmarkPlan
    source: np.ndarray
    """(n,) keypoints of the dataset that have one."""
    rows: np.ndarray
    """(n,) the plan's row of each."""
    count: int
    """Keypoints of the dataset."""

    @classmethod
    def of(cls, landmark_set: str, network: LoadedNetwork) -> Measured:
        """The dataset's own set where the body has it; else those of the first supervised set that have the same names."""
        count = len(skeletons.get(landmark_set))
        if landmark_set in network.body.landmark_sets:
            return cls(network.body.landmarks(landmark_set), np.arange(count), np.arange(count), count)
        base = network.about.sets[0]
        where = Supervision((base,), network.config.position_set).joint_map(landmark_set)
        return cls(network.body.landmarks(base), where.source, where.rows, count)


def full_camera(bodies: Bodies, batch: Batch) -> Camera:
    """The virtual camera of each crop, in pixels of the whole image: its focal lengths and principal point grow with the box.

    Args:
        bodies: focal (2,) and center (2,) of the crop's camera.
        batch: crops without augmentation.
    """
    zoom = torch.diagonal(batch.matrix[:, :, :2], dim1=1, dim2=2)
    focal, center = bodies.focal.to(zoom), bodies.center.to(zoom)
    return Camera(focal / zoom, (center - batch.matrix[:, :, 2]) / zoom, batch.size)


def annotate_batch(
    batch: Batch, network: LoadedNetwork, measured: Measured, *, flip_test: bool = False, jitter: int = 0
) -> Solved:
    """Bodies of B people.

    Args:
        batch: crops without augmentation, on the network's device.
        network: what annotates.
        measured: the landmarks to project.
        flip_test: whether to annotate the mirrored crops too, for a second opinion.
        jitter: how many moved and scaled copies of each crop to annotate too.
    """
    with torch.inference_mode():
        bodies = network(batch.image)
        camera = full_camera(bodies, batch)
        rotvec = reference.matrix_to_rotvec(bodies.rotations)
        betas = bodies.betas[:, : network.body.num_betas]
        points = ops.landmarks(bodies.rotations, betas, bodies.transl, measured.plan.terms)
        pixels = camera.project(points).cpu().numpy()
        projected = np.full((len(batch), measured.count, 2), np.nan)
        projected[:, measured.source] = pixels[:, measured.rows]
        latent, energy = bodies.latent, None
        if network.prior is not None:
            energy = prior_energy(network.prior.encode(rotvec[:, 1:22]).mean if latent is None else latent)
        flipped = _flip_disagreement(batch, bodies, network) if flip_test else None
        spread = _jitter_spread(batch, bodies, network, jitter) if jitter else None
        values = (rotvec, betas, bodies.transl, camera.focal, camera.center, points)
        valid = torch.stack([torch.isfinite(v).flatten(1).all(1) for v in values]).all(0)
        return Solved(
            global_orient=_host(rotvec[:, 0]),
            body_pose=_host(rotvec[:, 1:].flatten(1)),
            betas=_host(betas),
            transl=_host(bodies.transl),
            latent=None if latent is None else _host(latent),
            focal=_host(camera.focal),
            center=_host(camera.center),
            projected=projected,
            prior_energy=None if energy is None else _host(energy),
            limit_violation=_host(limit_violation(rotvec[:, 1:]).sum(-1)),
            valid=_host(valid),
            flip_disagreement_mm=None if flipped is None else _host(flipped),
            jitter_mm=None if spread is None else _host(spread),
        )


def _flip_disagreement(batch: Batch, bodies: Bodies, network: LoadedNetwork) -> Tensor:
    """(B,) mean millimetres between the joints of a person and of their mirror image's mirror image, pelvis on pelvis."""
    mirrored = network(batch.image.flip(-1))
    order = skeletons.get("smpl24").flip_permutation
    back, _ = flip_body(mirrored.rotations, mirrored.transl, order)
    return mpjpe_mm(_joints(bodies.rotations, bodies.betas, network), _joints(back, mirrored.betas, network), root=0)


def _jitter_spread(batch: Batch, bodies: Bodies, network: LoadedNetwork, copies: int) -> Tensor:
    """(B,) mean millimetres, over the copies, between the joints of a person and those found in a moved and scaled crop, pelvis on pelvis."""
    joints = _joints(bodies.rotations, bodies.betas, network)
    away = []
    for copy in range(copies):
        angle = 2 * torch.pi * copy / copies
        scale = JITTER_SCALE[copy % len(JITTER_SCALE)]
        moved = torch.tensor([[scale, 0, JITTER_SHIFT * math.cos(angle)], [0, scale, JITTER_SHIFT * math.sin(angle)]])
        grid = nn.functional.affine_grid(
            moved.to(batch.image).expand(len(batch), 2, 3), list(batch.image.shape), align_corners=False
        )
        image = nn.functional.grid_sample(batch.image, grid, padding_mode="border", align_corners=False)
        there = network(image)
        away.append(mpjpe_mm(joints, _joints(there.rotations, there.betas, network), root=0))
    return torch.stack(away).mean(0)


def _joints(rotations: Tensor, betas: Tensor, network: LoadedNetwork) -> Tensor:
    """(B, 24, 3) metres: joints of bodies that stand at their origin."""
    return ops.landmarks(rotations, betas[:, : network.body.num_betas], None, network.joints.terms)


def _host(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()
