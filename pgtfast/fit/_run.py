"""A run: people of a file in, store, pictures and exported files out."""

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
from ..fitting.smplify import FitResult, fit_keypoints
from ..formats.bulk import export_neuralannot
from ..people import People, Reason, Skip
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
    from tqdm import tqdm

    device = chosen_device(config.device)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if config.images is not None and not config.images.is_dir():
        raise PgtfastError(f"--images {config.images}: no such folder")
    people = read_coco_persons(config.coco, dataset=config.dataset)
    if config.limit is not None:
        people = people.rows(slice(config.limit))
    body = _body(config.body)
    prior = load_vposer(config.prior) if config.pose_space == "latent" else None
    weights = WITHOUT_PRIOR if prior is None else Weights()
    people = prepare(people, body, config)

    quality = load_quality(config.quality)
    fitted = 0
    with Store(config.out, _result_config(config, body, prior, weights, quality)) as store:
        if config.images is not None:
            store.write_run(images=str(config.images.resolve()))
        left = store.missing(people)
        if store.finished and not left.any():
            print(f"{config.out}: finished already, {len(people)} people; nothing is fitted again")
        else:
            if not left.all():
                print(f"{config.out}: taken up again, {(~left).sum()} of {len(people)} people are there")
            plan = body.landmarks(people.landmark_set).to(device=device)
            body_there, prior_there = body.to(device=device), None if prior is None else prior.to(device)
            usable = left & people.usable
            origin = Origin(
                body.kind, body.gender, None if prior is None else prior.version, config.method, weights_hash(body, prior), quality
            )  # fmt: skip
            started = time.perf_counter()
            with tqdm(total=int(usable.sum()), unit="people", desc="fit", disable=None, smoothing=0.1) as bar:
                for part in _parts(left, usable, config.batch_size):
                    some, chosen = people.rows(part), np.flatnonzero(usable[part])
                    found: dict[str, np.ndarray | None] = {}
                    if len(chosen):
                        target = some.rows(chosen)
                        result = fit_keypoints(
                            keypoints=_tensor(target.keypoints, device), camera=_camera(target, device), body=body_there, prior=prior_there,
                            landmarks=plan, steps=config.steps, starts=config.starts, weights=weights, solver=SOLVERS[config.solver],
                        )  # fmt: skip
                        found = {**as_found(result), "focal": target.focal, "center": target.center}
                    store.write_part(to_arrow(solved(some, chosen, found, origin)))
                    fitted += len(chosen)
                    bar.update(len(chosen))
            finish_run(
                store, read=len(people), done=fitted, seconds=time.perf_counter() - started, device=str(device),
                threads=torch.get_num_threads(), verb="fitted",
            )  # fmt: skip
        _extras(store, config, body)
    return FitRun(config.out, len(people), fitted)


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


def _parts(left: np.ndarray, usable: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Rows of each part, in file order: up to `size` people to fit and the skipped ones between them."""
    rows = np.flatnonzero(left)
    group = np.maximum(np.cumsum(usable[rows]) - 1, 0) // size
    for number in np.unique(group):
        yield rows[group == number]


def _body(name: str) -> BodyModel:
    body = load_body(name)
    if body.num_joints != 24:
        raise PgtfastError(
            f"--body {name}: wanted a body of SMPL's 24 joints, got {body.kind!r} with {body.num_joints}"
        )
    if body.num_betas > 10:
        raise PgtfastError(f"--body {name}: wanted at most 10 betas, got {body.num_betas}")
    return body


def _result_config(
    config: FitConfig, body: BodyModel, prior: VPoser | None, weights: Weights, quality: Quality
) -> dict:
    """All that decides the result; device, threads, batch size, pictures and exports do not."""
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


def weights_hash(body: BodyModel, prior: VPoser | None) -> str:
    """sha256 of the hashes of the body's and the prior's file."""
    parts = [body.source.sha256, *([] if prior is None else [prior.source.sha256])]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def as_found(result: FitResult) -> dict[str, np.ndarray | None]:
    """Fits of M people, with what is measured of them, by the names that :func:`pgtfast.quality.measure.solved` takes."""
    parts = ("global_orient", "body_pose", "betas", "transl", "latent", "projected", "valid")
    tensors: dict[str, torch.Tensor | None] = {name: getattr(result, name) for name in parts}
    tensors["limit_violation"] = limit_violation(result.body_pose.unflatten(-1, (-1, 3))).sum(-1)
    tensors["prior_energy"] = None if result.latent is None else prior_energy(result.latent)
    return {name: None if values is None else values.detach().cpu().numpy() for name, values in tensors.items()}


def _tensor(array: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(array, dtype=torch.float32, device=device)


def _camera(people: People, device: torch.device) -> Camera:
    focal, center, size = (_tensor(values, device) for values in (people.focal, people.center, people.image_size))
    return Camera(focal, center, size)


def _extras(store: Store, config: FitConfig, body: BodyModel) -> None:
    """Exports and pictures of what the store holds."""
    if config.export == "neuralannot":
        export_neuralannot(store, body.kind, config.min_quality)
    if config.overlays and config.images is not None:
        with needing("report", "--overlays"):
            from ..visuals.runs import draw_run
        draw_run(store.folder, config.images, body, config.overlays)
