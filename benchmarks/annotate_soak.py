"""The memory of a long run: the command itself over very many images, looked at from outside every few seconds."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pgtfast._errors import PgtfastError
from pgtfast.bench.results import about_machine, status_mib
from pgtfast.formats import read_records
from pgtfast.runs.parts import MANIFEST

from .annotate_set import prepare

EVERY = 5.0
"""Seconds between two looks."""
LINES = 12
"""Of the curve that are printed."""
SETTLED = 0.1
"""Share of the run after which caches and pools are filled; growth is counted from there."""


def soak(args: argparse.Namespace, scratch: Path, packages: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    """Annotate `args.soak` images; how many MiB that took as time went by."""
    shown, given = prepare(args, scratch, images=args.soak)
    out = scratch / "run"
    command = [
        "--checkpoint", given.engine, "--engine", args.engine, "--precision", given.precision, "--coco", shown.coco,
        "--images", shown.images, "--follow-links", "--out", out,
        "--device", args.device, "--batch-size", args.batch, "--part-size", args.part_size, "--threads", args.threads,
        "--loader-threads", args.threads,
    ]  # fmt: skip
    log = scratch / "log"
    start = time.perf_counter()
    curve: list[dict[str, float]] = []
    with open(log, "wb") as told:
        run = subprocess.Popen([sys.executable, "-m", "pgtfast.annotate", *map(str, command)], stdout=told, stderr=told)
        while run.poll() is None:
            memory = status_mib("VmRSS", run.pid)
            if memory is not None:
                seconds = time.perf_counter() - start
                curve.append({"seconds": round(seconds, 1), "people": _people(out), "mib": round(memory, 1)})
            time.sleep(EVERY)
    seconds = time.perf_counter() - start
    if run.returncode:
        raise PgtfastError(f"the run ended with code {run.returncode}: {log.read_text(errors='replace')[-800:]}")
    table = read_records(out, columns=("valid",))
    people = len(table)
    later = [look["mib"] for look in curve if look["people"] >= SETTLED * people]
    half = len(later) // 2
    result = {
        **about_machine(packages), "device": args.device, "threads": args.threads, "batch": args.batch,
        "network": str(args.network),
        "engine": args.engine, "images": shown.pictures, "people": people, "seconds": round(seconds, 1),
        "first_half_mib": max(later[:half], default=0.0), "second_half_mib": max(later[half:], default=0.0),
        "curve": curve,
    }  # fmt: skip
    return result, draw(result)


def _people(out: Path) -> int:
    """People in the parts written so far."""
    path = out / MANIFEST
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    return sum(json.loads(line)["rows"] for line in lines if line.endswith(b"\n"))


def draw(result: dict[str, Any]) -> str:
    """The curve in a few lines."""
    curve, people = result["curve"], result["people"]
    lines = [
        f"{people} people in {result['images']} images, {result['seconds']:.0f} s: "
        f"{result['images'] / result['seconds']:.0f} images/s, "
        f"{people / result['seconds']:.0f} people/s from start to end",
        f"{'people':>10s}{'MiB':>8s}",
    ]
    shown = curve[:: max(1, len(curve) // LINES)]
    lines += [f"{look['people']:10d}{look['mib']:8.0f}" for look in shown]
    lines.append(
        f"most MiB in the first half after {SETTLED:.0%} of the people: {result['first_half_mib']:.0f}, in the "
        f"second: {result['second_half_mib']:.0f}"
    )
    return "\n".join(lines)
