"""People and the bodies found for them, as columns of the record with their scores."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ..people import People
    from ..quality.score import Quality


class Solved(NamedTuple):
    """Bodies of M people, whatever found them.

    Convention:
        Metres, radians, camera frame; pixels of the whole image. Where `valid` is False the numbers mean nothing.
    """

    global_orient: np.ndarray
    """(M, 3) rotation vectors."""
    body_pose: np.ndarray
    """(M, 69) rotation vectors."""
    betas: np.ndarray
    """(M, S), S at most 10."""
    transl: np.ndarray
    """(M, 3)."""
    latent: np.ndarray | None
    """(M, 32) of the prior, or None."""
    focal: np.ndarray
    """(M, 2)."""
    center: np.ndarray
    """(M, 2)."""
    projected: np.ndarray
    """(M, K, 2) the body's landmarks in the image, in the order of the keypoints; NaN for landmarks that the body lacks."""
    prior_energy: np.ndarray | None
    """(M,) mean of the squared latent, or None without a prior."""
    limit_violation: np.ndarray
    """(M,) radians beyond the joint limits, summed over joints."""
    valid: np.ndarray
    """(M,) bool."""
    flip_disagreement_mm: np.ndarray | None = None
    """(M,) mean distance to the joints found in the mirrored image, or None where not asked for."""
    jitter_mm: np.ndarray | None = None
    """(M,) mean distance to the joints found in moved and scaled crops, or None where not asked for."""


def rows(
    people: People,
    chosen: np.ndarray,
    solved: Solved | None,
    *,
    keypoints: np.ndarray,
    body_model: str,
    gender: str,
    prior: str | None,
    method: str,
    weights_sha256: str,
    quality: Quality,
) -> dict:
    """Columns of the record, one row a person of `people`.

    Args:
        people: N people; those who were not solved have a reason.
        chosen: (M,) rows that were solved.
        solved: their bodies, or None where M is 0.
        keypoints: (N, K, 3) pixels and confidence that count.
        body_model: kind of the bodies.
        gender: of the body's file.
        prior: its version, or None.
        method: how the bodies were found.
        weights_sha256: of all the weights that it took.
        quality: what judges the bodies.
    """
    count = len(people)
    known = np.array([path is not None for path in people.image_path], bool) & (people.image_size > 0).all(1)
    visible = (keypoints[..., 2] > 0).sum(1, dtype=np.int32)
    columns = {
        "dataset": [people.dataset] * count,
        "image_path": people.image_path,
        "image_width": [int(w) if k else None for w, k in zip(people.image_size[:, 0], known, strict=True)],
        "image_height": [int(h) if k else None for h, k in zip(people.image_size[:, 1], known, strict=True)],
        "annotation_id": people.annotation_id,
        "person_id": people.person_id,
        "bbox_xywh": people.bbox,
        "body_model": [body_model] * count,
        "gender": [gender] * count,
        "landmark_set": [people.landmark_set] * count,
        "landmarks_2d": np.where(visible[:, None, None] > 0, keypoints, np.nan),
        "visible_keypoints": visible,
        "method": [method] * count,
        "weights_sha256": [weights_sha256] * count,
        "pgtfast_version": [version("pgtfast")] * count,
    }
    scores: dict = {"valid": np.zeros(count, bool), "reason": people.reason.copy()}
    if solved is not None:
        scores |= _scores(people, chosen, solved, keypoints, method, quality)
        scores["reason"][chosen[~scores["valid"][chosen]]] = "not-finite: no finite body was found"
        scores["camera_model"] = [("perspective" if ok else None) for ok in scores["valid"]]
        if solved.prior_energy is not None:
            scores["prior"] = [(prior if ok else None) for ok in scores["valid"]]
    return columns | scores


def _scores(
    people: People, chosen: np.ndarray, solved: Solved, keypoints: np.ndarray, method: str, quality: Quality
) -> dict:
    """What the bodies fill; NaN for all other people, and in the scores of keypoints for people who have none."""
    count = len(people)
    target = chosen[solved.valid]

    def column(values: np.ndarray) -> np.ndarray:
        out = np.full((count, *values.shape[1:]), np.nan, np.float64)
        out[target] = values[solved.valid]
        return out

    points = keypoints[chosen]
    used = points[..., 2] > 0
    error = np.linalg.norm(solved.projected.astype(np.float64) - points[..., :2], axis=-1)
    compared = used & ~np.isnan(solved.projected).any(-1)
    number = compared.sum(1)
    pixels = np.where(compared, error, 0).sum(1) / np.where(number > 0, number, np.nan)
    relative = pixels / box_side(people.bbox[chosen], points)
    signals = {
        "reprojection_rel": relative,
        "visible_share": np.where(number > 0, used.sum(1) / keypoints.shape[1], np.nan),
        "limit_violation": solved.limit_violation,
        "truncation": truncation(solved.projected, people.image_size[chosen]),
    }
    for name in ("prior_energy", "flip_disagreement_mm", "jitter_mm"):
        if (values := getattr(solved, name)) is not None:
            signals[name] = values
    out = {
        "global_orient": column(solved.global_orient),
        "body_pose": column(solved.body_pose),
        "betas": column(np.pad(solved.betas, ((0, 0), (0, 10 - solved.betas.shape[1])))),
        "transl": column(solved.transl),
        "focal": column(solved.focal),
        "center": column(solved.center),
        "reprojection_px": column(pixels),
        "reprojection_rel": column(relative),
        "limit_violation": column(solved.limit_violation),
        "truncation": column(signals["truncation"]),
        "quality": column(quality.score(method, signals)),
        "valid": np.zeros(count, bool),
        "reason": people.reason.copy(),
    }
    if solved.latent is not None:
        out["latent"] = column(solved.latent)
    if solved.prior_energy is not None:
        out["prior_energy"] = column(solved.prior_energy)
    for name in ("flip_disagreement_mm", "jitter_mm"):
        if name in signals:
            out[name] = column(signals[name])
    out["valid"][target] = True
    return out


def truncation(projected: np.ndarray, image_size: np.ndarray) -> np.ndarray:
    """(N,) share of the body's landmarks that lie outside the image; NaN where its size is unknown.

    Args:
        projected: (N, K, 2) pixels; NaN for landmarks that the body lacks.
        image_size: (N, 2) width and height; 0 where unknown.
    """
    there = ~np.isnan(projected).any(-1)
    inside = ((projected > -0.5) & (projected < image_size[:, None] - 0.5)).all(-1)
    share = (there & ~inside).sum(1) / np.maximum(there.sum(1), 1)
    return np.where((image_size > 0).all(1) & there.any(1), share, np.nan)


def box_side(bbox: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """(N,): longer side of the box in pixels; of the box around the keypoints where there is none."""
    used = keypoints[..., 2:] > 0
    low = np.where(used, keypoints[..., :2], np.inf).min(1)
    high = np.where(used, keypoints[..., :2], -np.inf).max(1)
    around = np.where(used.any(1), high, 0) - np.where(used.any(1), low, 0)
    return np.maximum(np.where(np.isnan(bbox[:, 2:]), around, bbox[:, 2:]).max(1), 1.0)
