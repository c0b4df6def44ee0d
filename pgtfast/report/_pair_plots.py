"""Plots of two runs on the same people."""

from __future__ import annotations

import numpy as np

from ..body import BodyModel
from ._axes import INK, A, Plot, as_uri, axes, number
from ._compare import Comparison
from ._plots import bars, histogram_plot, plain_ticks, pose_map, spread_bars
from ._statistics import Metric

_NAMES = ("A", "B")
_DISTANCE = Metric("mm", "distance of the joints, pelvis on pelvis", "mm")
_ALIGNED = Metric("pa_mm", "distance after the best similarity", "mm")


def pair_plots(found: Comparison, body: BodyModel) -> list[Plot]:
    """Plots of the people that have a body in both runs.

    Args:
        found: the comparison.
        body: whose joints name the bars, A's.
    """
    rows = found.sample.rows()
    scores = [
        histogram_plot(metric, [side.histograms[metric.column] for side in found.statistics], names=_NAMES)
        for metric in found.metrics
    ]
    plots = [
        histogram_plot(_DISTANCE, [found.distance]),
        histogram_plot(_ALIGNED, [found.aligned]),
        _joints(found, body),
        _errors(rows),
        *scores,
        pose_map([rows, [row["other"] for row in rows]], body, _NAMES),
        spread_bars([one.spread_deg() for one in found.rotations], body, _NAMES),
    ]
    return [plot for plot in plots if plot is not None]


def _joints(found: Comparison, body: BodyModel) -> Plot:
    values = found.joints[1:] / found.number
    labels = [name.replace("_", " ") for name in body.joint_names[1:]]
    with axes(height=4.2) as plot:
        bars(plot, labels, [values], ("",))
        plot.set_xlabel("mean distance between A and B (mm), pelvis on pelvis")
        most = int(np.argmax(values))
        return Plot(
            "Where A and B differ",
            f"Bars of each joint's mean distance; most at {labels[most]}, {number(values[most])} mm",
            as_uri(plot),
        )


def _errors(rows: list[dict]) -> Plot | None:
    pairs = [(row["reprojection_rel"], row["other"]["reprojection_rel"]) for row in rows]
    known = 100 * np.array([pair for pair in pairs if None not in pair and min(pair) > 0], float)
    if not len(known):
        return None
    with axes(height=3.3) as plot:
        plot.scatter(known[:, 0], known[:, 1], s=9, color=A, alpha=0.55, linewidths=0, rasterized=True)
        ends = [float(known.min()), float(known.max())]
        plot.plot(ends, ends, color=INK, linewidth=0.9, linestyle="--")
        plot.set_xscale("log")
        plot.set_yscale("log")
        plain_ticks(plot)
        plain_ticks(plot, "y")
        plot.set_xlabel("keypoint error of A (% of the box)")
        plot.set_ylabel("of B (% of the box)")
        below = float((known[:, 1] < known[:, 0]).mean())
        note = f"{len(known):,} people of the sample; B is nearer to the keypoints for {100 * below:.0f} %"
        return Plot(
            "Keypoint errors of the same people", f"Scatter of the two keypoint errors: {note}", as_uri(plot), note
        )
