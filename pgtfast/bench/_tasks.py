"""The work that every contestant does, and its inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._body import BETAS, JOINTS, VERTICES

TASKS = {
    "fwd_r": "17 joints regressed from the surface, forward",
    "fb_r": "17 joints regressed from the surface, forward + backward",
    "fwd_j": "24 kinematic joints, forward",
    "fb_j": "24 kinematic joints, forward + backward",
    "fwd_vj": "vertices + joints, forward",
    "fb_v": "loss on all vertices, forward + backward",
}
FITS = {
    "j": "a fit: 24 joints in 2D",
    "r": "a fit: 17 surface joints in 2D",
    "vp": "a fit: 24 joints in 2D through a VPoser-sized decoder",
}
FIT_STEPS = 100
FOCAL, CENTER, DEPTH = 1000.0, 500.0, 6.0
SIGMA, POSE_WEIGHT, BETAS_WEIGHT, DEPTH_WEIGHT = 100.0, 4.78**2, 25.0, 100.0


@dataclass(frozen=True)
class Inputs:
    """Random bodies and targets, float32."""

    pose: np.ndarray
    """(B, 72) rotation vectors, radians."""
    betas: np.ndarray
    """(B, 10)."""
    transl: np.ndarray
    """(B, 3) metres."""
    targets: dict[str, np.ndarray]
    """By the letter of the task: "j" (B, 24, 3), "r" (B, 17, 3), "v" (B, 6890, 3)."""


def make_inputs(batch: int, seed: int = 3) -> Inputs:
    """The same inputs for the same batch and seed."""
    rng = np.random.default_rng((seed, batch))

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    pose, betas, transl = normal(batch, 3 * JOINTS, scale=0.35), normal(batch, BETAS), normal(batch, 3, scale=0.5)
    targets = {k: normal(batch, n, 3) for k, n in (("j", JOINTS), ("r", 17), ("v", VERTICES))}
    return Inputs(pose, betas, transl, targets)


@dataclass(frozen=True)
class FitInputs:
    """2D keypoints to fit, the same for everyone. (B, K, 2) pixels and (B, K) in (0, 1]."""

    keypoints: np.ndarray
    confidence: np.ndarray


def decoder_weights(seed: int = 5) -> list[np.ndarray]:
    """Three matrices of a decoder of VPoser's shape: (512, 32), (512, 512), (126, 512)."""
    rng = np.random.default_rng(seed)
    shapes = ((512, 32), (512, 512), (126, 512))
    weights = [(rng.standard_normal(s) * 1.4 / s[1] ** 0.5).astype(np.float32) for s in shapes]
    weights[2] *= 0.3
    return weights


def decoder_bias() -> np.ndarray:
    """(126,): the output's rest point, the identity in 6D columns, for each of 21 joints."""
    return np.tile(np.array([1, 0, 0, 1, 0, 0], dtype=np.float32), 21)
