"""Numbers of many people in constant memory: histograms of fixed bins, sums, the few that rank first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa


class Metric(NamedTuple):
    """A measured column of the record."""

    column: str
    title: str
    unit: str
    """As axes say it; "" for none."""
    scale: float = 1.0
    """From the column's numbers to the unit."""
    kind: str = "positive"
    """"share" (0 to 1), "whole" (small whole numbers), or "positive", which is plotted on a logarithmic axis."""


KNOWN = (
    Metric("quality", "quality", "", kind="share"),
    Metric("reprojection_px", "keypoint error", "px"),
    Metric("reprojection_rel", "keypoint error", "% of the box", 100.0),
    Metric("visible_keypoints", "keypoints used", "", kind="whole"),
    Metric("prior_energy", "prior energy", "mean squared latent"),
    Metric("limit_violation", "beyond the joint limits", "rad"),
    Metric("flip_disagreement_mm", "mirror image disagrees by", "mm"),
)
_UNITS = {"mm": ("mm", 1.0), "px": ("px", 1.0), "rel": ("% of the box", 100.0), "deg": ("degrees", 1.0)}


def metrics_of(schema: pa.Schema) -> tuple[Metric, ...]:
    """The measured columns of a store: those with a title here, and all further ones that hold one fraction a row."""
    known = [metric for metric in KNOWN if metric.column in schema.names]
    named = {metric.column for metric in known}
    further = []
    for field in schema:
        if pa.types.is_floating(field.type) and field.name not in named:
            unit, scale = _UNITS.get(field.name.rpartition("_")[2], ("", 1.0))
            title = field.name.removesuffix("_" + field.name.rpartition("_")[2]) if unit else field.name
            further.append(Metric(field.name, title.replace("_", " "), unit, scale))
    return (*known, *further)


EDGES = {
    "share": np.linspace(0, 1, 401),
    "whole": np.arange(-0.5, 300),
    "positive": np.concatenate(([-np.inf], np.logspace(-4, 6, 2401))),
}


class Histogram:
    """Counts in fixed bins, with the exact sum.

    Args:
        edges: (E,) rising; what lies outside counts in the first or last bin.
        whole: each bin stands for the whole number at its middle.
    """

    def __init__(self, edges: np.ndarray, *, whole: bool = False) -> None:
        self.edges = edges
        self.whole = whole
        self.counts = np.zeros(len(edges) - 1, np.int64)
        self.total = 0.0

    @property
    def number(self) -> int:
        return int(self.counts.sum())

    @property
    def mean(self) -> float | None:
        return self.total / self.number if self.number else None

    def add(self, values: np.ndarray) -> None:
        """Count values (N,); NaN does not count."""
        values = values[~np.isnan(values)]
        at = np.clip(np.searchsorted(self.edges, values, "right") - 1, 0, len(self.counts) - 1)
        self.counts += np.bincount(at, minlength=len(self.counts))
        self.total += float(values.sum())

    def quantile(self, share: float) -> float | None:
        """The value that `share` of all lie below, as exact as the bins are wide; None for nobody."""
        if not self.number:
            return None
        reached = np.cumsum(self.counts)
        wanted = share * self.number
        at = min(int(np.searchsorted(reached, wanted)), len(self.counts) - 1)
        low, high = self.edges[at], self.edges[at + 1]
        if self.whole:
            return float(low + high) / 2
        if not np.isfinite(low):
            return 0.0
        inside = (wanted - (reached[at] - self.counts[at])) / max(self.counts[at], 1)
        return float(low + np.clip(inside, 0, 1) * (high - low))


class Statistics:
    """Histograms of all metrics over some people, in the metrics' units."""

    def __init__(self, metrics: tuple[Metric, ...]) -> None:
        self.metrics = metrics
        self.people = 0
        self.histograms = {
            metric.column: Histogram(EDGES[metric.kind], whole=metric.kind == "whole") for metric in metrics
        }

    def add(self, values: Mapping[str, np.ndarray], chosen: np.ndarray) -> None:
        """Count people.

        Args:
            values: column -> (N,) in the metrics' units, NaN where unknown.
            chosen: (N,) bool, who counts.
        """
        self.people += int(chosen.sum())
        for name, histogram in self.histograms.items():
            histogram.add(values[name][chosen])

    def summary(self) -> dict[str, dict[str, float | int | None]]:
        """Column -> number, mean and quantiles."""
        return {
            name: {
                "number": held.number,
                "mean": held.mean,
                "p10": held.quantile(0.1),
                "median": held.quantile(0.5),
                "p90": held.quantile(0.9),
                "p99": held.quantile(0.99),
            }
            for name, held in self.histograms.items()
        }


class Extremes:
    """The few of highest score, at most one a group.

    Args:
        count: how many.
        group: of a row; of rows of one group the highest stays.
    """

    def __init__(self, count: int, group: Callable[[dict], object] = lambda row: row["image_path"]) -> None:
        self.count = count
        self.group = group
        self._held: dict[object, tuple[float, int, dict]] = {}

    def offer(self, scores: np.ndarray, ties: np.ndarray, row: Callable[[int], dict]) -> None:
        """Consider people.

        Args:
            scores: (N,); NaN is never taken.
            ties: (N,) what decides between equal scores.
            row: makes the record of one of them.
        """
        known = np.flatnonzero(~np.isnan(scores))
        order = known[np.lexsort((ties[known], -scores[known]))]
        for at in order:
            if len(self._held) >= self.count and float(scores[at]) <= self._lowest:
                return
            record = row(int(at))
            name, entry = self.group(record), (float(scores[at]), -int(ties[at]), record)
            if name not in self._held or entry[:2] > self._held[name][:2]:
                self._held[name] = entry
            if len(self._held) > self.count:
                del self._held[min(self._held, key=lambda held: self._held[held][:2])]

    @property
    def _lowest(self) -> float:
        return min(entry[0] for entry in self._held.values())

    def rows(self) -> list[dict]:
        """From the highest score down."""
        return [entry[2] for entry in sorted(self._held.values(), key=lambda entry: entry[:2], reverse=True)]


class Sample:
    """At most `count` rows drawn by the hash of their key: of two runs on the same people the same ones."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._heap: list[tuple[int, int, dict]] = []
        self._number = 0

    def offer(self, hashes: np.ndarray, rows: Callable[[np.ndarray], list[dict]]) -> None:
        """Consider people.

        Args:
            hashes: (N,) uint64.
            rows: makes the records of some of them, which are numbered (M,).
        """
        order = np.argsort(hashes, kind="stable")[: self.count]
        if len(self._heap) >= self.count:
            order = order[hashes[order] < -self._heap[0][0]]
        for value, row in zip(hashes[order].tolist(), rows(order), strict=True):
            if len(self._heap) >= self.count:
                if -self._heap[0][0] <= value:
                    return
                heapq.heappop(self._heap)
            heapq.heappush(self._heap, (-value, self._number, row))
            self._number += 1

    def rows(self) -> list[dict]:
        """In the order of their hashes."""
        return [row for *_, row in sorted(self._heap, key=lambda entry: (-entry[0], entry[1]))]
