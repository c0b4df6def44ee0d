"""People with the bodies found for them, and their scores: what a run reports of each body, and the quality that
follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..people import People, Reason, Skip, layout_of
from ..people.boxes import box_side
from ..people.table import objects, spread
from .score import Quality

_MEASURED = ("limit_violation", "prior_energy", "flip_disagreement_mm", "jitter_mm")


class Origin(NamedTuple):
    """What made the bodies of a run."""

    body_model: str
    gender: str
    """Of the body's file."""
    prior: str | None
    """Its version."""
    method: str
    """How the bodies were found."""
    weights_sha256: str
    """Of all the weights that it took."""
    quality: Quality
    """What judges them."""


def solved(people: People, index: np.ndarray, found: Mapping[str, np.ndarray | None], origin: Origin) -> People:
    """The people with the bodies found for some of them, and their scores; those whose body is not finite get a reason.

    Args:
        people: N people; their keypoints are those that count.
        index: (M,) rows of those for whom a body was sought.
        found: of each, by name: the parameters of the body model (M, width), `focal` and `center` (M, 2), `projected`
            (M, K, 2) its landmarks in the
            image in the keypoints' order, NaN for those that the body lacks, `valid` (M,) bool, and where known
            `latent` (M, 32),
            `limit_violation` (M,) radians, `prior_energy`, `flip_disagreement_mm`, `jitter_mm` (M,). Empty where M is
            0.
        origin: what made the bodies.
    """
    count = len(people)
    valid = np.zeros(0, bool) if found.get("valid") is None else np.asarray(found["valid"], bool)
    known = {name: values[valid] for name, values in found.items() if values is not None and name != "valid"}
    reason, target = people.reason.copy(), index[valid]
    reason[index[~valid]] = Skip(Reason.NOT_FINITE, "no finite body was found")
    columns = {name: spread(values, target, count) for name, values in known.items() if name != "projected"}
    names = [name for name in layout_of(origin.body_model).parameters if name in columns]
    unknown = np.full((count, 2), np.nan)
    people = replace(
        people.with_body(origin.body_model, **{name: columns[name] for name in names}),
        gender=objects([origin.gender] * count),
        reason=reason,
        focal=columns.get("focal", unknown),
        center=columns.get("center", unknown),
        latent=columns.get("latent"),
        prior=origin.prior,
    )
    scores = {name: objects([getattr(origin, name)] * count) for name in ("method", "weights_sha256")}
    if len(target):
        signals = {name: known[name] for name in _MEASURED if name in known}
        measured = measure(people.rows(target), known["projected"], signals, origin)
        scores |= {name: spread(values, target, count) for name, values in measured.items()}
    return replace(people, scores=scores)


def measure(
    people: People, projected: np.ndarray, signals: Mapping[str, np.ndarray], origin: Origin
) -> dict[str, np.ndarray]:
    """Scores (N,) of N bodies by the names of the store's columns, the given signals included."""
    points = people.keypoints
    used = points[..., 2] > 0
    error = np.linalg.norm(projected.astype(np.float64) - points[..., :2], axis=-1)
    compared = used & ~np.isnan(projected).any(-1)
    number = compared.sum(1)
    pixels = np.where(compared, error, 0).sum(1) / np.where(number > 0, number, np.nan)
    scores = {
        **signals,
        "reprojection_rel": pixels / box_side(people.bbox, points),
        "truncation": truncation(projected, people.image_size),
    }
    visible = np.where(number > 0, used.sum(1) / max(points.shape[1], 1), np.nan)
    quality = origin.quality.score(origin.method, {**scores, "visible_share": visible})
    return {**scores, "reprojection_px": pixels, "quality": quality}


def truncation(projected: np.ndarray, image_size: np.ndarray) -> np.ndarray:
    """(N,) fraction of the body's landmarks that lie outside the image; NaN where its size is unknown.

    Args:
        projected: (N, K, 2) pixels; NaN for landmarks that the body lacks.
        image_size: (N, 2) width and height; 0 where unknown.
    """
    known = ~np.isnan(projected).any(-1)
    inside = ((projected > -0.5) & (projected < image_size[:, None] - 0.5)).all(-1)
    fraction = (known & ~inside).sum(1) / np.maximum(known.sum(1), 1)
    return np.where((image_size > 0).all(1) & known.any(1), fraction, np.nan)
