"""Pictures of how far a quality can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .._errors import PgtfastError


def draw_quality(path: Path, name: str, found: dict[str, Any]) -> None:
    """Draw the reliability diagram, and the error of the kept part against the kept share.

    Args:
        path: of the PNG.
        name: of the run.
        found: of `check_quality`.

    Raises:
        PgtfastError: nobody of the run has a quality.
    """
    if not found["people"]:
        raise PgtfastError(f"--plot: nobody of {name} has a quality")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    rows = found["reliability"]
    most = max(row["people"] for row in rows)
    left.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="as it should be")
    left.plot([row["quality"] for row in rows], [row["good_share"] for row in rows], color="tab:blue", linewidth=1)
    left.scatter(
        [row["quality"] for row in rows], [row["good_share"] for row in rows],
        s=[20 + 180 * row["people"] / most for row in rows],
        color="tab:blue", label="a tenth of the scale; area: people",
    )  # fmt: skip
    left.set(
        xlim=(0, 1), ylim=(0, 1), xlabel="quality", ylabel=f"share with PA-MPJPE up to {found['bound_mm']:g} mm",
        title=f"{name}: {found['people']} people, calibration error {found['calibration_error']:.3f}",
    )  # fmt: skip
    left.legend(loc="upper left")
    curve = found["risk_coverage"]
    right.plot(
        [100 * row["kept_share"] for row in curve], [row["pa_mpjpe_mm"] for row in curve], "o-", color="tab:orange"
    )
    auroc = "" if found["auroc"] is None else f"AUROC {found['auroc']:.3f}"
    right.set(
        xlim=(0, 102),
        xlabel="kept, best quality first (% of people)",
        ylabel="mean PA-MPJPE of the kept (mm)",
        title=auroc,
    )
    right.set_ylim(bottom=0)
    figure.savefig(path, dpi=110)
