"""`python -m benchmarks.export`: people a second and memory of a run's export, over a made-up store."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pgtfast._cli import run
from pgtfast._errors import PgtfastError
from pgtfast.bench.results import about_machine, check_json, write_json
from pgtfast.people import LAYOUTS, People, empty_people
from pgtfast.people.arrow import to_arrow
from pgtfast.people.table import objects
from pgtfast.runs import Store

TARGET, MOST = 40_000, 600
"""Wanted people a second, and MiB above what the process has before the export."""
PART = 1024
PACKAGES = ("pgtfast", "numpy", "msgspec", "pyarrow")
_EXPORT = """
import json, sys, time
from pgtfast.bench.results import status_mib
from pgtfast.formats.bulk import export_neuralannot
from pgtfast.runs import Store
with Store(sys.argv[1], {"dataset": "bench"}) as store:
    before, start = status_mib("VmHWM"), time.perf_counter()
    export_neuralannot(store, sys.argv[2])
    seconds, most = time.perf_counter() - start, status_mib("VmHWM")
    print(json.dumps({"seconds": seconds, "mib": most - before, "before_mib": before}))
"""


def people_of(kind: str, start: int, count: int) -> People:
    """Random people with bodies, cameras and keypoints."""
    rng = np.random.default_rng(start)
    ids = np.arange(start, start + count)
    empty = empty_people("bench", ids, landmark_set="coco17", gender="neutral")
    keypoints = rng.uniform(1, 500, empty.keypoints.shape)
    people = replace(
        empty,
        image_path=objects([f"train/{number // 3:012d}.jpg" for number in ids]),
        image_size=np.tile((640, 480), (count, 1)),
        bbox=rng.uniform(1, 100, (count, 4)),
        focal=rng.uniform(500, 600, (count, 2)),
        center=rng.uniform(200, 300, (count, 2)),
        keypoints=keypoints,
        scores={"quality": rng.uniform(size=count), "method": objects(["bench"] * count)},
    )
    body = {name: rng.normal(size=(count, width)) for name, width in LAYOUTS[kind].parameters.items()}
    return people.with_body(kind, **body)


def write_store(folder: Path, kind: str, people: int, *, different: int = 64) -> None:
    """A run of so many people in parts; numbers of bodies come again after `different` parts, ids do not."""
    tables = [to_arrow(people_of(kind, PART * number, PART)) for number in range(min(different, -(-people // PART)))]
    with Store(folder, {"dataset": "bench"}) as store:
        for number, start in enumerate(range(0, people, PART)):
            table = tables[number % len(tables)]
            ids = np.arange(start, start + PART)
            index = table.schema.get_field_index("annotation_id")
            store.write_part(table.set_column(index, table.schema.field(index), [ids]).slice(0, people - start))


def export(folder: Path, kind: str) -> dict[str, Any]:
    """Export a run in a process of its own: seconds, and MiB above what it had before."""
    done = subprocess.run([sys.executable, "-c", _EXPORT, str(folder), kind], capture_output=True, text=True)
    if done.returncode:
        raise PgtfastError(f"the export failed: {done.stderr.strip()[-800:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export", description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000, help="people of the store (%(default)s)")
    parser.add_argument("--body", choices=("smpl", "smplx"), default="smpl", help="their body model (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    args = parser.parse_args(arguments)
    check_json(args.json)
    with tempfile.TemporaryDirectory() as name:
        folder, start = Path(name) / "run", time.perf_counter()
        write_store(folder, args.body, args.people)
        written = time.perf_counter() - start
        measured = export(folder, args.body)
    rate = args.people / measured["seconds"]
    result = {
        **about_machine(PACKAGES), "people": args.people, "body": args.body,
        "store_people_per_s": args.people / written, **measured,
        "people_per_s": rate, "targets": {"people_per_s": TARGET, "mib": MOST},
    }  # fmt: skip
    print(
        f"{args.people:,} people: {rate:,.0f} people/s (wanted {TARGET:,}), {measured['mib']:.0f} MiB above the "
        f"{measured['before_mib']:.0f} MiB before (wanted {MOST} at most); "
        f"the store was written at {args.people / written:,.0f} people/s"
    )
    write_json(args.json, {"command": ["python", "-m", "benchmarks.export", *arguments], **result})
    return 0


if __name__ == "__main__":
    sys.exit(run("benchmarks.export", main))
