"""Fits as rows of the store, with their scores."""

from __future__ import annotations

import hashlib
from importlib.metadata import version

import numpy as np
import torch

from ..body import BodyModel
from ..data import People
from ..priors import VPoser, limit_violation, prior_energy
from ._smplify import FitResult


def quality(reprojection_rel, prior_energy, limit_violation, visible_share):
    """A first, uncalibrated score in [0, 1]: falls with each misfit, rises with the share of keypoints seen.

    Args:
        reprojection_rel: (N,) mean keypoint error over the box's longer side.
        prior_energy: (N,) mean of the squared latent.
        limit_violation: (N,) radians beyond the joint limits, summed over joints.
        visible_share: (N,) keypoints used over keypoints of the set.

    Returns:
        (N,): ``sqrt(visible_share) exp(-reprojection_rel / 0.04 - prior_energy / 2 - limit_violation)``.
    """
    return np.sqrt(visible_share) * np.exp(-reprojection_rel / 0.04 - prior_energy / 2 - limit_violation)


def weights_hash(body: BodyModel, prior: VPoser | None) -> str:
    """sha256 of the hashes of the body's and the prior's file."""
    parts = [body.source.sha256, *([] if prior is None else [prior.source.sha256])]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def rows(
    people: People,
    fitted: np.ndarray,
    result: FitResult | None,
    *,
    focal: np.ndarray,
    center: np.ndarray,
    keypoints: np.ndarray,
    body: BodyModel,
    prior: VPoser | None,
    method: str,
) -> dict:
    """Columns of the record, one row a person of `people`.

    Args:
        people: N people.
        fitted: (M,) rows that were fitted.
        result: their fits, or None where M is 0.
        focal: (N, 2) pixels.
        center: (N, 2) pixels.
        keypoints: (N, K, 3) as the fit was given them.
        body: of the fits.
        prior: of the fits, or None.
        method: its name.
    """
    count, landmarks = keypoints.shape[:2]
    known = np.array([path is not None for path in people.image_path], bool) & (people.image_size > 0).all(1)
    used = keypoints[..., 2] > 0
    columns = {
        "dataset": [people.dataset] * count,
        "image_path": people.image_path,
        "image_width": [int(w) if k else None for w, k in zip(people.image_size[:, 0], known, strict=True)],
        "image_height": [int(h) if k else None for h, k in zip(people.image_size[:, 1], known, strict=True)],
        "annotation_id": people.annotation_id,
        "person_id": people.person_id,
        "bbox_xywh": people.bbox,
        "body_model": [body.kind] * count,
        "gender": [body.gender] * count,
        "landmark_set": [people.landmark_set] * count,
        "landmarks_2d": [p.tolist() if u.any() else None for p, u in zip(keypoints, used, strict=True)],
        "visible_keypoints": used.sum(1).astype(np.int32),
        "method": [method] * count,
        "weights_sha256": [weights_hash(body, prior)] * count,
        "pgtfast_version": [version("pgtfast")] * count,
    }
    scores: dict = {"valid": np.zeros(count, bool), "reason": people.reason.copy()}
    if result is not None:
        scores |= _scores(people, fitted, result, keypoints, landmarks, focal, center)
        scores["reason"][fitted[~scores["valid"][fitted]]] = "not-finite: the fit has no finite result"
        scores["camera_model"] = [("perspective" if ok else None) for ok in scores["valid"]]
        if prior is not None:
            scores["prior"] = [(prior.version if ok else None) for ok in scores["valid"]]
    return columns | scores


def _scores(people: People, fitted, result: FitResult, keypoints, landmarks: int, focal, center) -> dict:
    """What the fits fill; NaN for all other people."""
    count = len(people)
    valid = result.valid.cpu().numpy()
    target = fitted[valid]

    def column(values) -> np.ndarray:
        values = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values
        out = np.full((count, *values.shape[1:]), np.nan, np.float64)
        out[target] = values[valid]
        return out

    points = keypoints[fitted]
    used = points[..., 2] > 0
    error = np.linalg.norm(result.projected.cpu().numpy().astype(np.float64) - points[..., :2], axis=-1)
    pixels = np.where(used, error, 0).sum(1) / np.maximum(used.sum(1), 1)
    relative = pixels / box_side(people.bbox[fitted], points)
    energy = np.zeros(len(fitted)) if result.latent is None else prior_energy(result.latent).cpu().numpy()
    limits = limit_violation(result.body_pose.unflatten(-1, (-1, 3))).sum(-1).cpu().numpy()
    betas = result.betas.cpu().numpy()
    betas = np.pad(betas, ((0, 0), (0, 10 - betas.shape[1])))
    out = {
        "global_orient": column(result.global_orient),
        "body_pose": column(result.body_pose),
        "betas": column(betas),
        "transl": column(result.transl),
        "focal": column(focal[fitted]),
        "center": column(center[fitted]),
        "reprojection_px": column(pixels),
        "reprojection_rel": column(relative),
        "limit_violation": column(limits),
        "quality": column(quality(relative, energy, limits, used.sum(1) / landmarks)),
        "valid": np.zeros(count, bool),
        "reason": people.reason.copy(),
    }
    if result.latent is not None:
        out |= {"latent": column(result.latent), "prior_energy": column(energy)}
    out["valid"][target] = True
    return out


def box_side(bbox: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """(N,): longer side of the box in pixels; of the box around the keypoints where there is none."""
    used = keypoints[..., 2:] > 0
    low = np.where(used, keypoints[..., :2], np.inf).min(1)
    high = np.where(used, keypoints[..., :2], -np.inf).max(1)
    return np.maximum(np.where(np.isnan(bbox[:, 2:]), high - low, bbox[:, 2:]).max(1), 1.0)
