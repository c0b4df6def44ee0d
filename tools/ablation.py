"""The three recipes taken away one at a time, and all at once, on one free world: trains, annotates, measures, and
writes the table.

python tools/ablation.py --world WORLD --out RUNS [--seeds 0 1] [--jobs 2] [--pose2d "--steps 1000"]

For each seed one 2D pose network, and five annotators; each annotates the wild set that it learned from (2D only) and
the test set. What is finished is not done again: the same command goes on where it stopped. Everything is run as a user
would run it; the lines are in RUNS/steps.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import torch

from pgtfast._system import processor_name

CONFIGURATIONS = {
    "all three recipes": (True, True, True),
    "without 1, the bridge set": (False, True, True),
    "without 2, the 2D pose network": (True, False, True),
    "without 3, the pose prior": (True, True, False),
    "without all three": (False, False, False),
}
"""Name -> which of the recipes are on."""
SPLITS = ("wild", "test")
ANNOTATIONS, IMAGES = "annotations/person_keypoints_train2017.json", "train2017"
SCORES = (
    ("PA-MPJPE", "pa_mpjpe_mm"),
    ("x", "pa_mpjpe_x_mm"),
    ("y", "pa_mpjpe_y_mm"),
    ("z", "pa_mpjpe_z_mm"),
    ("MPJPE", "mpjpe_mm"),
    ("PVE", "pve_mm"),
    ("px", "reprojection_px"),
    ("% box", "reprojection_percent_of_box"),
)
STANDING = "one standing body for all"


@dataclass
class Step:
    """One command."""

    name: str
    line: list[str]
    """Arguments of the interpreter."""
    after: list[str] = field(default_factory=list)
    """Steps that must be finished before."""
    writes: Path | None = None
    """What is there when it is finished."""


def main() -> int:
    """Run what is left, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--world", type=Path, required=True, help="folder that python -m pgtfast.synth made")
    add("--out", type=Path, required=True, help="folder of all runs")
    add(
        "--results",
        type=Path,
        default=Path("docs/results"),
        help="where ablation.md and ablation.json go (default: %(default)s)",
    )
    add("--seeds", type=int, nargs="+", default=[0, 1], help="one set of runs each (default: 0 1)")
    add("--jobs", type=int, default=1, help="commands at a time (default: %(default)s)")
    add("--threads", type=int, help="CPU threads of a command (default: those of the machine over --jobs)")
    add("--pose2d", default="", metavar="ARGS", help="further arguments of the 2D pose networks, one string")
    add("--annotator", default="", metavar="ARGS", help="further arguments of the annotators, one string")
    options = parser.parse_args()
    options.threads = options.threads or max(1, (os.cpu_count() or 1) // options.jobs)
    options.out.mkdir(parents=True, exist_ok=True)
    planned = plan(options)
    carry_out(planned, options)
    result = gather(options)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "ablation.json").write_text(json.dumps(result, indent=1) + "\n")
    (options.results / "ablation.md").write_text(page(result))
    print((options.results / "ablation.md").read_text())
    return 0


def plan(options: argparse.Namespace) -> list[Step]:
    """All steps, in an order that they can be done in."""
    world, out, threads = options.world, options.out, ["--threads", str(options.threads)]
    steps, runs = [], {split: [] for split in SPLITS}
    for split in SPLITS:
        line = ["pgtfast.fit", "--coco", world / split / ANNOTATIONS, "--out", out / f"fit_{split}", *threads]
        steps.append(step(f"fit_{split}", line, writes=out / f"fit_{split}" / "run.json"))
    for seed in options.seeds:
        pose = f"pose2d_{seed}"
        line = [
            "pgtfast.train", "python_training.pose2d:tiny", "--datasets.coco", world / "wild", "--seed", seed, *threads,
            "--loader-threads", options.threads, "--out", out / pose, *shlex.split(options.pose2d),
        ]  # fmt: skip
        steps.append(step(pose, line, writes=out / pose / "run.json"))
        for recipes in CONFIGURATIONS.values():
            f = f"f_{code(recipes)}_{seed}"
            line = [
                "pgtfast.train", "python_training.annotator:tiny", "--datasets.h36m", world / "studio",
                "--datasets.coco", world / "wild",
                "--datasets.pw3d", world / "bridge", *switches(recipes, out / pose), "--seed", seed, *threads,
                "--loader-threads", options.threads, "--out", out / f, *shlex.split(options.annotator),
            ]  # fmt: skip
            steps.append(step(f, line, [pose] if recipes[1] else [], out / f / "run.json"))
            for split in SPLITS:
                name = f"{f}_{split}"
                line = [
                    "pgtfast.annotate", "--checkpoint", out / f, "--coco", world / split / ANNOTATIONS, "--images",
                    world / split / IMAGES,
                    "--out", out / name, *threads, "--loader-threads", options.threads,
                ]  # fmt: skip
                steps.append(step(name, line, [f], out / name / "run.json"))
                runs[split].append(name)
    for split in SPLITS:
        line = [
            "pgtfast.evaluate", "synth", "--world", world, "--split", split, "--predictions", out / f"fit_{split}",
            "--against", *(out / name for name in runs[split]), "--json", out / f"{split}.json",
        ]  # fmt: skip
        steps.append(step(f"evaluate_{split}", line, [f"fit_{split}", *runs[split]], out / f"{split}.json"))
    return steps


def step(name: str, line: Sequence[object], after: Sequence[str] = (), writes: Path | None = None) -> Step:
    """Of a module and its arguments."""
    return Step(name, ["-m", *map(str, line)], list(after), writes)


def switches(recipes: tuple[bool, bool, bool], pose: Path) -> list[object]:
    """The recipes as arguments."""
    chosen = [f"--{'' if on else 'no-'}recipe-{n}" for n, on in enumerate(recipes, 1)]
    return [*chosen, *(["--pose-network", pose] if recipes[1] else [])]


def code(recipes: tuple[bool, bool, bool]) -> str:
    """ "123", "23", ..., "none"."""
    return "".join(str(n) for n, on in enumerate(recipes, 1) if on) or "none"


def carry_out(steps: list[Step], options: argparse.Namespace) -> None:
    """Run what is not finished, as many at a time as asked for; stop where a command stops."""
    record = options.out / "steps.json"
    done: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {}
    for one in steps:
        before = done.get(one.name)
        stays = before is not None and before["line"] == one.line and one.writes is not None and one.writes.exists()
        if not stays or one.name.startswith("evaluate"):
            done.pop(one.name, None)
    finished, waiting = {one.name for one in steps if one.name in done}, [one for one in steps if one.name not in done]
    print(f"{len(finished)} of {len(steps)} steps are done already", flush=True)
    failed: list[str] = []
    running: dict[Future, Step] = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        while running or (waiting and not failed):
            ready = [one for one in waiting if set(one.after) <= finished]
            for one in ready[: options.jobs - len(running)] if not failed else []:
                waiting.remove(one)
                print(f"{time.strftime('%H:%M:%S')} {one.name}: {shlex.join(['python', *one.line])}", flush=True)
                running[pool.submit(call, one, options)] = one
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                one = running.pop(future)
                code, seconds = future.result()
                print(
                    f"{time.strftime('%H:%M:%S')} {one.name}: {'done' if code == 0 else 'FAILED'} in {seconds:.0f} s",
                    flush=True,
                )
                if code:
                    failed.append(one.name)
                else:
                    finished.add(one.name)
                    done[one.name] = {"line": one.line, "seconds": round(seconds, 1)}
                    record.write_text(json.dumps(done, indent=1) + "\n")
    for name in failed:
        print(f"\n{options.out / 'logs' / name}.txt ends with", file=sys.stderr)
        print("\n".join((options.out / "logs" / f"{name}.txt").read_text().splitlines()[-15:]), file=sys.stderr)
    if failed:
        sys.exit(1)


def call(one: Step, options: argparse.Namespace) -> tuple[int, float]:
    """Exit code and seconds of a step; what it says goes to RUNS/logs."""
    log = options.out / "logs" / f"{one.name}.txt"
    log.parent.mkdir(exist_ok=True)
    started = time.perf_counter()
    with open(log, "w") as file:
        code = subprocess.run(
            [sys.executable, *one.line], stdout=file, stderr=subprocess.STDOUT, check=False,
            env={**os.environ, "OMP_NUM_THREADS": str(options.threads)},
        ).returncode  # fmt: skip
    return code, time.perf_counter() - started


def gather(options: argparse.Namespace) -> dict[str, Any]:
    """What was measured, by split, configuration and seed."""
    names = {str(options.world): "WORLD", str(options.out): "RUNS", str(options.results): "RESULTS"}

    def shown(argument: str) -> str:
        return names.get(argument.rstrip("/"), argument)

    steps = json.loads((options.out / "steps.json").read_text())
    world = json.loads((options.world / "run.json").read_text())
    result: dict[str, Any] = {
        "command": shlex.join(["python", *map(shown, sys.argv)]),
        "date": date.today().isoformat(),
        "machine": f"{processor_name()}, {os.cpu_count()} cores; commands at a time: {options.jobs}, "
        f"threads of each: {options.threads}; torch {torch.__version__}",
        "world": {k: world["config"].get(k) for k in ("wild", "studio", "bridge", "test", "seed", "poses")},
        "minutes": {
            kind: round(statistics.mean(training_seconds(steps, kind)) / 60, 1) for kind in ("pose2d", "f_")
        },
        "splits": {},
    }  # fmt: skip
    for split in SPLITS:
        measured = json.loads((options.out / f"{split}.json").read_text())
        runs = {name: errors(run) for name, run in measured["runs"].items()}
        result["splits"][split] = {
            "people": measured["people"],
            STANDING: measured[STANDING],
            "pgtfast.fit": runs[f"fit_{split}"],
            "configurations": {
                name: {str(seed): runs[f"f_{code(recipes)}_{seed}_{split}"] for seed in options.seeds}
                for name, recipes in CONFIGURATIONS.items()
            },
        }
    return result


def training_seconds(steps: dict[str, Any], kind: str) -> list[float]:
    """Of the trainings whose names start with `kind`."""
    return [s["seconds"] for name, s in steps.items() if name.startswith(kind) and "train" in s["line"][1]]


def errors(run: dict[str, Any]) -> dict[str, Any]:
    """A run's numbers without those of each person."""
    return {**run["errors"], "counted": run["counted"], "missing": run["missing"]}


def page(result: dict[str, Any]) -> str:
    """The table as Markdown."""
    world = result["world"]
    seeds = list(next(iter(result["splits"]["wild"]["configurations"].values())))
    lines = [
        "# The three recipes, one taken away at a time",
        "",
        f"The `tiny` recipe on a free world of {world['wild']} wild, {world['studio']} studio, {world['bridge']} "
        f"bridge and {world['test']} test images "
        f"(seed {world['seed']}). f learns from wild's 2D keypoints alone; its bodies are compared with the hidden "
        f"truth. Seeds {', '.join(seeds)}.",
        "",
        f"- {result['date']}, {result['machine']}; {result['minutes']['pose2d']} minutes a 2D pose network, "
        f"{result['minutes']['f_']} an annotator",
        f"- `{result['command']}`",
        "",
        "Millimetres, 14 joints, means over people; PA-MPJPE after the best similarity, with x right, y down, z depth; "
        "MPJPE and PVE (whole mesh) pelvis on "
        "pelvis; px and % of the box: from the labelled keypoints. \"spread\" is the largest minus the smallest "
        "PA-MPJPE of the seeds.",
    ]  # fmt: skip
    for split, held in result["splits"].items():
        people = held["people"]
        lines += [
            "",
            f"## {split}: {people['compared']} of {people['truth']} people, those that every run has",
            "",
            "| | seed | " + " | ".join(title for title, _ in SCORES) + " | spread |",
            "|---|---|" + "---:|" * (len(SCORES) + 1),
        ]
        lines += [
            row(STANDING, "", held[STANDING]),
            row("`pgtfast.fit` on the labelled keypoints", "", held["pgtfast.fit"]),
        ]
        for name, by_seed in held["configurations"].items():
            values = [one["pa_mpjpe_mm"] for one in by_seed.values()]
            mean = {key: statistics.mean(one[key] for one in by_seed.values()) for _, key in SCORES}
            if len(by_seed) > 1:
                lines += [row(name, seed, one) for seed, one in by_seed.items()]
            lines.append(
                row(
                    f"**{name}**",
                    "mean" if len(by_seed) > 1 else seeds[0],
                    mean,
                    f"{max(values) - min(values):.1f}" if len(values) > 1 else "",
                )
            )
    return "\n".join(lines) + "\n"


def row(name: str, seed: str, scores: dict[str, Any], spread: str = "") -> str:
    """One line of the table."""
    cells = ["" if scores.get(key) is None else f"{scores[key]:.1f}" for _, key in SCORES]
    return f"| {name} | {seed} | {' | '.join(cells)} | {spread} |"


if __name__ == "__main__":
    sys.exit(main())
