"""A run: people of a file in, store, pictures and exported files out."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from .._errors import PgtfastError
from ..body import BodyModel, load_body
from ..cameras import Camera
from ..data import People, read_coco_persons
from ..formats import Store, read_records, record_table, write_neuralannot
from ..priors import VPoser, load_vposer
from ._adam import adam
from ._cameras import cameras
from ._problem import WITHOUT_PRIOR, Weights
from ._records import rows
from ._smplify import fit_keypoints

SOLVERS = {"adam": adam}

TRUNK = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")


def run(options: argparse.Namespace) -> None:
    """Do all that the command line asks; raises PgtfastError on bad input."""
    from tqdm import tqdm

    device = _device(options.device)
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

    with Store(options.out, _config(options, body, prior, weights)) as store:
        done = store.keys()
        left = np.array([key not in done for key in _keys(people)], bool)
        if store.finished and not left.any():
            print(f"{options.out}: finished already, {len(done)} people; nothing is fitted again")
        else:
            if done:
                print(f"{options.out}: taken up again, {len(done)} of {len(people)} people are there")
            plan = body.landmarks(people.landmark_set).to(device=device)
            body_there, prior_there = body.to(device=device), None if prior is None else prior.to(device)
            usable = left & np.array([reason is None for reason in people.reason], bool)
            started, fitted = time.perf_counter(), 0
            with tqdm(total=int(usable.sum()), unit="people", desc="fit", disable=None, smoothing=0.1) as bar:
                for part in _parts(left, usable, options.batch_size):
                    some, chosen = people.rows(part), np.flatnonzero(usable[part])
                    result = None
                    if len(chosen):
                        at = part[chosen]
                        as_tensor = lambda array: torch.as_tensor(array, dtype=torch.float32, device=device)  # noqa: E731
                        camera = Camera(as_tensor(focal[at]), as_tensor(center[at]), as_tensor(people.image_size[at]))
                        result = fit_keypoints(
                            keypoints=as_tensor(keypoints[at]), camera=camera, body=body_there, prior=prior_there, landmarks=plan,
                            steps=options.steps, starts=options.starts, weights=weights, solver=SOLVERS[options.solver],
                        )  # fmt: skip
                    columns = rows(
                        some, chosen, result, focal=focal[part], center=center[part], keypoints=keypoints[part], body=body, prior=prior,
                        method=options.method,
                    )  # fmt: skip
                    store.write_part(record_table(columns))
                    fitted += len(chosen)
                    bar.update(len(chosen))
            _finish(store, len(people), fitted, time.perf_counter() - started, device)
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


def _keys(people: People) -> list[tuple]:
    return [
        (people.dataset, path, int(number))
        for path, number in zip(people.image_path, people.annotation_id, strict=True)
    ]


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise PgtfastError(f"--device {name}: wanted cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise PgtfastError(f"--device {name}: wanted cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise PgtfastError(
            f"--device {name}: torch sees {torch.cuda.device_count()} CUDA devices here; `pgtfast doctor` says more"
        )
    return device


def _body(name: str) -> BodyModel:
    body = load_body(name)
    if body.num_joints != 24:
        raise PgtfastError(
            f"--body {name}: wanted a body of SMPL's 24 joints, got {body.kind!r} with {body.num_joints}"
        )
    if body.num_betas > 10:
        raise PgtfastError(f"--body {name}: wanted at most 10 betas, got {body.num_betas}")
    return body


def _config(options: argparse.Namespace, body: BodyModel, prior: VPoser | None, weights: Weights) -> dict:
    """All that decides the result; device, threads, batch size, pictures and exports do not."""
    return {
        "command": "fit",
        "coco": _hash(options.coco),
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
        "intrinsics": None if options.intrinsics is None else _hash(options.intrinsics),
        "min_keypoints": options.min_keypoints,
        "min_confidence": options.min_confidence,
        "limit": options.limit,
    }


def _hash(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _finish(store: Store, read: int, fitted: int, seconds: float, device: torch.device) -> None:
    """Write what the run came to, and say it."""
    table = read_records(store.folder, columns=("valid", "reason", "reprojection_px", "reprojection_rel"))
    valid = np.array(table["valid"].to_pylist(), bool)
    skipped = Counter(reason.partition(":")[0] for reason in table["reason"].to_pylist() if reason is not None)
    errors = {
        name: [v for v in table[name].to_pylist() if v is not None] for name in ("reprojection_px", "reprojection_rel")
    }
    means = {name: float(np.mean(values)) if values else None for name, values in errors.items()}
    store.write_run(
        finished=True,
        finished_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={
            "pgtfast": version("pgtfast"),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        device=str(device),
        threads=torch.get_num_threads(),
        counts={
            "read": read,
            "written": len(valid),
            "valid": int(valid.sum()),
            "skipped": dict(sorted(skipped.items())),
        },
        rates={
            "people": fitted,
            "seconds": round(seconds, 3),
            "people_per_second": round(fitted / max(seconds, 1e-9), 2),
        },
        mean=means,
    )
    print(
        f"{store.folder}: {len(valid)} people, {int(valid.sum())} with a body; fitted {fitted} in {seconds:.1f} s ({fitted / max(seconds, 1e-9):.1f} people/s)"
    )
    pixels, share = means["reprojection_px"], means["reprojection_rel"]
    if pixels is not None and share is not None:
        print(f"mean keypoint error {pixels:.2f} px, {100 * share:.2f} % of the box")
    for code, number in sorted(skipped.items()):
        print(f"skipped {number}: {code}")


def _extras(store: Store, options: argparse.Namespace, body: BodyModel) -> None:
    """Exports and pictures of what the store holds."""
    if options.export == "neuralannot":
        folder = store.folder / "export"
        folder.mkdir(exist_ok=True)
        path = folder / f"{store.config['dataset']}_{body.kind.upper()}_NeuralAnnot.json"
        written = write_neuralannot(path, read_records(store.folder))
        print(f"{path}: {written} people")
        if body.kind != "smpl":
            print(
                f"{path}: parameters of the {body.kind!r} body; its shape is not SMPL's, so SMPL's mesh will not fit the photos as well"
            )
    if options.overlays:
        try:
            from ._pictures import draw
        except ModuleNotFoundError as error:
            raise PgtfastError(f"--overlays: {error.name} is not installed: pip install 'pgtfast[report]'") from error
        missing = draw(store.folder, Path(options.images), body, options.overlays)
        for line in missing[:10]:
            print(f"no overlay: {line}", file=sys.stderr)
        if len(missing) > 10:
            print(f"no overlay for {len(missing) - 10} more images", file=sys.stderr)
