"""`python -m benchmarks.annotate`: people a second of the bulk run, stage by stage, against what bounds it and against
what one writes by hand."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pgtfast._cli import run
from pgtfast._errors import PgtfastError
from pgtfast._options import chosen_device
from pgtfast.annotate import AnnotateConfig
from pgtfast.annotate._inputs import open_input
from pgtfast.annotate._work import Job
from pgtfast.bench.results import about_machine, check_json, write_json
from pgtfast.bench.timing import own_seconds, sample, summarise
from pgtfast.engines import ENGINES
from pgtfast.networks.files import load_annotator

from .annotate_set import prepare
from .annotate_soak import soak
from .annotate_stages import DecodeAlone, Stages, plain_of
from .arguments import count

TARGET, PLAIN_TARGET = 0.9, 3.0
"""Wanted share of the slower of decoder and engine, and wanted multiple of the plain pipeline."""
STAGES = ("plan", "decode", "crops", "engine", "bodies", "write", "annotate", "plain")
PACKAGES = ("pgtfast", "torch", "numpy", "nvidia-dali-cuda130", "onnxruntime", "opencv-python-headless", "pyarrow")
DESCRIPTION = """Annotates people of a COCO file, the same pictures again and again under other names, and times each
stage alone: plan (annotations read,
shards laid out), decode (DALI alone, each picture once, from memory), crops (files read, decoded, cut), engine (the
network alone), bodies (cameras,
landmarks, scores), write (rows, Parquet), annotate (all of it but the plan), and plain (the same work with a PyTorch
DataLoader, OpenCV and plain
PyTorch). Samples are taken in turns; ratios are medians over rounds."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.annotate", description=DESCRIPTION)
    add = p.add_argument
    add("--coco", type=Path, metavar="JSON", help="COCO person keypoints (default: a few pictures are drawn)")
    add("--images", type=Path, metavar="DIR", help="folder of the images of --coco")
    add("--network", default="resnet18", metavar="NAME|CKPT",
        help="checkpoint of an annotator, or an untrained one: resnet18 (a quarter of the width, crops of 96x128) "
             "or resnet50 (Pose2Pose's, 192x256); default: %(default)s")  # fmt: skip
    add("--engine", choices=ENGINES, default="torch", help="what runs the network (%(default)s)")
    add("--engine-file", type=Path, metavar="FILE", help="of pgtfast.export (default: exported first)")
    add(
        "--precision",
        choices=("fp32", "fp16"),
        help="of --engine torch, or of the exported file (default: fp32; fp16 for the TensorRT engines)",
    )
    add("--device", default="cpu", help="cpu or cuda (%(default)s)")
    add("--batch", type=count(1, "people"), default=64, help="people at once (%(default)s)")
    add("--people", type=count(1, "people"), default=2000, help="people of one sample, at least (%(default)s)")
    add("--part-size", type=count(1, "people"), default=1024, help="people of a part (%(default)s)")
    add("--threads", type=count(1, "threads"), default=2, help="threads of torch, of the decoder, and workers of "
                                                               "the plain pipeline (%(default)s)")  # fmt: skip
    add("--rounds", type=count(1, "samples"), default=5, help="samples of each stage (%(default)s)")
    add("--no-plain", action="store_true", help="leave the plain pipeline out")
    add("--soak", type=count(1, "images"), metavar="N", help="in place of all this: annotate N images once and "
                                                             "draw up the memory that it takes")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write the result there")
    return p


def main(arguments: list[str]) -> int:
    """Measure and print."""
    args = parser().parse_args(arguments)
    if (args.coco is None) != (args.images is None):
        raise PgtfastError("--coco, --images: give both or none")
    if args.engine == "torch" and args.engine_file is not None:
        raise PgtfastError("--engine-file: --engine torch runs the checkpoint of --network")
    if args.engine_file is not None and args.precision is not None:
        raise PgtfastError("--precision: an engine file has its own")
    check_json(args.json)
    chosen_device(args.device)
    with tempfile.TemporaryDirectory() as name:
        result, text = measure(args, Path(name)) if args.soak is None else soak(args, Path(name), PACKAGES)
    print(text)
    write_json(args.json, {"command": ["python", "-m", "benchmarks.annotate", *arguments], **result})
    return 0


def measure(args: argparse.Namespace, scratch: Path) -> tuple[dict[str, Any], str]:
    """Take samples of the stages in turns; the result, and a table of it."""
    import torch

    torch.set_num_threads(args.threads)
    set_, given = prepare(args, scratch, people=args.people)
    config = AnnotateConfig(
        coco=set_.coco,
        images=(set_.images,),
        dataset="bench",
        out=scratch / "run",
        checkpoint=str(given.engine),
        engine=args.engine,
        precision=given.precision,
        device=args.device,
        threads=args.threads,
        batch_size=args.batch,
        loader_threads=args.threads,
        follow_links=True,
    )
    source, job = open_input(config), Job(config, set_.images)
    stages = Stages(job, source, args.part_size)
    pictures = DecodeAlone(stages)
    calls: dict[str, Callable[[], object]] = {**stages.calls(), "decode": pictures}
    order = [*STAGES[:-1], *(() if args.no_plain else STAGES[-1:])]
    if not args.no_plain:
        calls["plain"] = plain_of(stages, given.checkpoint, scratch / "plain.json")
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in order}
    cpu: dict[str, list[float]] = {name: [] for name in order}
    for name in order:
        calls[name]()
    for _ in range(args.rounds):
        for name in order:
            before = own_seconds()
            taken[name].append(sample(calls[name], 0.0))
            cpu[name].append(own_seconds() - before)
    people, images = stages.people, pictures.images
    rows = {}
    for name in order:
        timing = summarise(taken[name])
        rows[name] = {
            "people_per_s": people / timing.median, "images_per_s": images / timing.median, "low": people / timing.high,
            "high": people / timing.low, "core_ms": 1e3 * statistics.median(cpu[name]) / people, "quiet": timing.quiet,
        }  # fmt: skip
    ratios = {
        "slower": _ratio(taken, lambda s: max(s["decode"], s["engine"]) / s["annotate"]),
        "both": _ratio(taken, lambda s: (s["decode"] + s["engine"]) / s["annotate"]),
    }
    if not args.no_plain:
        ratios["plain"] = _ratio(taken, lambda s: s["plain"] / s["annotate"])
    result = {
        **about_machine(PACKAGES),
        "device": args.device,
        "threads": args.threads,
        "batch": args.batch,
        "network": str(args.network),
        "engine": stages.work.network.engine.name,
        "gflop_a_crop": gflop(given.checkpoint),
        "people": people,
        "images": images,
        "stages": rows,
        "ratios": ratios,
        "targets": {"slower": TARGET, "plain": PLAIN_TARGET},
    }
    return result, table(result)


def gflop(checkpoint: Path) -> float:
    """Of one crop through the network's layers, two for each product and sum."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    loaded = load_annotator(checkpoint)
    width, height = loaded.config.input_size
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        loaded.network(torch.zeros(1, 3, height, width))
    return counted.get_total_flops() / 1e9


def _ratio(taken: dict[str, list[tuple[float, float]]], of: Callable[[dict[str, float]], float]) -> dict[str, float]:
    """Median and extremes over the rounds."""
    rounds = [
        dict(zip(taken, (seconds for seconds, _ in row), strict=True)) for row in zip(*taken.values(), strict=True)
    ]
    values = sorted(map(of, rounds))
    return {"median": statistics.median(values), "low": values[0], "high": values[-1]}


def table(result: dict[str, Any]) -> str:
    """Stages, and what the whole is held against."""
    lines = [
        f"{result['people']} people in {result['images']} images; {result['network']} on {result['engine']}, "
        f"{result['device']}"
    ]
    lines.append(f"{'':10s}{'people/s':>10s}{'images/s':>10s}{'core ms/person':>16s}")
    for name, row in result["stages"].items():
        noisy = "" if row["quiet"] else "  noisy"
        lines.append(f"{name:10s}{row['people_per_s']:10.0f}{row['images_per_s']:10.0f}{row['core_ms']:16.3f}{noisy}")
    engine = result["gflop_a_crop"] / result["stages"]["engine"]["core_ms"] * 1e3
    lines.append(f"engine: {result['gflop_a_crop']:.3f} GFLOP a crop, {engine:.0f} GFLOP/s a core")
    told = {
        "slower": f"annotate / slower of decode and engine (wanted {TARGET:g})",
        "both": "annotate / decode and engine one after the other, as where they share the cores",
        "plain": f"annotate / plain (wanted {PLAIN_TARGET:g})",
    }
    for name, ratio in result["ratios"].items():
        lines.append(f"{told[name]}: {ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(run("bench annotate", main))
