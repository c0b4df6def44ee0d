"""Results as text."""

from __future__ import annotations

from typing import Any

_COLUMNS = (
    ("PA-MPJPE", "pa_mpjpe_mm", 9), ("x", "pa_mpjpe_x_mm", 7), ("y", "pa_mpjpe_y_mm", 7), ("z", "pa_mpjpe_z_mm", 7),
    ("median", "median_pa_mpjpe_mm", 9), ("MPJPE", "mpjpe_mm", 9), ("x", "mpjpe_x_mm", 7), ("y", "mpjpe_y_mm", 7),
    ("z", "mpjpe_z_mm", 7),
    ("PVE", "pve_mm", 9), ("px", "reprojection_px", 8), ("% box", "reprojection_percent_of_box", 7),
    ("true px", "true_reprojection_px", 9),
    ("turned", "turned_by_more_than_90_degrees", 8),
)  # fmt: skip
STANDING = "one standing body for all"


def table(result: dict[str, Any]) -> str:
    """Lines to print: one a run, and the standing body."""
    rows = [(name, run["errors"]) for name, run in result["runs"].items()] + [(STANDING, result[STANDING])]
    wide = max(len(name) for name, _ in rows)
    people = result["people"]
    lines = [
        f"{people['compared']} of {people['truth']} people of {result['world']} split {result['split']} against the "
        "truth, means over people",
        " " * wide + "".join(f"{title:>{width}s}" for title, _, width in _COLUMNS),
    ]
    for name, errors in rows:
        cells = []
        for _, key, width in _COLUMNS:
            value = errors.get(key)
            text = "-" if value is None else str(value) if isinstance(value, int) else f"{value:.1f}"
            cells.append(f"{text:>{width}s}")
        lines.append(f"{name:{wide}s}" + "".join(cells))
    lines += [
        "  millimetres, 14 joints; PA-MPJPE: after the best similarity; MPJPE and PVE (whole mesh): pelvis on "
        "pelvis; x right, y down, z depth",
        "  px, % box: from the labelled keypoints; true px: from the true ones inside the picture; turned: people "
        "who face away by more than 90 degrees",
    ]
    for name, run in result["runs"].items():
        reasons = "".join(f", {number} {code}" for code, number in run["skipped"].items())
        lines.append(f"  {name}: {run['counted']} people, {run['missing']} missing{reasons}")
    for name, run in result["runs"].items():
        lines += quality_lines(name, run["quality"])
    return "\n".join(lines)


def quality_lines(name: str, found: dict[str, Any]) -> list[str]:
    """What the quality of a run is worth."""
    if not found["people"] or found["auroc"] is None:
        return []
    kept = ", ".join(
        f"{100 * row['kept_share']:.0f} %: {row['pa_mpjpe_mm']:.1f}" for row in found["risk_coverage"][1::2]
    )
    return [
        f"  {name}: quality tells PA-MPJPE over {found['bound_mm']:g} mm with an AUROC of {found['auroc']:.3f}, "
        f"calibration error {found['calibration_error']:.3f} "
        f"({100 * found['good_share']:.0f} % are within); PA-MPJPE of the best {kept} mm"
    ]
