"""`python -m benchmarks.convert`: people a second and memory of the converter itself, over files of as many people as
data sets have.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pgtfast._cli import run
from pgtfast._errors import PgtfastError
from pgtfast.bench.results import about_machine, check_json, status_mib, write_json
from pgtfast.formats import Context, write_neuralannot
from pgtfast.formats.eft import EFT
from pgtfast.people import People, empty_people, layout_of
from pgtfast.people.table import objects

from .arguments import count

TARGET = 20_000
"""Wanted people a second of the JSON formats."""
BLOCK = 4096
EVERY = 0.05
"""Seconds between two looks at the memory; it is the most since the start that is looked at."""
PACKAGES = ("pgtfast", "numpy", "msgspec", "orjson", "pyarrow", "pysimdjson")
CASES = (
    ("neuralannot.json", "out.json", "neuralannot", 1), ("neuralannot.json", "run", "parquet", 1),
    ("run", "out.json", "neuralannot", 1),
    ("tenth.json", "out.json", "neuralannot", 10), ("eft.json", "out", "parquet", 3),
    ("eft.json", "out.json", "eft", 3),
)  # fmt: skip
"""Source, target, its format, and which share of the people is in the source."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.convert",
        description="Writes files of random SMPL bodies with all digits of a double, NeuralAnnot's JSON of N people "
        "and of N/10, EFT's of N/3, and runs pgtfast.convert on "
        "them, each in a process of its own. People a second are those that it prints, from the first byte read to "
        "the last one written; memory is the process's peak.",
    )
    p.add_argument("--people", type=count(10, "people"), default=300_000, metavar="N", help="%(default)s by default")
    p.add_argument("--rounds", type=count(1, "runs"), default=2, help="runs of each case (%(default)s)")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    return p


def main(arguments: list[str]) -> int:
    """Measure and print."""
    args = parser().parse_args(arguments)
    check_json(args.json)
    with tempfile.TemporaryDirectory() as name:
        rows = measure(args.people, args.rounds, Path(name))
    print(f"{'from':18s}{'to':14s}{'people':>9s}{'MB':>8s}{'people/s':>24s}{'peak MiB':>14s}")
    for row in rows:
        rates, peaks = (", ".join(f"{v:.0f}" for v in row[key]) for key in ("people_per_s", "peak_mib"))
        print(f"{row['from']:18s}{row['to']:14s}{row['people']:9d}{row['source_mb']:8.0f}{rates:>24s}{peaks:>14s}")
    print(f"wanted of the JSON formats: {TARGET} people/s")
    write_json(
        args.json,
        {
            "command": ["python", "-m", "benchmarks.convert", *arguments],
            **about_machine(PACKAGES),
            "target": TARGET,
            "rows": rows,
        },
    )
    return 0


def measure(people: int, rounds: int, folder: Path) -> list[dict[str, Any]]:
    """Run all cases, in turns."""
    for name, share in (("neuralannot.json", 1), ("tenth.json", 10)):
        write_neuralannot(folder / name, made(people // share))
    assert EFT.write is not None
    EFT.write(folder / "eft.json", made(people // 3), Context())
    rows: list[dict[str, Any]] = [
        {"from": source, "out": out, "to": to, "people": people // share, "people_per_s": [], "peak_mib": []}
        for source, out, to, share in CASES
    ]
    for _ in range(rounds):
        for row in rows:
            out = folder / row["out"]
            shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
            rate, peak = convert(folder / row["from"], out, row["to"])
            row["people_per_s"].append(rate)
            row["peak_mib"].append(peak)
            row["source_mb"] = size(folder / row["from"]) / 1e6
    return rows


def size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size


def convert(source: Path, out: Path, to: str) -> tuple[float, float]:
    """People a second and MiB of one run of the command."""
    command = [sys.executable, "-m", "pgtfast.convert", str(source), str(out), "--to", to]
    peak = 0.0
    with tempfile.TemporaryFile("w+") as told:
        run = subprocess.Popen(command, stdout=told, stderr=subprocess.STDOUT)
        while run.poll() is None:
            peak = max(peak, status_mib("VmHWM", run.pid) or 0.0)
            time.sleep(EVERY)
        told.seek(0)
        text = told.read()
    found = re.search(r"\((\d+) people/s\)", text)
    if run.returncode or found is None:
        raise PgtfastError(f"{' '.join(command[2:])}: ended with code {run.returncode}: {text.strip()[-800:]}")
    return float(found[1]), peak


def made(count: int) -> Iterator[People]:
    """Random people, one an image."""
    draw, layout = np.random.default_rng(0), layout_of("smpl")
    for first in range(0, count, BLOCK):
        number = np.arange(first, min(first + BLOCK, count))
        n = len(number)
        corner, side = draw.uniform(0, 200, (n, 2)), draw.uniform(100, 300, (n, 1))
        people = replace(
            empty_people("random", number, gender="neutral"),
            image_path=objects([f"COCO_train2014_{at:012d}.jpg" for at in number]),
            bbox=np.concatenate([corner, side, side], 1),
            focal=np.repeat(draw.uniform(500, 5000, (n, 1)), 2, 1),
            center=corner + side / 2,
        )
        pose = draw.normal(0, 0.3, (n, layout.pose_size))
        betas, transl = draw.normal(0, 1, (n, layout.betas)), draw.normal((0, 0, 30), 1, (n, 3))
        yield people.with_pose(layout.kind, pose, betas=betas, transl=transl)


if __name__ == "__main__":
    raise SystemExit(run("bench convert", main))
