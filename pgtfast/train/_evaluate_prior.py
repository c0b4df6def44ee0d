"""Scores of a pose prior: reconstruction of clips it never saw, and poses sampled from it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..priors import BODY_JOINTS, VPoser, limit_violation
from ..reference import matrix_to_rotvec, rotvec_to_matrix
from ._poses import PoseSet

SAMPLES = 4096


@torch.no_grad()
def evaluate_prior(prior: VPoser, training: PoseSet, held_out: PoseSet, seed: int = 0) -> dict:
    """Figures for the run's result, plain numbers.

    Args:
        prior: on the CPU.
        training: for the mean pose and the distances of samples.
        held_out: clips that were not trained on.
        seed: of the samples.

    Returns:
        Reconstruction error in degrees (mean geodesic distance, per joint and over all), that of the mean pose,
        statistics of the latents of the held-out poses, and of `SAMPLES` poses decoded from N(0, I).
    """
    target = rotvec_to_matrix(held_out.pose)
    latent = prior.encode(held_out.pose)
    error = geodesic_degrees(prior.decode(latent.mean), target)
    mean_pose = project_to_rotation(rotvec_to_matrix(training.pose).mean(0))
    baseline = geodesic_degrees(mean_pose.expand_as(target), target)
    noise = torch.Generator().manual_seed(seed)
    posterior = latent.mean + latent.stddev * torch.randn(latent.mean.shape, generator=noise)
    drawn = matrix_to_rotvec(prior.decode(torch.randn(SAMPLES, 32, generator=noise)))
    return {
        "held_out_poses": len(held_out),
        "reconstruction_deg": float(error.mean()),
        "reconstruction_deg_90th": float(error.mean(1).quantile(0.9)),
        "reconstruction_deg_joint": dict(zip(BODY_JOINTS[:21], error.mean(0).tolist(), strict=True)),
        "mean_pose_deg": float(baseline.mean()),
        "mean_pose_deg_joint": dict(zip(BODY_JOINTS[:21], baseline.mean(0).tolist(), strict=True)),
        "latent": {
            "mean_square": float(latent.mean.square().mean()),
            "posterior_mean_abs": float(posterior.mean(0).abs().mean()),
            "posterior_std": float(posterior.std(0).mean()),
            "posterior_std_least": float(posterior.std(0).min()),
            "posterior_std_most": float(posterior.std(0).max()),
            "active": int((latent.stddev.mean(0) < 0.9).sum()),
        },
        "held_out_limit_violation_deg": math.degrees(float(limit_violation(held_out.pose).sum(1).mean())),
        "samples": sample_statistics(drawn, training.pose, held_out.pose),
    }


@torch.no_grad()
def rounding_degrees(trained: VPoser, stored: VPoser, poses: PoseSet) -> float:
    """Mean angle between the joints that two copies of the same weights decode from the same latents."""
    latent = trained.encode(poses.pose).mean
    return float(geodesic_degrees(stored.decode(latent), trained.decode(latent)).mean())


def sample_statistics(drawn: Tensor, training: Tensor, held_out: Tensor) -> dict:
    """Statistics of sampled poses (N, 21, 3): limits, variety, and how near the captured poses they are; all in
    degrees."""
    violation = limit_violation(drawn).sum(1)
    reference = rotvec_to_matrix(training[:: max(1, len(training) // 2000)])
    samples = rotvec_to_matrix(drawn[:500])
    unseen = rotvec_to_matrix(held_out[:: max(1, len(held_out) // 500)])
    return {
        "limit_violation_deg": math.degrees(float(violation.mean())),
        "within_limits": float((violation < math.radians(5)).float().mean()),
        "spread_of_captured": float(_spread(rotvec_to_matrix(drawn)) / _spread(rotvec_to_matrix(training))),
        "nearest_captured_deg": float(_nearest(samples, reference)),
        "nearest_captured_deg_of_held_out": float(_nearest(unseen, reference)),
    }


def geodesic_degrees(a: Tensor, b: Tensor) -> Tensor:
    """Angle between rotations (..., 3, 3), degrees; accurate for small ones."""
    chord = (a - b).square().sum((-1, -2)).sqrt() / math.sqrt(8)
    return torch.rad2deg(2 * torch.asin(chord.clamp(max=1)))


def project_to_rotation(matrix: Tensor) -> Tensor:
    """Nearest rotation (..., 3, 3) of each matrix."""
    u, _, v = torch.linalg.svd(matrix)
    sign = torch.ones_like(matrix[..., 0])
    sign[..., 2] = torch.linalg.det(u @ v)
    return (u * sign[..., None, :]) @ v


def _spread(rotations: Tensor) -> Tensor:
    return (rotations - rotations.mean(0)).square().sum((1, 2, 3)).mean().sqrt()


def _nearest(poses: Tensor, reference: Tensor) -> Tensor:
    """Mean over poses of the root-mean-square joint angle to the nearest reference pose, degrees."""
    distance = torch.cdist(poses.flatten(1), reference.flatten(1)).amin(1)
    return torch.rad2deg(distance / math.sqrt(2 * poses.shape[1])).mean()
