"""One run, read once from end to end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import torch

from .. import ops
from ..people.columns import KEY
from ._statistics import Extremes, Histogram, Metric, Sample, Statistics, metrics_of
from ._store import Run, key_hashes, keys, scalars, vectors

POSE = ("global_orient", "body_pose", "betas", "transl")
DRAWN = (
    *KEY,
    "image_width",
    "image_height",
    "bbox_xywh",
    *POSE,
    "focal",
    "center",
    "landmark_set",
    "landmarks_2d",
    "valid",
    "reason",
)
"""Columns that a picture of a person takes."""
FACING_EDGES = np.linspace(-180, 180, 25)
"""Degrees: 0 faces the camera, 90 the picture's right."""
_BETA_EDGES = np.linspace(-8, 8, 641)


@dataclass(eq=False)
class Summary:
    """What a run came to."""

    run: Run
    metrics: tuple[Metric, ...]
    valid: Statistics
    """Of all people with a body."""
    kept: Statistics
    """Those of at least the cut's quality; nobody where there is no cut."""
    dropped: Statistics
    best: Extremes
    worst: Extremes
    above: Extremes
    """Nearest to the cut among those kept."""
    below: Extremes
    sample: Sample
    """Of all people, those without a body included."""
    people: int = 0
    reasons: Counter = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    """Code of a reason -> one whole reason."""
    facing: Histogram = field(default_factory=lambda: Histogram(FACING_EDGES))
    betas: list[Histogram] = field(default_factory=lambda: [Histogram(_BETA_EDGES) for _ in range(10)])
    rotations: Rotations = field(default_factory=lambda: Rotations())
    by_quality: np.ndarray = field(default_factory=lambda: np.zeros((2, 400)))
    """People with a keypoint error, and the sum of those errors in percent of the box, in 400 bins of quality from 0 to
    1."""


@dataclass(eq=False)
class Rotations:
    """Sums of the 24 joints' rotation matrices: what the mean rotation and the spread about it need."""

    sum: np.ndarray = field(default_factory=lambda: np.zeros((24, 3, 3)))
    number: int = 0

    def add(self, matrices: np.ndarray) -> None:
        """Count (N, 24, 3, 3)."""
        self.sum += matrices.sum(0, dtype=np.float64)
        self.number += len(matrices)

    def spread_deg(self) -> np.ndarray:
        """(24,) degrees: the angle whose cosine is the mean cosine of the angle to the mean rotation."""
        if not self.number:
            return np.zeros(24)
        u, s, vt = np.linalg.svd(self.sum / self.number)
        s[:, 2] *= np.sign(np.linalg.det(u @ vt))
        return np.rad2deg(np.arccos(np.clip((s.sum(1) - 1) / 2, -1, 1)))


def summarise(run: Run, *, sample: int, pictures: int, cut: float | None) -> Summary:
    """Read a run.

    Args:
        run: opened.
        sample: people kept by chance.
        pictures: people kept of each kind.
        cut: quality that parts `kept` from `dropped`, or None.
    """
    metrics = metrics_of(run.schema)
    held = Summary(
        run,
        metrics,
        valid=Statistics(metrics),
        kept=Statistics(metrics),
        dropped=Statistics(metrics),
        best=Extremes(pictures),
        worst=Extremes(pictures),
        above=Extremes(pictures),
        below=Extremes(pictures),
        sample=Sample(sample),
    )
    for batch in run.batches(list(dict.fromkeys((*DRAWN, *(metric.column for metric in metrics))))):
        _add(held, batch, cut)
    return held


def measured(batch: pa.Table, metrics: tuple[Metric, ...]) -> dict[str, np.ndarray]:
    """Column -> (N,) in the metrics' units."""
    return {metric.column: scalars(batch, metric.column) * metric.scale for metric in metrics}


def _add(held: Summary, batch: pa.Table, cut: float | None) -> None:
    values = measured(batch, held.metrics)
    valid = np.array(batch["valid"].to_pylist(), bool)
    held.people += len(valid)
    for reason in batch["reason"].to_pylist():
        if reason is not None:
            code = reason.partition(":")[0]
            held.reasons[code] += 1
            held.examples.setdefault(code, reason)
    held.valid.add(values, valid)
    quality = np.where(valid, values["quality"], np.nan)
    error = values["reprojection_rel"]
    counted = ~np.isnan(quality) & ~np.isnan(error)
    bins = np.clip((quality[counted] * 400).astype(int), 0, 399)
    held.by_quality[0] += np.bincount(bins, minlength=400)
    held.by_quality[1] += np.bincount(bins, error[counted], minlength=400)

    ties = key_hashes(keys(batch))

    def row(at: int) -> dict:
        return batch.slice(at, 1).to_pylist()[0]

    held.sample.offer(ties, lambda some: batch.take(some).to_pylist())
    held.best.offer(quality, ties, row)
    held.worst.offer(-quality, ties, row)
    if cut is not None:
        kept = quality >= cut
        held.kept.add(values, kept)
        held.dropped.add(values, quality < cut)
        held.above.offer(np.where(kept, cut - quality, np.nan), ties, row)
        held.below.offer(np.where(quality < cut, quality - cut, np.nan), ties, row)
    some = batch.filter(batch["valid"])
    if some.num_rows:
        _add_bodies(held, some)


def _add_bodies(held: Summary, some: pa.Table) -> None:
    pose = np.concatenate((vectors(some, "global_orient"), vectors(some, "body_pose")), 1)
    matrices = ops.rotvec_to_matrix(torch.from_numpy(pose).unflatten(1, (-1, 3))).numpy()
    held.rotations.add(matrices)
    held.facing.add(facing_deg(matrices[:, 0]))
    for histogram, values in zip(held.betas, vectors(some, "betas").T, strict=True):
        histogram.add(values.astype(np.float64))


def facing_deg(root: np.ndarray) -> np.ndarray:
    """(N,) degrees from -180 to 180 that people turn away from the camera, to the picture's right where positive.

    Args:
        root: (N, 3, 3) rotations of the root, camera frame.
    """
    return np.rad2deg(np.arctan2(root[:, 0, 2], -root[:, 2, 2])).astype(np.float64)


def median_rows(held: Summary, count: int) -> list[dict]:
    """Of the sample, the people nearest the median quality, at most one an image."""
    median = held.valid.histograms["quality"].quantile(0.5)
    if median is None:
        return []
    rows = [row for row in held.sample.rows() if row["quality"] is not None]
    extremes = Extremes(count)
    scores = np.array([-abs(row["quality"] - median) for row in rows])
    extremes.offer(scores, np.arange(len(rows)), rows.__getitem__)
    return extremes.rows()
