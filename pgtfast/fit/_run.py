"""A run: people of a file in, store, pictures and exported files out."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

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
from ..formats import Store, record_table
from ..formats.bulk import export_neuralannot, finish_run, left_over
from ..formats.rows import Solved, rows
from ..people import People
from ..people.cameras import cameras
from ..priors import VPoser, limit_violation, load_vposer, prior_energy
from ..quality.score import Quality, load_quality

SOLVERS = {"adam": adam}

TRUNK = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")


def run(options: argparse.Namespace) -> None:
    """Do all that the command line asks; raises PgtfastError on bad input."""
    from tqdm import tqdm

    device = chosen_device(options.device)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.images is not None and not Path(options.images).is_dir():
        raise PgtfastError(f"--images {options.images}: no such folder")
    people = read_coco_persons(options.coco, dataset=options.dataset)
    if options.limit is not None:
        people = people.rows(slice(options.limit))
    body = _body(options.body)
    prior = load_vposer(options.prior) if options.pose_space == "latent" else None
    weights = WITHOUT_PRIOR if prior is None else Weights()
    people, keypoints, focal, center = prepare(people, body, options)

    quality = load_quality(options.quality)
    with Store(options.out, _config(options, body, prior, weights, quality)) as store:
        if options.images is not None:
            store.write_run(images=str(Path(options.images).resolve()))
        left = left_over(people, store)
        if store.finished and not left.any():
            print(f"{options.out}: finished already, {len(people)} people; nothing is fitted again")
        else:
            if not left.all():
                print(f"{options.out}: taken up again, {(~left).sum()} of {len(people)} people are there")
            plan = body.landmarks(people.landmark_set).to(device=device)
            body_there, prior_there = body.to(device=device), None if prior is None else prior.to(device)
            usable = left & np.array([reason is None for reason in people.reason], bool)
            started, fitted = time.perf_counter(), 0
            with tqdm(total=int(usable.sum()), unit="people", desc="fit", disable=None, smoothing=0.1) as bar:
                for part in _parts(left, usable, options.batch_size):
                    some, chosen = people.rows(part), np.flatnonzero(usable[part])
                    solved = None
                    if len(chosen):
                        at = part[chosen]
                        as_tensor = lambda array: torch.as_tensor(array, dtype=torch.float32, device=device)  # noqa: E731
                        camera = Camera(as_tensor(focal[at]), as_tensor(center[at]), as_tensor(people.image_size[at]))
                        result = fit_keypoints(
                            keypoints=as_tensor(keypoints[at]), camera=camera, body=body_there, prior=prior_there, landmarks=plan,
                            steps=options.steps, starts=options.starts, weights=weights, solver=SOLVERS[options.solver],
                        )  # fmt: skip
                        solved = as_solved(result, focal[at], center[at])
                    columns = rows(
                        some, chosen, solved, keypoints=keypoints[part], body_model=body.kind, gender=body.gender,
                        prior=None if prior is None else prior.version, method=options.method, weights_sha256=weights_hash(body, prior),
                        quality=quality,
                    )  # fmt: skip
                    store.write_part(record_table(columns))
                    fitted += len(chosen)
                    bar.update(len(chosen))
            finish_run(
                store, read=len(people), done=fitted, seconds=time.perf_counter() - started, device=str(device),
                threads=torch.get_num_threads(), verb="fitted", torch=torch.__version__,
            )  # fmt: skip
        _extras(store, options, body)


def prepare(
    people: People, body: BodyModel, options: argparse.Namespace
) -> tuple[People, np.ndarray, np.ndarray, np.ndarray]:
    """Keypoints that count and cameras; people who cannot be fitted get their reason."""
    names = body.landmarks(people.landmark_set).names
    focal, center = cameras(people, focal=options.focal, intrinsics=options.intrinsics)
    keypoints = people.keypoints.copy()
    keypoints[keypoints[..., 2] < max(options.min_confidence, 1e-6)] = 0
    used = keypoints[..., 2] > 0
    trunk = used[:, [names.index(name) for name in TRUNK]].sum(1)
    reason = people.reason.copy()
    for row in np.flatnonzero([r is None for r in reason]):
        if np.isnan(focal[row]).any():
            reason[row] = f"no-camera: {people.image_path[row]} is not in the file of --intrinsics"
        elif used[row].sum() < options.min_keypoints:
            reason[row] = (
                f"few-keypoints: {used[row].sum()} of them, wanted at least {options.min_keypoints} (--min-keypoints)"
            )
        elif trunk[row] < 2:
            reason[row] = f"no-trunk: {trunk[row]} of the shoulders and hips, wanted at least 2"
    return dataclasses.replace(people, reason=reason), keypoints, focal, center


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


def _config(
    options: argparse.Namespace, body: BodyModel, prior: VPoser | None, weights: Weights, quality: Quality
) -> dict:
    """All that decides the result; device, threads, batch size, pictures and exports do not."""
    return {
        "command": "fit",
        "coco": file_sha256(options.coco),
        "dataset": options.dataset or Path(options.coco).stem,
        "body": {"kind": body.kind, "gender": body.gender, "sha256": body.source.sha256},
        "prior": None if prior is None else {"version": prior.version, "sha256": prior.source.sha256},
        "method": options.method,
        "pose_space": options.pose_space,
        "solver": options.solver,
        "steps": options.steps,
        "starts": options.starts,
        "weights": dataclasses.asdict(weights),
        "focal": options.focal,
        "intrinsics": None if options.intrinsics is None else file_sha256(options.intrinsics),
        "quality": quality.sha256,
        "min_keypoints": options.min_keypoints,
        "min_confidence": options.min_confidence,
        "limit": options.limit,
    }


def weights_hash(body: BodyModel, prior: VPoser | None) -> str:
    """sha256 of the hashes of the body's and the prior's file."""
    parts = [body.source.sha256, *([] if prior is None else [prior.source.sha256])]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def as_solved(result: FitResult, focal: np.ndarray, center: np.ndarray) -> Solved:
    """Fits of M people with their cameras (M, 2) each, and their scores, as arrays."""
    latent = result.latent

    def host(values: torch.Tensor) -> np.ndarray:
        return values.detach().cpu().numpy()

    return Solved(
        global_orient=host(result.global_orient),
        body_pose=host(result.body_pose),
        betas=host(result.betas),
        transl=host(result.transl),
        latent=None if latent is None else host(latent),
        focal=focal,
        center=center,
        projected=host(result.projected),
        prior_energy=None if latent is None else host(prior_energy(latent)),
        limit_violation=host(limit_violation(result.body_pose.unflatten(-1, (-1, 3))).sum(-1)),
        valid=host(result.valid),
    )


def _extras(store: Store, options: argparse.Namespace, body: BodyModel) -> None:
    """Exports and pictures of what the store holds."""
    if options.export == "neuralannot":
        export_neuralannot(store, body.kind, options.min_quality)
    if options.overlays:
        with needing("report", "--overlays"):
            from ..visuals.runs import draw_run
        draw_run(store.folder, Path(options.images), body, options.overlays)
