"""A run: people of a file in, store, overlays and exported files out."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from .._errors import PgtfastError
from .._options import chosen_device, needing
from ..body import BodyModel, load_body
from ..cameras import Camera
from ..datasets import read_coco_persons
from ..files.atomic import file_sha256
from ..fitting.adam import adam
from ..fitting.problem import WITHOUT_PRIOR, Weights
from ..fitting.smplify import FitResult, fit_keypoints, fitted_layout
from ..formats.bulk import export_neuralannot
from ..people import BodyLayout, People, Reason, Skip
from ..people.arrow import to_arrow
from ..people.cameras import cameras
from ..priors import VPoser, limit_violation, load_vposer, prior_energy
from ..quality.measure import Origin, solved
from ..quality.score import Quality, load_quality
from ..runs import Store
from ..runs.summary import finish_run
from ._config import FitConfig

SOLVERS = {"adam": adam}

TRUNK = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")


class FitRun(NamedTuple):
    """What a fit of a file's people came to."""

    out: Path
    """Folder of the run; `pgtfast.runs.read_records` reads its people."""
    people: int
    """People of the file, the skipped ones included."""
    fitted: int
    """People that this call fitted; those of a resumed run that were there are not among them."""


def run(config: FitConfig) -> FitRun:
    """Do all that a config asks.

    Raises:
        PgtfastError: an option or a file that does not fit.
    """
    device = chosen_device(config.device)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if config.images is not None and not config.images.is_dir():
        raise PgtfastError(f"--images {config.images}: no such folder")
    people = read_coco_persons(config.coco, dataset=config.dataset)
    if config.limit is not None:
        people = people.rows(slice(config.limit))
    tools = _tools(config)
    people = prepare(people, tools.body, config)
    fitted = 0
    with Store(config.out, _result_config(config, tools)) as store:
        if config.images is not None:
            store.write_run(images=str(config.images.resolve()))
        missing = store.missing(people)
        if store.finished and not missing.any():
            print(f"{config.out}: finished already, {len(people)} people; nothing is fitted again")
        else:
            if not missing.all():
                print(f"{config.out}: resumed, {(~missing).sum()} of {len(people)} people are there")
            started = time.perf_counter()
            fitted = _fit_missing(people, missing, store, config, tools, device)
            finish_run(
                store, read=len(people), done=fitted, seconds=time.perf_counter() - started, device=str(device),
                threads=torch.get_num_threads(), verb="fitted",
            )  # fmt: skip
        _extras(store, config, tools.body)
    return FitRun(config.out, len(people), fitted)


class _Tools(NamedTuple):
    """What a run fits with, on the CPU."""

    body: BodyModel
    layout: BodyLayout
    prior: VPoser | None
    weights: Weights
    quality: Quality


def _tools(config: FitConfig) -> _Tools:
    body = load_body(config.body)
    try:
        layout = fitted_layout(body)
    except ValueError as error:
        raise PgtfastError(f"--body {config.body}: {error}") from error
    if body.num_betas > layout.betas:
        raise PgtfastError(f"--body {config.body}: wanted at most {layout.betas} betas, got {body.num_betas}")
    prior = load_vposer(config.prior) if config.pose_space == "latent" else None
    return _Tools(body, layout, prior, WITHOUT_PRIOR if prior is None else Weights(), load_quality(config.quality))


def _fit_missing(
    people: People, missing: np.ndarray, store: Store, config: FitConfig, tools: _Tools, device: torch.device
) -> int:
    """Fit the people that the store lacks, part by part; returns how many."""
    from tqdm import tqdm

    body, prior = tools.body.to(device=device), None if tools.prior is None else tools.prior.to(device)
    plan = body.landmarks(people.landmark_set)
    version = None if prior is None else prior.version
    origin = Origin(body.kind, body.gender, version, config.method, _weights_hash(tools), tools.quality)
    usable, fitted = missing & people.usable, 0
    with tqdm(total=int(usable.sum()), unit="people", desc="fit", disable=None, smoothing=0.1) as bar:
        for part in _parts(missing, usable, config.batch_size):
            subset, chosen = people.rows(part), np.flatnonzero(usable[part])
            found: dict[str, np.ndarray | None] = {}
            if len(chosen):
                target = subset.rows(chosen)
                result = fit_keypoints(
                    keypoints=_tensor(target.keypoints, device), camera=_camera(target, device), body=body, prior=prior,
                    landmarks=plan, steps=config.steps, starts=config.starts, weights=tools.weights,
                    solver=SOLVERS[config.solver],
                )  # fmt: skip
                found = {**as_found(result), "focal": target.focal, "center": target.center}
            subset = solved(subset, chosen, found, origin)
            if tools.layout.has_hands:
                subset = dataclasses.replace(subset, flat_hand_mean=body.flat_hand_mean)
            store.write_part(to_arrow(subset))
            fitted += len(chosen)
            bar.update(len(chosen))
    return fitted


def prepare(people: People, body: BodyModel, config: FitConfig) -> People:
    """The people with their cameras and the keypoints that count; those who cannot be fitted get their reason."""
    names = body.landmarks(people.landmark_set).names
    focal, center = cameras(people, focal=config.focal, intrinsics=config.intrinsics)
    keypoints = people.keypoints.copy()
    keypoints[keypoints[..., 2] < max(config.min_confidence, 1e-6)] = 0
    used = keypoints[..., 2] > 0
    trunk = used[:, [names.index(name) for name in TRUNK]].sum(1)
    reason = people.reason.copy()
    for row in np.flatnonzero(people.usable):
        if np.isnan(focal[row]).any():
            reason[row] = Skip(Reason.NO_CAMERA, f"{people.image_path[row]} is not in the file of --intrinsics")
        elif used[row].sum() < config.min_keypoints:
            reason[row] = Skip(
                Reason.FEW_KEYPOINTS,
                f"{used[row].sum()} of them, wanted at least {config.min_keypoints} (--min-keypoints)",
            )
        elif trunk[row] < 2:
            reason[row] = Skip(Reason.NO_TRUNK, f"{trunk[row]} of the shoulders and hips, wanted at least 2")
    return dataclasses.replace(people, reason=reason, keypoints=keypoints, focal=focal, center=center)


def _parts(missing: np.ndarray, usable: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Rows of each part, in file order: up to `size` people to fit and the skipped ones between them."""
    rows = np.flatnonzero(missing)
    group = np.maximum(np.cumsum(usable[rows]) - 1, 0) // size
    for number in np.unique(group):
        yield rows[group == number]


def _result_config(config: FitConfig, tools: _Tools) -> dict:
    """All that decides the result; device, threads, batch size, overlays and exports do not."""
    body, prior, weights, quality = tools.body, tools.prior, tools.weights, tools.quality
    return {
        "command": "fit",
        "coco": file_sha256(config.coco),
        "dataset": config.dataset or config.coco.stem,
        "body": {"kind": body.kind, "gender": body.gender, "sha256": body.source.sha256},
        "prior": None if prior is None else {"version": prior.version, "sha256": prior.source.sha256},
        "method": config.method,
        "pose_space": config.pose_space,
        "solver": config.solver,
        "steps": config.steps,
        "starts": config.starts,
        "weights": dataclasses.asdict(weights),
        "focal": config.focal,
        "intrinsics": None if config.intrinsics is None else file_sha256(config.intrinsics),
        "quality": quality.sha256,
        "min_keypoints": config.min_keypoints,
        "min_confidence": config.min_confidence,
        "limit": config.limit,
    }


def _weights_hash(tools: _Tools) -> str:
    """sha256 of the hashes of the body's and the prior's file."""
    parts = [tools.body.source.sha256, *([] if tools.prior is None else [tools.prior.source.sha256])]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def as_found(result: FitResult) -> dict[str, np.ndarray | None]:
    """Fits of M people, with what is measured of them, by the names that :func:`pgtfast.quality.measure.solved`
    takes."""
    tensors: dict[str, torch.Tensor | None] = {**result.parameters, "latent": result.latent}
    tensors |= {"projected": result.projected, "valid": result.valid}
    tensors["limit_violation"] = limit_violation(result.body_pose.unflatten(-1, (-1, 3))).sum(-1)
    tensors["prior_energy"] = None if result.latent is None else prior_energy(result.latent)
    return {name: None if values is None else values.detach().cpu().numpy() for name, values in tensors.items()}


def _tensor(array: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(array, dtype=torch.float32, device=device)


def _camera(people: People, device: torch.device) -> Camera:
    focal, center, size = (_tensor(values, device) for values in (people.focal, people.center, people.image_size))
    return Camera(focal, center, size)


def _extras(store: Store, config: FitConfig, body: BodyModel) -> None:
    """Exports and overlays of what the store holds."""
    if config.export == "neuralannot":
        export_neuralannot(store, body.kind, config.min_quality)
    if config.overlays and config.images is not None:
        with needing("report", "--overlays"):
            from ..visuals.runs import draw_run
        draw_run(store.folder, config.images, body, config.overlays)
