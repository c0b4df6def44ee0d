"""The plots of one run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ..body import BodyModel
from ._axes import INK, PALE, A, B, Plot, as_uri, axes, axis_name, number, shown_bins
from ._statistics import Histogram, Metric
from ._summary import FACING_EDGES, Summary

_BLUR = 0.75


def run_plots(held: Summary, body: BodyModel, cut: float | None) -> dict[str, list[Plot]]:
    """Plots of all people with a body: heading -> plots.

    Args:
        held: what the run came to.
        body: of its people.
        cut: quality that is marked, or None.
    """
    scores = [histogram_plot(metric, [held.valid.histograms[metric.column]], cut=cut) for metric in held.metrics]
    rows = [row for row in held.sample.rows() if row["valid"]]
    groups = {
        "Scores": [*scores, _coverage(held, cut)],
        "Pose variety": [pose_map([rows], body), spread_bars([held.rotations.spread_deg()], body), _facing(held)],
        "Shapes": [_shapes(held, body), _heights(rows, body)],
    }
    return {title: [plot for plot in plots if plot is not None] for title, plots in groups.items()}


def histogram_plot(
    metric: Metric, histograms: Sequence[Histogram], *, cut: float | None = None, names: Sequence[str] = ("",)
) -> Plot | None:
    """People by a metric, of one run or of two on the same people; None for nobody."""
    edges, counts, zeros = shown_bins(histograms, metric.kind)
    if not sum(held.number for held in histograms):
        return None
    with axes() as plot:
        for values, color, name in zip(counts, (A, B), names, strict=False):
            _steps(plot, edges, values, color, name, filled=len(counts) == 1)
        if metric.kind == "positive" and len(edges) > 1:
            plot.set_xscale("log")
            plain_ticks(plot)
        if metric.kind == "share":
            plot.set_xlim(0, 1)
        if cut is not None and metric.column == "quality":
            plot.axvline(cut, color=INK, linewidth=1.2, linestyle="--")
            plot.annotate(
                f"cut {cut:g}", (cut, 1), xycoords=("data", "axes fraction"), xytext=(3, -9), textcoords="offset points"
            )
        if len(counts) > 1:
            plot.legend()
        plot.set_xlabel(axis_name(metric))
        plot.set_ylabel("people")
        plot.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        alt = "; ".join(
            f"{name + ': ' if name else ''}median {number(held.quantile(0.5))}, a tenth below "
            f"{number(held.quantile(0.1))}, "
            f"a tenth above {number(held.quantile(0.9))}, {held.number} people"
            for name, held in zip(names, histograms, strict=False)
        )
        note = f"{100 * zeros:.0f} % are 0 and not drawn" if zeros > 0.005 else ""
        title = metric.title[:1].upper() + metric.title[1:] + (f", {metric.unit}" if metric.unit else "")
        return Plot(title, f"Histogram of {axis_name(metric)}: {alt}", as_uri(plot), note)


def pose_map(sets: Sequence[list[dict]], body: BodyModel, names: Sequence[str] = ("",)) -> Plot | None:
    """Poses of the sample along their two widest directions."""
    if min(len(rows) for rows in sets) < 3:
        return None
    points = [pose_points_mm(rows, body) for rows in sets]
    middle = points[0].mean(0)
    _, size, directions = np.linalg.svd(points[0] - middle, full_matrices=False)
    share = size**2 / max(float((size**2).sum()), 1e-12)
    spread = [float(np.sqrt(((one - one.mean(0)) ** 2).sum(1).mean() / 23)) for one in points]
    with axes(height=3.3) as plot:
        for rows, one, color, name in zip(sets, points, (A, B), names, strict=False):
            x, y = ((one - middle) @ directions[:2].T / np.sqrt(23)).T
            quality = np.array([np.nan if row["quality"] is None else row["quality"] for row in rows])
            if len(sets) == 1 and not np.isnan(quality).all():
                drawn = plot.scatter(
                    x, y, c=quality, s=9, cmap="viridis", vmin=0, vmax=1, linewidths=0, rasterized=True
                )
                plot.get_figure().colorbar(drawn, ax=plot, label="quality")  # type: ignore[union-attr]
            else:
                plot.scatter(x, y, s=9, color=color, alpha=0.55, linewidths=0, rasterized=True, label=name or None)
        if len(sets) > 1:
            plot.legend()
        plot.set_xlabel(f"first principal direction (mm a joint; {100 * share[0]:.0f} % of variance)")
        plot.set_ylabel(f"second (mm a joint; {100 * share[1]:.0f} %)")
        plot.set_aspect("equal", "datalim")
        told = ", ".join(
            f"{name + ' ' if name else ''}{value:.0f} mm" for name, value in zip(names, spread, strict=False)
        )
        note = (
            f"{len(sets[0]):,} people of the sample; joints lie {told} (root mean square) from their "
            "mean, root and shape left aside"
        )
        return Plot("Poses", f"Scatter of poses on their first two principal directions: {note}", as_uri(plot), note)


def pose_points_mm(rows: Sequence[dict], body: BodyModel) -> np.ndarray:
    """(N, 69) millimetres: the 23 joints of the mean shape from the pelvis, whose rotation is left out."""
    pose = torch.tensor([row["body_pose"] for row in rows])
    joints = body.joints_plan(body_pose=pose, betas=torch.zeros(len(pose), body.num_betas))
    return 1000 * (joints[:, 1:] - joints[:, :1]).flatten(1).double().numpy()


def spread_bars(spreads: Sequence[np.ndarray], body: BodyModel, names: Sequence[str] = ("",)) -> Plot:
    """How far each joint's rotation is spread about its mean."""
    with axes(height=4.2) as plot:
        labels = [name.replace("_", " ") for name in body.joint_names[1:]]
        bars(plot, labels, [one[1:] for one in spreads], names)
        plot.set_xlabel("angle to the mean rotation (degrees)")
        widest = labels[int(np.argmax(spreads[0][1:]))]
        return Plot(
            "Joint angles", f"Bars of each joint's spread of rotation in degrees; the widest is {widest}", as_uri(plot)
        )


def bars(plot: Axes, labels: Sequence[str], values: Sequence[np.ndarray], names: Sequence[str]) -> None:
    """Horizontal bars, one group a label, from the top down."""
    place = np.arange(len(labels), dtype=float)
    thick = 0.8 / len(values)
    for at, (one, color, name) in enumerate(zip(values, (A, B), names, strict=False)):
        plot.barh(place + (at - (len(values) - 1) / 2) * thick, one, thick, color=color, label=name or None)
    plot.set_yticks(place, labels, fontsize=7.5)
    plot.invert_yaxis()
    plot.grid(axis="y", visible=False)
    if len(values) > 1:
        plot.legend()


def plain_ticks(plot: Axes, which: str = "x") -> None:
    """Ticks of a logarithmic axis as plain numbers, more of them where it spans little."""
    axis, (low, high) = (plot.xaxis, plot.get_xlim()) if which == "x" else (plot.yaxis, plot.get_ylim())
    decades = np.log10(high / low)
    steps = (1.0,) if decades > 3 else (1.0, 2.0, 5.0) if decades > 0.8 else tuple(np.arange(1.0, 10.0))
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _steps(plot: Axes, edges: np.ndarray, counts: np.ndarray, color: str, name: str, *, filled: bool) -> None:
    if filled:
        plot.stairs(counts, edges, fill=True, color=color, alpha=_BLUR, label=name or None)
    else:
        plot.stairs(counts, edges, fill=True, color=color, alpha=0.25)
        plot.stairs(counts, edges, color=color, linewidth=1.4, label=name or None)


def _coverage(held: Summary, cut: float | None) -> Plot | None:
    """Mean keypoint error of those kept, as the quality that is asked for falls."""
    number_of, errors = held.by_quality[:, ::-1].cumsum(1)
    if not number_of[-1]:
        return None
    seen = number_of > 0
    share, mean = 100 * number_of[seen] / number_of[-1], errors[seen] / number_of[seen]
    with axes() as plot:
        plot.plot(share, mean, color=A, linewidth=1.8)
        if cut is not None:
            kept = held.kept.histograms["reprojection_rel"].number
            plot.axvline(100 * kept / number_of[-1], color=INK, linewidth=1.2, linestyle="--")
        plot.set_xlim(0, 100)
        plot.set_ylim(0, None)
        plot.set_xlabel("people kept, best quality first (%)")
        plot.set_ylabel("their mean keypoint error\n(% of the box)")
        alt = (
            f"Mean keypoint error of the people kept against their share: {number(mean[0])} % of the box "
            f"for the best, {number(mean[-1])} % for all"
        )
        return Plot("Error of the part that is kept", alt, as_uri(plot))


def _facing(held: Summary) -> Plot | None:
    if not held.facing.number:
        return None
    with axes(height=3.3, projection="polar") as plot:
        middle = np.deg2rad((FACING_EDGES[1:] + FACING_EDGES[:-1]) / 2)
        plot.bar(
            middle,
            held.facing.counts,
            np.deg2rad(FACING_EDGES[1] - FACING_EDGES[0]),
            color=A,
            alpha=_BLUR,
            edgecolor="white",
            linewidth=0.4,
        )
        plot.set_theta_zero_location("S")  # type: ignore[attr-defined]  # of polar axes
        plot.set_xticks(np.deg2rad([0, 90, 180, 270]), ["to the camera", "right", "away", "left"])
        plot.tick_params(axis="y", labelsize=7, labelcolor="#6b7480")
        toward = held.facing.counts[np.abs(np.rad2deg(middle)) < 90].sum() / held.facing.number
        note = f"seen from above; {100 * toward:.0f} % face the camera's half"
        return Plot("Where people face", f"People by the direction that the pelvis faces, {note}", as_uri(plot), note)


def _shapes(held: Summary, body: BodyModel) -> Plot | None:
    count = min(body.num_betas, 10)
    if not held.valid.people:
        return None
    with axes() as plot:
        plot.axhspan(-1, 1, color=PALE, alpha=0.5, linewidth=0)
        for at, beta in enumerate(held.betas[:count], 1):
            low, first, median, third, high = np.array([beta.quantile(q) for q in (0.05, 0.25, 0.5, 0.75, 0.95)], float)
            plot.vlines(at, low, high, color=A, linewidth=1.2)
            plot.vlines(at, first, third, color=A, linewidth=8, alpha=_BLUR)
            plot.plot([at - 0.28, at + 0.28], [median, median], color=INK, linewidth=1.6)
        plot.set_xticks(range(1, count + 1))
        plot.grid(axis="x", visible=False)
        plot.set_xlabel("shape coefficient")
        plot.set_ylabel("standard deviations\nof the body's shapes")
        note = "line: 5 to 95 %, box: 25 to 75 %, dash: median; grey: one deviation of the body's own people"
        return Plot("Shape coefficients", f"Spread of the shape coefficients; {note}", as_uri(plot), note)


def _heights(rows: Sequence[dict], body: BodyModel) -> Plot | None:
    if not rows:
        return None
    heights = heights_cm(rows, body)
    with axes() as plot:
        counts, edges = np.histogram(heights, bins=int(np.clip(2 * np.sqrt(len(heights)), 8, 40)))
        plot.stairs(counts, edges, fill=True, color=A, alpha=_BLUR)
        plot.set_xlabel("height of the body at rest (cm)")
        plot.set_ylabel("people of the sample")
        plot.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        alt = (
            f"Histogram of heights: median {np.median(heights):.0f} cm, from {heights.min():.0f} to "
            f"{heights.max():.0f} cm"
        )
        note = "photos say little of size: the camera's focal length decides"
        return Plot("Heights", alt, as_uri(plot), note)


def heights_cm(rows: Sequence[dict], body: BodyModel) -> np.ndarray:
    """(N,) centimetres from the highest to the lowest point of the body in its rest pose."""
    betas = torch.tensor([row["betas"] for row in rows])[:, : body.num_betas]
    found = []
    for part in betas.split(256):
        vertical = body(betas=part).vertices[..., 1]
        found.append(vertical.amax(-1) - vertical.amin(-1))
    return 100 * torch.cat(found).double().numpy()
