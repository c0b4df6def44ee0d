"""A few steps of fitting from the network's bodies to the keypoints, held to those bodies."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import ops
from ..body import LandmarkPlan
from ..cameras import Camera
from ..networks import Bodies
from ._network import LoadedNetwork

BODY_PIXELS = 256.0
"""Losses are computed in pictures scaled so that BODY_HEIGHT at the first depth spans this many pixels: near and far people weigh the same."""
BODY_HEIGHT = 1.7
"""Metres."""
SIGMA = 40.0
"""Of Geman-McClure, in those pixels."""
HELD = {"turn": 600.0, "pose": 30.0, "betas": 10.0}
"""What leaving the network's body costs: weights of the mean squares of its turn (radians), of the change of the latent (or, times ten, of the joints'
rotation vectors) and of that of the betas, beside the mean squared error in those pixels."""
RATES = {"turn": 0.02, "pose": 0.05, "betas": 0.03, "place": 0.01}
"""Largest step of each unknown."""


class _Start(NamedTuple):
    """What the steps begin with, and are held to."""

    rotations: Tensor
    latent: Tensor | None
    betas: Tensor
    transl: Tensor


def refine(
    bodies: Bodies,
    camera: Camera,
    keypoints: Tensor,
    network: LoadedNetwork,
    plan: LandmarkPlan,
    rows: np.ndarray,
    steps: int,
) -> Bodies:
    """Move bodies towards keypoints.

    Unknown are the turn of the root, the latent (the joints' rotations, for a network without one), the betas and the place. Orientation, pose and shape
    are held to what the network said by a penalty on their difference. People without keypoints, or whose loss does not fall, stay as they were; nobody's
    result depends on who else is in the batch.

    Args:
        bodies: of B people.
        camera: of each, in pixels of the whole image.
        keypoints: (B, n, 3) pixels of the whole image and confidence.
        network: body and prior.
        plan: its landmarks.
        rows: (n,) the plan's row of each keypoint.
        steps: of Adam.
    """
    count, device = len(keypoints), keypoints.device
    # Tensors made under inference mode take no part in autograd; copies do.
    latent = None if bodies.latent is None else bodies.latent.clone()
    start = _Start(bodies.rotations.clone(), latent, bodies.betas.clone(), bodies.transl.clone())
    scale = BODY_PIXELS / (BODY_HEIGHT * camera.focal.mean(-1) / start.transl[:, 2]).clamp(min=1e-6)
    focal, center = (value.clone() * scale[:, None] for value in (camera.focal, camera.center))
    target = keypoints.new_zeros(count, plan.terms.num_landmarks, 3)
    target[:, torch.from_numpy(rows).to(device)] = keypoints
    points, weights = target[..., :2] * scale[:, None, None], target[..., 2].square().contiguous()
    middle = (points * (weights[..., None] > 0)).sum(1) / (weights > 0).sum(1).clamp(min=1)[:, None]
    points, center = (points - middle[:, None]).contiguous(), center - middle
    latents = 0 if start.latent is None else start.latent.shape[1]
    unknown = {
        "turn": keypoints.new_zeros(count, 3),
        "pose": keypoints.new_zeros(count, latents or 63),
        "betas": keypoints.new_zeros(count, network.body.num_betas),
        "place": keypoints.new_zeros(count, 3),
    }
    held = {**HELD, "pose": HELD["pose"] * (1 if latents else 10)}

    def loss(change: dict[str, Tensor]) -> Tensor:
        moved = _moved(start, change, network)
        data = ops.keypoint_loss(
            moved.rotations, moved.betas, moved.transl, plan.terms, focal=focal, center=center, keypoints=points, weights=weights,
            loss="geman_mcclure", sigma=SIGMA, reduction="none",
        ).data  # fmt: skip
        return data + sum(weight * change[name].square().mean(-1) for name, weight in held.items())

    with torch.inference_mode(False), torch.enable_grad():
        for value in unknown.values():
            value.requires_grad_(True)
        optimiser = torch.optim.Adam([{"params": [v], "lr": RATES[k]} for k, v in unknown.items()], betas=(0.9, 0.9))
        for step in range(steps):
            factor = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps))
            for group, rate in zip(optimiser.param_groups, RATES.values(), strict=True):
                group["lr"] = rate * factor
            optimiser.zero_grad(set_to_none=True)
            loss(unknown).sum().backward()
            optimiser.step()
    with torch.no_grad():
        found = {name: value.detach() for name, value in unknown.items()}
        before = loss({name: torch.zeros_like(value) for name, value in found.items()})
        better = (loss(found) < before) & (weights > 0).any(1)
        moved = _moved(start, {name: torch.where(better[:, None], v, 0.0) for name, v in found.items()}, network)
        betas = start.betas.clone()
        betas[:, : network.body.num_betas] = moved.betas
        kept = better[:, None, None, None]
        rotations = torch.where(kept, moved.rotations, start.rotations)
        return bodies._replace(rotations=rotations, latent=moved.latent, betas=betas, transl=moved.transl)


def _moved(start: _Start, change: dict[str, Tensor], network: LoadedNetwork) -> _Start:
    """The bodies after a change; betas (B, S) of the body alone."""
    root = start.rotations[:, :1] @ ops.rotvec_to_matrix(change["turn"])[:, None]
    latent = None
    if start.latent is None:
        joints = start.rotations[:, 1:22] @ ops.rotvec_to_matrix(change["pose"].unflatten(-1, (-1, 3)))
    else:
        assert network.prior is not None  # whoever gives latents has one
        latent = start.latent + change["pose"]
        joints = network.prior.decode(latent)
    rotations = torch.cat((root, joints, start.rotations[:, 22:]), 1)
    depth = start.transl[:, 2:] * change["place"][:, 2:].exp()
    sideways = (start.transl[:, :2] + change["place"][:, :2]) / start.transl[:, 2:] * depth
    betas = start.betas[:, : network.body.num_betas] + change["betas"]
    return _Start(rotations, latent, betas, torch.cat((sideways, depth), 1))
