"""A few steps of fitting from given bodies to keypoints, anchored to those bodies."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..body import LandmarkPlan
from ..cameras import Camera
from ..priors import VPoser
from .adam import Rates, adam
from .problem import SHARED_JOINTS, Anchor, Problem, State, Weights, body_scaled

WEIGHTS = Weights(pose=0.0, betas=0.0, upright=0.0)
"""Of a refinement: the first bodies take the place of the priors."""

LATENT_ANCHOR = Anchor(orient=600.0, pose=30.0, betas=10.0)
"""Of bodies with latents."""

ROTATION_ANCHOR = Anchor(orient=600.0, pose=300.0, betas=10.0)
"""Of bodies without, whose joints change by rotation vectors."""

RATES = Rates(orient=0.02, pose=0.05, betas=0.03, transl=0.01)


class FirstBodies(NamedTuple):
    """B bodies to begin with, camera frame."""

    rotations: Tensor
    """(B, J, 3, 3), local, the root first."""
    latent: Tensor | None
    """(B, L) of the prior, which takes the place of the rotations after the root; None where the rotations count."""
    betas: Tensor
    """(B, S)."""
    transl: Tensor
    """(B, 3) metres."""


def refine(
    first: FirstBodies,
    *,
    keypoints: Tensor,
    camera: Camera,
    landmarks: LandmarkPlan,
    prior: VPoser | None = None,
    steps: int = 20,
    weights: Weights = WEIGHTS,
    anchor: Anchor | None = None,
) -> FirstBodies:
    """Move bodies towards keypoints.

    Unknown are the root's rotation, the latent (or the rotations of the joints that all bodies share), the betas and
    the translation. People without keypoints, or whose loss does not fall, stay as they were; nobody's result depends
    on who else is in the batch.

    Args:
        first: B bodies; may be tensors of inference mode.
        keypoints: (B, K, 3) pixels and confidence; 0 drops a keypoint.
        camera: perspective, of each person and of the same pixels.
        landmarks: the body's K landmarks.
        prior: of the latents; needed where `first` has some.
        steps: of Adam.
        weights: of the loss.
        anchor: what leaving the first bodies costs; None takes the default.

    Raises:
        ValueError: latents without a prior.
    """
    if first.latent is not None and prior is None:
        raise ValueError("prior: the bodies have latents; pass the prior that they are of")
    if anchor is None:
        anchor = ROTATION_ANCHOR if first.latent is None else LATENT_ANCHOR
    # Tensors made under inference mode take no part in autograd; copies do.
    with torch.inference_mode(False), torch.enable_grad():
        first = FirstBodies(*(None if value is None else value.clone() for value in first))  # type: ignore[arg-type]
        keypoints, focal, center = keypoints.clone(), camera.focal.clone(), camera.center.clone()
        scaled = body_scaled(keypoints, focal, center, first.transl[:, 2:])
        problem = Problem(
            terms=landmarks.terms,
            decoder=None
            if first.latent is None or prior is None
            else prior.terms.to(device=keypoints.device, dtype=keypoints.dtype),
            num_betas=first.betas.shape[1],
            keypoints=scaled.keypoints.contiguous(),
            confidence=keypoints[..., 2].square().contiguous(),
            focal=scaled.focal,
            center=scaled.center,
            joints=first.rotations[:, 1:],
            flex=keypoints.new_ones(3 * SHARED_JOINTS),
            orient=first.rotations[:, 0],
            transl=first.transl,
            latent=first.latent,
            betas=first.betas,
            weights=weights,
            anchor=anchor,
        )
        origin = problem.origin()
        state = adam(problem, origin, steps=steps, rates=RATES)
    with torch.no_grad():
        better = (problem.loss(state) < problem.loss(origin)) & (keypoints[..., 2] > 0).any(1)
        state = State(*(torch.where(better[:, None], value, 0.0) for value in state))
        rotations, transl = problem.body(state)
        rotations = torch.where(better[:, None, None, None], rotations, first.rotations)
        latent = None if first.latent is None else problem.latents(state.pose)
        return FirstBodies(rotations, latent, problem.shape(state), transl)
