"""Scores of an estimator on held-out images, to choose the best checkpoint by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ..body import LandmarkPlan
from ..loading import Batch, Supervision
from ..loading.loader import LoaderConfig, OrderedLoader
from ..loading.targets import Targets, crop_targets
from ..metrics import pa_mpjpe_mm
from ..networks import Estimator
from ..ops import landmarks, project
from ..people import ImageSet
from ..priors import VPoser

if TYPE_CHECKING:
    from lightning.fabric import Fabric


class Landmarks(NamedTuple):
    """Landmarks that a network predicts for B crops."""

    points: Tensor
    """(B, K, 3) metres, in the camera of the crop."""
    pixels: Tensor
    """(B, K, 2) of the crop."""


@torch.no_grad()
def predict_landmarks(
    network: Estimator, prior: VPoser, batch: Batch, annotated: Targets, plan: LandmarkPlan, fabric: Fabric
) -> Landmarks:
    """Landmarks of the bodies in crops; leaves the network in evaluation mode."""
    network.eval()
    with fabric.autocast():
        prediction = network(*network.inputs(batch, annotated))
    bodies = network.bodies(type(prediction)(*(t.float() for t in prediction)), prior)
    points = landmarks(bodies.rotations, bodies.betas, bodies.transl, plan.terms)
    pixels = project(points, bodies.focal.expand(len(points), 2), bodies.center.expand(len(points), 2))
    return Landmarks(points, pixels)


@torch.no_grad()
def validate_annotator(
    network: Estimator,
    prior: VPoser,
    held_out: Sequence[ImageSet],
    supervision: Supervision,
    plan: LandmarkPlan,
    loading: LoaderConfig,
    fabric: Fabric,
) -> dict[str, float]:
    """`error_px`, the mean distance of projected to annotated keypoints in pixels of the crop, over all keypoints; and
    where a held-out set has 3D, `pa_mpjpe_mm`, the mean over its people. Labels of the sets alone are looked at."""
    distance, count = 0.0, 0
    errors: list[Tensor] = []
    for image_set in held_out:
        for batch in OrderedLoader(image_set, supervision, loading):
            batch = batch.to(fabric.device)
            annotated = crop_targets(batch, supervision, loading.crop_size)
            predicted = predict_landmarks(network, prior, batch, annotated, plan, fabric)
            counted = (annotated.weights > 0) & annotated.inside
            distance += (predicted.pixels - annotated.keypoints).norm(dim=-1)[counted].sum().item()
            count += int(counted.sum())
            known = annotated.joints_3d_weights > 0
            known &= (known.sum(1) >= 4)[:, None]  # a similarity of fewer points explains them away
            matchable = known.any(1)
            if matchable.any():
                errors.append(
                    pa_mpjpe_mm(
                        predicted.points[matchable], annotated.joints_3d[matchable], valid=known[matchable]
                    ).cpu()
                )
    scores = {"error_px": distance / max(1, count)}
    if errors:
        scores["pa_mpjpe_mm"] = torch.cat(errors).mean().item()
    return scores
