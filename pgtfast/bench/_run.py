"""The suites: floor, ops, fit, memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .._errors import PgtfastError
from . import _floor, _targets
from ._body import RandomBody
from ._config import BenchConfig
from ._contestants import Contestant, Ours, TorchContestant
from ._rivals import RIVALS
from ._tasks import CENTER, DEPTH, FIT_STEPS, FITS, FOCAL, TASKS, FitInputs, Inputs, make_inputs
from .timing import Timing, interleave

INSTALL = {
    "smplx": "smplx==0.1.28",
    "body-models": "'body-models[torch,jax]==0.26.2'",
    "smplfitter": "'smplfitter[numba,jax]==0.6.0'",
}
POINT_TOLERANCE = 1e-5
"""Metres."""
GRADIENT_TOLERANCE = 1e-4
"""Of the largest entry."""


@dataclass
class Results:
    """Rows of every suite, in the order measured."""

    machine: _floor.Machine | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def load_contestants(
    families: Iterable[str], folder: Path, body: RandomBody, compiled: bool, results: Results
) -> list[Contestant]:
    """pgtfast and the packages asked for. A missing package is an error, a missing variant of one (JAX) is named in
    `results.left_out`."""
    contestants: list[Contestant] = [Ours(folder, body.landmarks)]
    for rival in RIVALS:
        if rival.family not in families or (rival.compiled and not compiled):
            continue
        try:
            contestants.append(rival(folder, body.landmarks))
        except ImportError as error:
            if rival.name == rival.family:
                raise PgtfastError(
                    f"--against: {rival.family} is not installed ({error}); pip install {INSTALL[rival.family]}"
                ) from error
            results.left_out.append(f"{rival.name}: {error}")
    return contestants


def to_numpy(values: dict[str, Any]) -> dict[str, np.ndarray]:
    """float64 copies of a task's results."""
    return {
        k: (v.detach().numpy() if isinstance(v, torch.Tensor) else np.asarray(v)).astype(np.float64)
        for k, v in values.items()
    }


def reference_results(ours: Ours, task: str, inputs: Inputs) -> dict[str, np.ndarray]:
    """The task by :mod:`pgtfast.reference` in float64: the truth where smplx is not among the contestants."""
    from pgtfast import reference

    mode, what = task.split("_")
    pose, betas, transl = (torch.from_numpy(x).double() for x in (inputs.pose, inputs.betas, inputs.transl))
    leaves = [x.requires_grad_(mode == "fb") for x in (pose, betas, transl)]
    body = ours.body.to(dtype=torch.float64)
    rotations = pose.view(len(pose), -1, 3)

    def points(letter: str) -> torch.Tensor:
        if letter == "v":
            return reference.vertices(rotations, betas, transl, body.terms)
        plan = body.joints_plan if letter == "j" else body.landmarks(ours.regressor)
        return reference.landmarks(rotations, betas, transl, plan.terms)

    if mode == "fwd":
        return to_numpy({letter: points(letter) for letter in what})
    loss = 0.5 * (points(what) - torch.from_numpy(inputs.targets[what]).double()).square().sum()
    gp, gb, gt = torch.autograd.grad(loss, leaves)
    return to_numpy({"loss": loss, "gp": gp, "gb": gb, "gt": gt})


def mistakes(got: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> dict[str, float]:
    """Largest error of each result: metres for points, shares of the largest entry for losses and gradients."""
    errors = {}
    for key, wanted in truth.items():
        error = float(np.abs(got[key] - wanted).max())
        errors[key] = error if key in "vjr" else error / max(float(np.abs(wanted).max()), 1e-30)
    return errors


def is_right(errors: dict[str, float]) -> bool:
    """Whether every error is within its tolerance (a NaN is not)."""
    return all(error <= (POINT_TOLERANCE if key in "vjr" else GRADIENT_TOLERANCE) for key, error in errors.items())


def row(suite: str, task: str, batch: int, name: str, timing: Timing, **more: Any) -> dict[str, Any]:
    """One line of the JSON; times in ms a body."""
    unit = 1e3 / batch
    times = {"ms": timing.median * unit, "ms_q1": timing.low * unit, "ms_q3": timing.high * unit}
    return dict(
        suite=suite, task=task, batch=batch, name=name, **times, samples=timing.samples, quiet=timing.quiet, **more
    )


def run_ops(
    contestants: list[Contestant], config: BenchConfig, floors: Callable, results: Results, show: Callable
) -> None:
    """Every task at every batch: check all contestants, then time the right ones against each other."""
    ours = next(c for c in contestants if isinstance(c, Ours))
    for batch in config.batches:
        inputs = make_inputs(batch)
        for task in config.tasks or tuple(TASKS):
            calls, errors, first = {}, {}, {}
            judge = next((c for c in contestants if c.name == "smplx"), None)
            truth = to_numpy(judge.task(task, inputs)()) if judge else reference_results(ours, task, inputs)
            for contestant in contestants:
                if contestant.compiled and batch != _targets.BATCH:
                    continue
                call = contestant.task(task, inputs)
                start = time.perf_counter()
                errors[contestant.name] = mistakes(to_numpy(call()), truth)
                first[contestant.name] = time.perf_counter() - start
                if is_right(errors[contestant.name]):
                    calls[contestant.name] = call
                else:
                    results.wrong.append(f"{contestant.name}, {task}, batch {batch}: {errors[contestant.name]}")
            del truth
            timings = interleave(calls, rounds=config.rounds, window=config.window, budget=config.budget)
            floor = floors(batch)[task]
            new = [
                row(
                    "ops",
                    task,
                    batch,
                    name,
                    t,
                    errors=errors[name],
                    first_call_s=first[name],
                    floor_ms=floor.ms(results.machine),
                    flops=floor.flops,
                    bytes=floor.bytes,
                )
                for name, t in timings.items()
            ]
            results.rows += new
            show(f"{TASKS[task]}, batch {batch}", new)


def fit_inputs(ours: Ours, kind: str, people: int) -> FitInputs:
    """Keypoints of random people 6 m away, with 2 px of noise and random confidences."""
    rng = np.random.default_rng(7)
    pose = torch.from_numpy((rng.standard_normal((people, 72)) * 0.25).astype(np.float32))
    betas = torch.from_numpy(rng.standard_normal((people, 10)).astype(np.float32))
    place = torch.tensor([[0.0, 0.0, DEPTH]]).repeat(people, 1)
    points = (ours.landmarks if kind == "r" else ours.joints)(pose, betas, place).numpy()
    keypoints = FOCAL * points[..., :2] / points[..., 2:] + CENTER + rng.standard_normal((*points.shape[:2], 2)) * 2
    return FitInputs(keypoints.astype(np.float32), (1 - rng.random(points.shape[:2])).astype(np.float32))


def run_fit(
    contestants: list[Contestant], config: BenchConfig, floors: Callable, results: Results, show: Callable
) -> None:
    """Whole fits of 100 Adam steps; times per person and step. All must reach the same loss."""
    ours = next(c for c in contestants if isinstance(c, Ours))
    people = _targets.BATCH
    for kind in config.fits:
        inputs = fit_inputs(ours, kind, people)
        calls, losses = {}, {}
        for contestant in contestants:
            call = contestant.fit(kind, inputs)
            if call is not None:
                losses[contestant.name], calls[contestant.name] = call(), call
        best = min(losses.values())
        for name, loss in losses.items():
            if not loss <= best * 1.01:
                results.wrong.append(f"{name}, fit {kind}: loss {loss:.6g}, the best reached {best:.6g}")
                del calls[name]
        timings = interleave(calls, rounds=min(config.rounds, 5), window=0.0, budget=config.budget, minimum=2)
        floor = floors(people)[kind]
        new = [
            row(
                "fit",
                kind,
                people * FIT_STEPS,
                name,
                t,
                loss=losses[name],
                floor_ms=floor.ms(results.machine),
                flops=floor.flops,
                bytes=floor.bytes,
            )
            for name, t in timings.items()
        ]
        results.rows += new
        show(f"{FITS[kind]}, {people} people, {FIT_STEPS} Adam steps: ms a person and step", new)


def run_memory(contestants: list[Contestant], folder: Path, results: Results, people: int = 1024) -> None:
    """Peak memory that a loss on all vertices, forward + backward, adds: each torch contestant in a process of its
    own."""
    for contestant in contestants:
        if not isinstance(contestant, TorchContestant) or contestant.compiled:
            continue
        command = [
            sys.executable,
            "-m",
            "pgtfast.bench._memory",
            contestant.name,
            str(folder),
            str(people),
            str(torch.get_num_threads()),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            results.left_out.append(
                f"memory of {contestant.name}: "
                f"{done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'no reason given'}"
            )
            continue
        added, array = (float(x) for x in done.stdout.split()[-2:])
        results.rows.append(
            {
                "suite": "memory",
                "task": "fb_v",
                "batch": people,
                "name": contestant.name,
                "mib": added,
                "vertex_arrays": added / array,
            }
        )
