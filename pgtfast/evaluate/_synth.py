"""The protocol "synth": pseudo-GTs of the free world against its hidden truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import reference
from .._errors import PgtfastError
from ..body import BodyModel, load_body
from ..formats import read_records
from ..people.boxes import box_side
from ..priors import load_vposer
from ..quality.calibrate import check_quality, fit_models
from ..quality.score import SIGNALS, QualityModel
from ..synth import Truth, read_truth
from ._config import SPLITS, EvaluateConfig
from ._errors import PARAMETERS, body_errors, facing_angle_deg, standing_body
from ._names import run_names

_COLUMNS = (
    "annotation_id",
    "bbox_xywh",
    "body_model",
    *PARAMETERS,
    "focal",
    "center",
    "landmark_set",
    "landmarks_2d",
    "method",
    "weights_sha256",
    "valid",
    "reason",
    "quality",
    "visible_keypoints",
    *(name for name in SIGNALS if name != "visible_share"),
)
_KEYPOINTS = "coco17"
_AWAY = 0.25
"""Share of the box: annotated keypoints that lie farther from the true ones, for half of the people, are of another
split."""


class _Run(NamedTuple):
    """A run's valid people, by annotation id."""

    folder: Path
    rows: dict[int, dict]
    counts: dict[str, Any]


def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """As :func:`compared`, of a config."""
    assert config.world is not None
    return compared(config.world, config.split, [config.predictions, *config.against])


def compared(world: str | Path, split: str, runs: Sequence[str | Path]) -> dict[str, Any]:
    """Measure runs against the truth of one split of a world, all on the people that every one of them has.

    Args:
        world: folder that `python -m pgtfast.synth` made.
        split: "wild" or "test".
        runs: folders of annotate or fit.

    Returns:
        What `--json` writes: "runs" by name, each with its counts, means over people and "per_person"; "one standing
        body for all"; "people".

    Raises:
        PgtfastError: there is no such truth, or a run is none of this split, or of another body.
    """
    if split not in SPLITS:
        raise PgtfastError(f"split: wanted one of {', '.join(SPLITS)}, got {split!r}")
    truth = read_truth(Path(world) / "truth" / f"{split}.npz")
    place = {int(number): at for at, number in enumerate(truth.annotation_id)}
    read = {name: _read(folder, place, truth) for name, folder in run_names(runs).items()}
    common = sorted(set(place).intersection(*(run.rows for run in read.values())), key=place.__getitem__)
    if not common:
        raise PgtfastError(f"{', '.join(str(r) for r in runs)}: no person of {world} split {split} has a body in all")
    body, at = load_body("free"), [place[number] for number in common]
    true = {name: torch.from_numpy(getattr(truth, name)[at]).float() for name in PARAMETERS}
    results = {
        name: {**run.counts, **_measured(body, [run.rows[number] for number in common], true, truth, at)}
        for name, run in read.items()
    }
    standing = standing_body(load_vposer("free"), len(common))
    return {
        "protocol": "synth",
        "world": str(world),
        "split": split,
        "people": {"truth": len(place), "compared": len(common)},
        "runs": results,
        "one standing body for all": _summary(body_errors(body, standing, true)),
    }


def calibrate(world: str | Path, split: str, run: str | Path) -> tuple[list[QualityModel], dict[str, Any]]:
    """Fit the quality of a run's bodies to their true errors.

    Args:
        world: folder that `python -m pgtfast.synth` made.
        split: "wild" or "test".
        run: folder of annotate or fit.

    Returns:
        Models, and what they were fitted to.

    Raises:
        PgtfastError: as `compared`, or too few people are there.
    """
    truth = read_truth(Path(world) / "truth" / f"{split}.npz")
    place = {int(number): at for at, number in enumerate(truth.annotation_id)}
    held = _read(Path(run), place, truth)
    rows = list(held.rows.values())
    at = [place[number] for number in held.rows]
    pose = {name: torch.tensor([row[name] for row in rows]) for name in PARAMETERS}
    true = {name: torch.from_numpy(getattr(truth, name)[at]).float() for name in PARAMETERS}
    error = body_errors(load_body("free"), pose, true)["pa_mpjpe_mm"].double().numpy()
    models = fit_models(held.counts["method"], _signals(rows), error)
    return models, {
        "protocol": "synth", "split": split, "people": len(rows), "method": held.counts["method"],
        "weights_sha256": held.counts["weights_sha256"], "mean_pa_mpjpe_mm": round(float(error.mean()), 2),
    }  # fmt: skip


def _signals(rows: list[dict]) -> dict[str, np.ndarray]:
    """Signals (N,) of rows of the record, NaN where unknown."""

    def column(name: str) -> np.ndarray:
        return np.array([np.nan if row[name] is None else row[name] for row in rows], np.float64)

    signals = {name: column(name) for name in SIGNALS if name != "visible_share"}
    total = np.array([len(row["landmarks_2d"]) if row["landmarks_2d"] is not None else np.nan for row in rows])
    signals["visible_share"] = np.where(
        np.isnan(signals["reprojection_rel"]), np.nan, column("visible_keypoints") / total
    )
    return signals


def _read(folder: Path, place: dict[int, int], truth: Truth) -> _Run:
    if not (folder / "run.json").is_file():
        raise PgtfastError(f"{folder}: no run.json, so it is no run of annotate or fit")
    held = read_records(folder, columns=_COLUMNS).to_pylist()
    ours = [row for row in held if row["annotation_id"] in place]
    rows = {row["annotation_id"]: row for row in ours if row["valid"]}
    if not rows:
        raise PgtfastError(
            f"{folder}: none of its {len(held)} people is of this split with a body; another world or split?"
        )
    if len(rows) < sum(row["valid"] for row in ours):
        raise PgtfastError(f"{folder}: an annotation id is there twice; evaluate one dataset a run")
    kinds = sorted({row["body_model"] for row in rows.values()} - {"free"})
    if kinds:
        raise PgtfastError(f"{folder}: bodies of {', '.join(kinds)}; the truth of a world is of the body 'free'")
    _check_split(folder, rows, place, truth)
    some = next(iter(rows.values()))
    skipped = Counter(row["reason"].partition(":")[0] for row in ours if not row["valid"])
    counts = {
        "predictions": str(folder),
        "method": some["method"],
        "weights_sha256": some["weights_sha256"],
        "counted": len(rows),
        "missing": len(place) - len(rows),
        "skipped": dict(sorted(skipped.items())),
        "of_no_person_of_the_split": len(held) - len(ours),
    }
    return _Run(folder, rows, counts)


def _check_split(folder: Path, rows: dict[int, dict], place: dict[int, int], truth: Truth) -> None:
    """Ids are small numbers that another split may have too: the annotated keypoints must be near the true ones."""
    away = []
    for number, row in rows.items():
        if row["landmark_set"] == _KEYPOINTS and row["landmarks_2d"] is not None:
            points = np.array(row["landmarks_2d"])
            seen = points[:, 2] > 0
            off = np.linalg.norm(points[:, :2] - truth.landmarks_2d[place[number]], axis=1)[seen].mean()
            away.append(off / _box_side([row])[0])
    if away and np.median(away) > _AWAY:
        raise PgtfastError(
            f"{folder}: its keypoints lie {np.median(away):.1f} boxes from those of the people with the same ids; "
            f"another world or split?"
        )


def _measured(
    body: BodyModel, rows: list[dict], true: dict[str, Tensor], truth: Truth, at: list[int]
) -> dict[str, Any]:
    """Means and each person's errors."""
    pose = {name: torch.tensor([row[name] for row in rows]) for name in PARAMETERS}
    errors = body_errors(body, pose, true)
    focal, center = (torch.tensor([row[name] for row in rows]) for name in ("focal", "center"))
    seen = reference.project(body.landmarks(_KEYPOINTS)(**pose), focal, center).double().numpy()
    side = _box_side(rows)
    labelled = np.zeros((len(rows), seen.shape[1], 3))
    for row, out in zip(rows, labelled, strict=True):
        if row["landmark_set"] == _KEYPOINTS and row["landmarks_2d"] is not None:
            out[:] = row["landmarks_2d"]
    pixels = {
        "reprojection": _distance(seen, labelled[..., :2], labelled[..., 2] > 0),
        "true_reprojection": _distance(seen, truth.landmarks_2d[at], truth.visibility[at] > 0),
    }
    turned = facing_angle_deg(pose, true)
    scores = _summary(errors)
    for name, values in pixels.items():
        known = ~np.isnan(values)
        scores[f"{name}_px"] = _mean(values[known])
        scores[f"{name}_percent_of_box"] = _mean(100 * (values / side)[known])
    scores["turned_by_more_than_90_degrees"] = int((turned > 90).sum())
    quality = np.array([np.nan if row["quality"] is None else row["quality"] for row in rows])
    each = [
        {
            "annotation_id": row["annotation_id"],
            "pa_mpjpe_mm": round(float(errors["pa_mpjpe_mm"][n]), 2),
            "mpjpe_mm": round(float(errors["mpjpe_mm"][n]), 2),
            "reprojection_px": None if np.isnan(pixels["reprojection"][n]) else round(pixels["reprojection"][n], 2),
            "turned_degrees": round(float(turned[n])),
            "quality": row["quality"],
        }
        for n, row in enumerate(rows)
    ]
    return {
        "errors": scores,
        "quality": check_quality(quality, errors["pa_mpjpe_mm"].double().numpy()),
        "per_person": each,
    }


def _summary(errors: dict[str, Tensor]) -> dict[str, Any]:
    """Means over people, and the median of PA-MPJPE."""
    means: dict[str, Any] = {name: float(values.mean()) for name, values in errors.items()}
    return {**means, "median_pa_mpjpe_mm": float(errors["pa_mpjpe_mm"].median())}


def _distance(seen: np.ndarray, points: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(N,) mean pixels between valid points, NaN for people without any."""
    off = np.where(valid, np.linalg.norm(seen - points, axis=-1), 0).sum(1)
    number = valid.sum(1)
    return off / np.where(number > 0, number, np.nan)


def _box_side(rows: list[dict]) -> np.ndarray:
    """(N,) longer side of each box in pixels."""
    box = np.array([[np.nan] * 4 if row["bbox_xywh"] is None else row["bbox_xywh"] for row in rows], np.float64)
    points = [row["landmarks_2d"] or [[0.0, 0.0, 0.0]] for row in rows]
    most = max(len(p) for p in points)
    padded = np.array([p + [[0.0, 0.0, 0.0]] * (most - len(p)) for p in points])
    return box_side(box, padded)


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
