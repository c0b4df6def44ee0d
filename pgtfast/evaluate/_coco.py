"""The protocol "coco": projected keypoints of bodies against annotated ones, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import reference
from .._errors import PgtfastError
from .._options import needing
from ..body import BodyModel, load_body
from ..people import People
from ..runs import iter_people
from ._config import EvaluateConfig
from ._names import run_names

KEYPOINTS = "coco17"
STATS = ("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR", "AR50", "AR75", "AR_medium", "AR_large")
"""COCO's ten numbers, in the order of pycocotools."""
_PERSON = 1
"""COCO's category."""


def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """Measure runs against annotations.

    Returns:
        What `--json` writes: "runs" by name, each with :data:`STATS` (-1 where nobody is of that size), "mean_oks" over
        the people whose own
        annotation has labelled keypoints, and "per_person".

    Raises:
        PgtfastError: pycocotools is not installed, the annotations are no person keypoints, or a run has no body of
        theirs.
    """
    assert config.annotations is not None
    with needing("coco", "evaluate coco"):
        import pycocotools.coco  # noqa: F401
    truth = _quietly(_open, config.annotations)
    body = load_body(config.body)
    runs = {
        name: _quietly(_scores, truth, folder, body, config.annotations)
        for name, folder in run_names([config.predictions, *config.against]).items()
    }
    return {"protocol": "coco", "annotations": str(config.annotations), "images": len(truth.imgs), "runs": runs}


def _open(path: Path) -> Any:
    from pycocotools.coco import COCO

    if not path.is_file():
        raise PgtfastError(f"--annotations {path}: no such file")
    try:
        truth = COCO(str(path))
        people = [a for a in truth.anns.values() if len(a["keypoints"]) == 3 * 17 and a["image_id"] in truth.imgs]
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise PgtfastError(
            f"--annotations {path}: not person keypoints of COCO ({type(error).__name__}: {error})"
        ) from error
    if not people:
        raise PgtfastError(f"--annotations {path}: nobody with 17 keypoints in an image of the file")
    return truth


def _scores(truth: Any, folder: Path, body: BodyModel, annotations: Path) -> dict[str, Any]:
    """Scores of one run."""
    from pycocotools.cocoeval import COCOeval

    numbers = {image["file_name"]: number for number, image in truth.imgs.items()}
    detections, own, read = [], [], 0
    for people in iter_people(folder):
        read += len(people)
        people = people.rows(people.has_body)
        if not len(people):
            continue
        points = projected(people, body, folder)
        quality = people.scores.get("quality", np.full(len(people), np.nan))
        for row, (name, number) in enumerate(zip(people.image_path, people.annotation_id.tolist(), strict=True)):
            if name not in numbers:
                continue
            keypoints = np.column_stack((points[row], np.ones(len(points[row]))))
            score = 1.0 if np.isnan(quality[row]) else float(quality[row])
            detections.append(
                {
                    "image_id": numbers[name],
                    "category_id": _PERSON,
                    "keypoints": keypoints.ravel().tolist(),
                    "score": score,
                }
            )
            if number in truth.anns and truth.anns[number]["image_id"] == numbers[name]:
                own.append((number, points[row]))
    if not detections:
        raise PgtfastError(f"{folder}: none of its {read} people has a body in an image of {annotations}; another run?")
    evaluation = COCOeval(truth, truth.loadRes(detections), "keypoints")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    similar = {number: oks(points, truth.anns[number], evaluation.params.kpt_oks_sigmas) for number, points in own}
    known = [value for value in similar.values() if value is not None]
    return {
        "predictions": str(folder),
        "counted": len(detections),
        **{name: float(value) for name, value in zip(STATS, evaluation.stats, strict=True)},
        "mean_oks": float(np.mean(known)) if known else None,
        "per_person": [{"annotation_id": number, "oks": value} for number, value in similar.items()],
    }


def projected(people: People, body: BodyModel, folder: Path) -> np.ndarray:
    """(N, 17, 2) pixels of the keypoints of people with bodies.

    Raises:
        PgtfastError: their bodies are of another model, or it has no such keypoints.
    """
    if people.body_model != body.kind:
        raise PgtfastError(f"{folder}: bodies of {people.body_model}, --body is {body.source.file} of {body.kind!r}")
    plan = body.landmarks(KEYPOINTS)
    pose = {name: torch.from_numpy(np.nan_to_num(values)).float() for name, values in people.body.items()}
    pose["betas"] = pose["betas"][:, : body.num_betas]
    focal, center = (torch.from_numpy(values).float() for values in (people.focal, people.center))
    return reference.project(plan(**pose), focal, center).double().numpy()


def oks(points: np.ndarray, annotation: dict[str, Any], sigmas: np.ndarray) -> float | None:
    """Object keypoint similarity of a person to their own annotation; None where it labels no keypoint.

    Args:
        points: (17, 2) pixels.
        annotation: of COCO.
        sigmas: (17,) of the keypoints.
    """
    labelled = np.reshape(np.array(annotation["keypoints"], float), (-1, 3))
    seen = labelled[:, 2] > 0
    if not seen.any():
        return None
    squared = ((points - labelled[:, :2]) ** 2).sum(1) / (2 * sigmas) ** 2 / (annotation["area"] + np.spacing(1)) / 2
    return float(np.exp(-squared[seen]).mean())


def _quietly(call: Any, *arguments: Any) -> Any:
    """Call without what pycocotools prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        return call(*arguments)


def table(values: dict[str, Any]) -> str:
    """Lines to print: one a run."""
    wide = max(map(len, values["runs"]))
    lines = [
        f"keypoints of {values['annotations']}: {values['images']} images; AP and AR over OKS 0.50:0.95, all "
        f"people of the file",
        " " * wide + "".join(f"{name:>11s}" for name in (*STATS, "mean OKS")) + f"{'people':>9s}",
    ]
    for name, run in values["runs"].items():
        cells = [run[key] for key in (*STATS, "mean_oks")]
        told = "".join(f"{'-' if value is None or value < 0 else format(value, '.3f'):>11s}" for value in cells)
        lines.append(f"{name:{wide}s}{told}{run['counted']:9d}")
    lines.append("  mean OKS: of each person to their own annotation")
    return "\n".join(lines)
