"""How plots of the page look: colours, frames, and matplotlib figures as data."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ._statistics import Histogram, Metric

A, B, INK, PALE = "#c8642d", "#2f78b7", "#27303b", "#d9dde3"
"""Colours of the first run, of the second, of text and of grids. The bodies in the pictures have the same two hues."""
_STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": "#9aa3ad",
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": PALE,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "pgtfast",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}


class Plot(NamedTuple):
    """A finished plot."""

    title: str
    alt: str
    """What it shows, for those who do not see it."""
    uri: str
    note: str = ""


@contextmanager
def axes(width: float = 4.6, height: float = 2.9, *, projection: str | None = None) -> Iterator[Axes]:
    """One plot of the page's looks; `as_uri` of its figure belongs inside."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        plot = figure.add_subplot(projection=projection)
        if projection is None:
            plot.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))  # so that long labels find room
        yield plot


def as_uri(plot: Axes) -> str:
    """The plot's figure as SVG in a data URI."""
    buffer = io.BytesIO()
    figure = plot.get_figure()
    assert isinstance(figure, Figure)
    figure.savefig(buffer, format="svg", dpi=160, metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def axis_name(metric: Metric) -> str:
    """Title with its unit."""
    return f"{metric.title} ({metric.unit})" if metric.unit else metric.title


def number(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return "–"
    if value == 0 or not np.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - int(np.floor(np.log10(abs(value)))))
    return f"{value:,.{min(digits, 4)}f}"


def shown_bins(histograms: Sequence[Histogram], kind: str) -> tuple[np.ndarray, list[np.ndarray], float]:
    """Coarser bins of histograms that have the same fine ones, where their people are.

    Returns:
        Edges (E,), counts (E - 1,) of each, and the share of all that is 0 and has no place on a logarithmic axis.
    """
    edges, counts = histograms[0].edges, [held.counts for held in histograms]
    together = np.sum(counts, 0)
    zeros = 0.0
    if kind == "positive":
        zeros = float(together[0] / max(together.sum(), 1))
        edges, counts, together = edges[1:], [c[1:] for c in counts], together[1:]
    if not together.sum():
        return edges[:1], [c[:0] for c in counts], zeros
    if kind == "share":
        low, high = 0, len(together)
    else:
        reached = np.cumsum(together) / together.sum()
        low, high = int(np.searchsorted(reached, 0.002)), int(np.searchsorted(reached, 0.998)) + 1
    wanted = int(np.clip(2.5 * np.sqrt(together.sum() / len(counts)), 12, 40))
    step = 1 if kind == "whole" else max(1, -(-(high - low) // wanted))
    starts = np.arange(low, high, step)
    last = min(starts[-1] + step, len(together))
    clipped = []
    for one in counts:
        inside = one[low:last].copy()
        inside[0] += one[:low].sum()
        inside[-1] += one[last:].sum()
        clipped.append(np.add.reduceat(inside, starts - low))
    return edges[np.append(starts, last)], clipped, zeros
