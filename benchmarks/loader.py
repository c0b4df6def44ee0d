"""`python -m benchmarks.loader`: images a second of the loader alone, against DALI decoding the same pictures and doing
nothing else.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pgtfast._cli import run
from pgtfast._errors import PgtfastError
from pgtfast.bench.results import check_json, write_json

from .decode import Decoder

TARGET = 0.85
"""Least wanted share of the decoder's speed."""
PACKAGES = ("pgtfast", "torch", "numpy", "nvidia-dali-cuda130", "nvidia-nvimgcodec-cu13")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.loader",
        description="Times the loader (read, decode, crop, vary, normalise, annotations; in one stream, Pose2Pose's "
        "variations) against DALI decoding the "
        "same pictures whole from memory, one picture a person, in turns. Ratios are the medians over rounds.",
    )
    p.add_argument("--images", type=Path, required=True, metavar="DIR", help="folder of pictures")
    p.add_argument("--coco", type=Path, required=True, metavar="JSON", help="COCO person keypoints of them")
    p.add_argument("--crop", default="192x256", metavar="WxH", help="pixels of a crop (%(default)s)")
    p.add_argument("--picture", type=int, default=0, metavar="PX", help="first shrink the pictures to this longer side")
    p.add_argument("--batch", type=int, default=32, help="crops a batch (%(default)s)")
    p.add_argument("--threads", type=int, default=2, help="decoding threads of both (%(default)s)")
    p.add_argument("--device", default="cpu", help="cpu or cuda (%(default)s)")
    p.add_argument("--rounds", type=int, default=9, help="samples of each (%(default)s)")
    p.add_argument("--window", type=float, default=0.5, help="least seconds of one sample (%(default)s)")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    return p


def main(arguments: list[str]) -> int:
    """Measure and print."""
    args = parser().parse_args(arguments)
    width, _, height = args.crop.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise PgtfastError(f"--crop: wanted WxH in pixels, got {args.crop!r}")
    if min(args.batch, args.threads, args.rounds) < 1:
        raise PgtfastError("--batch, --threads, --rounds: wanted at least 1")
    check_json(args.json)
    with tempfile.TemporaryDirectory() as name:
        result = measure(args, (int(width), int(height)), Path(name))
    for kind in ("decode", "regions", "loader"):
        r = result[kind]
        print(f"{kind:8s} {r['images_per_s']:8.0f} images/s   {r['cpu_ms']:.3f} ms of CPU an image")
    print(
        f"loader / decode: {result['ratio']:.2f} [{result['ratio_low']:.2f}, {result['ratio_high']:.2f}], wanted "
        f"{TARGET}; "
        f"others used {100 * result['others']:.0f} % of the machine"
    )
    write_json(args.json, {"command": ["python", "-m", "benchmarks.loader", *arguments], **result})
    return 0


def measure(args: argparse.Namespace, crop_size: tuple[int, int], scratch: Path) -> dict[str, Any]:
    """Take samples of the contestants in turns."""
    from pgtfast.bench.results import about_machine
    from pgtfast.bench.timing import sample
    from pgtfast.datasets import read_coco_persons
    from pgtfast.loading import Supervision
    from pgtfast.loading.loader import LoaderConfig, MixedLoader, Stream
    from pgtfast.people import ImageSet

    people = read_coco_persons(args.coco)
    there = [p is not None and (args.images / p).is_file() for p in people.image_path]
    people = people.rows(np.array(there, bool))
    if not len(people):
        raise PgtfastError(f"--images: no picture that {args.coco} names is in {args.images}")
    held = ImageSet(people=people, images=args.images, role="wild")
    if args.picture:
        held = shrink(held, args.picture, scratch)
    config = LoaderConfig(crop_size=crop_size, threads=args.threads, device=args.device)
    loader = MixedLoader([Stream((held,), args.batch)], Supervision(("p2p25", "coco17")), config, body_kind="free")
    batches = loader.batches(0, 1 << 40)
    contestants: dict[str, Callable[[], object]] = {
        "decode": decoder(loader, held, args, whole=True),
        "regions": decoder(loader, held, args, whole=False),
        "loader": lambda: next(batches),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    others = []
    for _ in range(args.rounds):
        for name, call in contestants.items():
            for _ in range(config.prefetch + 1):  # what was made while others ran
                call()
            cpu, calls = time.process_time(), [0]

            def counted(call: Callable[[], object] = call, calls: list[int] = calls) -> None:
                call()
                calls[0] += 1

            seconds, share = sample(counted, args.window)
            taken[name].append((seconds / args.batch, (time.process_time() - cpu) / calls[0] / args.batch))
            others.append(share)
    batches.close()
    ratios = sorted(d[0] / m[0] for d, m in zip(taken["decode"], taken["loader"], strict=True))
    pixels = np.array([(p.width, p.height) for p in _pictures(loader, held)])
    return {
        **about_machine(PACKAGES),
        "device": args.device,
        "threads": args.threads,
        "batch": args.batch,
        "crop": list(crop_size),
        "people": len(loader._crops.sets[0].rows),
        "mean_picture": [float(x) for x in pixels.mean(0)],
        **{
            name: {
                "images_per_s": 1 / statistics.median(s for s, _ in values),
                "cpu_ms": 1e3 * statistics.median(c for _, c in values),
            }
            for name, values in taken.items()
        },
        "ratio": statistics.median(ratios),
        "ratio_low": ratios[len(ratios) // 4],
        "ratio_high": ratios[(3 * len(ratios)) // 4],
        "target": TARGET,
        "others": statistics.median(others),
    }


def _pictures(loader: Any, held: Any) -> list[Any]:
    opened = loader._crops.sets[0]
    return [opened.read(row) for row in opened.rows]


def decoder(loader: Any, held: Any, args: argparse.Namespace, *, whole: bool) -> Callable[[], object]:
    """DALI decoding from memory, in the loader's order: whole pictures, or the part that each crop needs."""
    pictures = _pictures(loader, held)
    unreadable = [p.reason for p in pictures if p.data is None]
    if unreadable:
        raise PgtfastError(f"--images: {unreadable[0]}; leave damaged pictures out")
    opened = loader._crops.sets[0]
    sizes = np.array([(p.width, p.height) for p in pictures])
    boxes = opened.boxes(opened.rows, sizes)
    low = np.clip(boxes[:, :2], 0, sizes - 1).astype(np.int32)
    high = np.clip(np.ceil(boxes[:, :2] + boxes[:, 2:]), low + 1, sizes).astype(np.int32)
    alone = Decoder(args.batch, args.threads, args.device, parts=not whole)
    steps = itertools.count()

    def call() -> None:
        index = loader.mixture.people(0, loader.mixture.slots(next(steps)).position)
        place = {} if whole else {"start": low[index], "shape": (high - low)[index]}
        alone.step(data=[pictures[i].data for i in index], **place)

    return call


def shrink(held: Any, side: int, folder: Path) -> Any:
    """The same people in pictures of which the longer side is `side`, written to `folder`."""
    from PIL import Image

    people = held.people
    factors = np.zeros(len(people))
    for name in sorted(set(people.image_path)):
        with Image.open(held.images / name) as picture:
            factor = side / max(picture.size)
            width, height = (max(1, round(n * factor)) for n in picture.size)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.convert("RGB").resize((width, height)).save(path, "JPEG", quality=90)
        factors[people.image_path == name] = factor
    keypoints = people.keypoints.copy()
    keypoints[..., :2] *= factors[:, None, None]
    smaller = replace(
        people,
        bbox=people.bbox * factors[:, None],
        keypoints=keypoints,
        image_size=np.zeros_like(people.image_size),
    )
    return replace(held, people=smaller, images=folder)


if __name__ == "__main__":
    raise SystemExit(run("bench loader", main))
