"""The first stage of the paper on a free world: a network learns to annotate, and annotates. What `make demo` runs.

python examples/demo.py [--out demo] [--images 800] [--pose-steps 1600] [--steps 1000]

A world is made (motion capture, pictures in the wild with 2D keypoints only, a small set with 3D, the hidden truth kept
aside); a 2D pose network learns the keypoints; the annotator f starts from it and learns from all three sets; f
annotates the wild pictures that it learned from, as it is and with a few steps of fitting from there to the keypoints;
the bodies are held against the truth, beside those that `pgtfast.fit` finds for the same keypoints. Run twice, it
recognises what is finished. No download, no
licensed file: body and prior are those in the package.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import pgtfast
from pgtfast.formats import read_records
from pgtfast.synth import read_truth
from pgtfast.visuals import contact_sheet, render_overlay
from pgtfast.visuals.overlay import side_view

ROOT = Path(__file__).resolve().parents[1]
PARAMETERS = ("global_orient", "body_pose", "betas", "transl")
REFINE = 30
"""Steps from f's bodies to the keypoints."""
QUICK = {"images": 8, "pose_steps": 2, "steps": 2, "overlays": 1}
"""Sizes that show nothing but that everything runs."""


def main() -> int:
    """Make, learn, annotate, measure."""
    options = parse()
    out, world = options.out, options.out / "world"
    wild, annotations = world / "wild", world / "wild/annotations/person_keypoints_train2017.json"
    started = time.perf_counter()
    command("pgtfast.synth", world, "--images", options.images)
    command(
        "pgtfast.train", "python_training.pose2d:tiny", "--datasets.coco", wild, "--out", out / "pose2d",
        *training(options.pose_steps, options.quick),
    )  # fmt: skip
    command(
        "pgtfast.train", "python_training.annotator:tiny", "--datasets.h36m", world / "studio", "--datasets.coco", wild,
        "--datasets.pw3d", world / "bridge", "--pose-network", out / "pose2d", "--out", out / "f",
        *training(options.steps, options.quick),
    )  # fmt: skip
    annotate = ("pgtfast.annotate", "--checkpoint", out / "f", "--coco", annotations, "--images", wild / "train2017")
    command(*annotate, "--out", out / "annotated")
    command(
        *annotate,
        "--refine",
        REFINE,
        "--overlays",
        options.overlays,
        "--export",
        "neuralannot",
        "--out",
        out / "refined",
    )
    command("pgtfast.fit", "--coco", annotations, "--out", out / "fitted")
    command(
        "pgtfast.evaluate", "synth", "--predictions", out / "refined", "--against", out / "annotated", out / "fitted",
        "--world", world,
        "--split", "wild", "--json", out / "result.json",
    )  # fmt: skip
    torch.set_num_threads(2)
    result = json.loads((out / "result.json").read_text())
    draw_against_truth(out / "against_truth.jpg", result["runs"]["refined"]["per_person"], out / "refined", world)
    report(result, out)
    print(f"\n{time.perf_counter() - started:.0f} s in all")
    return 0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--out", type=Path, default=Path("demo"), help="folder of everything (default: demo)")
    add("--images", type=int, help="wild pictures of the world, and as many of the studio (default: 800)")
    add("--pose-steps", type=int, help="steps of the 2D pose network (default: 1600)")
    add("--steps", type=int, help="steps of the annotator (default: 1000)")
    add("--overlays", type=int, help="pictures drawn with their bodies (default: 18)")
    add("--quick", action="store_true", help="smallest sizes: only shows that everything runs")
    options = parser.parse_args()
    sizes = QUICK if options.quick else {"images": 800, "pose_steps": 1600, "steps": 1000, "overlays": 18}
    for name, size in sizes.items():
        if getattr(options, name) is None:
            setattr(options, name, size)
    return options


def training(steps: int, quick: bool) -> list[object]:
    """Further arguments of a training."""
    return ["--steps", steps, *(["--batch-size", 8, "--warmup-steps", 0] if quick else [])]


def command(module: str, *arguments: object) -> None:
    """Run one command of the package as a user would; stop where it stops."""
    line = [sys.executable, "-m", module, *map(str, arguments)]
    print(f"\n$ {shlex.join(['python', *line[1:]])}", flush=True)
    # the recipes lie beside this file's folder, wherever this is run
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    code = subprocess.run(line, check=False, env={**os.environ, "PYTHONPATH": path}).returncode
    if code:
        sys.exit(code)


def draw_against_truth(path: Path, people: list[dict], run: Path, world: Path, count: int = 12) -> None:
    """Draw people from the best to the worst: photo, the body over it, and from the side the body (left) and the truth
    (right).
    """
    order = sorted(people, key=lambda person: person["pa_mpjpe_mm"])
    chosen = [order[at] for at in np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))]
    rows = {row["annotation_id"]: row for row in read_records(run).to_pylist()}
    truth = read_truth(world / "truth" / "wild.npz")
    place = {int(number): at for at, number in enumerate(truth.annotation_id)}
    body = pgtfast.load_body("free")
    pictures = []
    for person in chosen:
        row, at = rows[person["annotation_id"]], place[person["annotation_id"]]
        found = body(**{name: torch.tensor(row[name]) for name in PARAMETERS}).vertices.numpy()
        true = body(
            **{name: torch.from_numpy(getattr(truth, name)[at]).float() for name in PARAMETERS}
        ).vertices.numpy()
        photo = np.asarray(Image.open(world / "wild/train2017" / row["image_path"]))
        caption = (
            f"{person['annotation_id']}: PA-MPJPE {person['pa_mpjpe_mm']:.0f} mm, turned "
            f"{person['turned_degrees']} degrees"
        )
        seen = render_overlay(
            photo, found[None], body.faces, focal=row["focal"], center=row["center"],
            keypoints=np.array([row["landmarks_2d"]]), captions=[caption],
        )[:, : 2 * photo.shape[1]]  # fmt: skip
        # the side view goes from far to near
        pair = np.stack([found - found.mean(0) + (0, 0, 1), true - true.mean(0)])
        pictures.append(np.concatenate((seen, side_view(pair, body.faces, size=(photo.shape[1], seen.shape[0]))), 1))
    Image.fromarray(contact_sheet(pictures, columns=2, cell=(816, 288))).save(path, quality=90)


def report(result: dict, out: Path) -> None:
    """Say where to look."""
    f, refined, fit = (result["runs"][name]["errors"]["pa_mpjpe_mm"] for name in ("annotated", "refined", "fitted"))
    mean = result["one standing body for all"]
    print(
        f"\nPA-MPJPE of the pseudo-GTs: {f:.1f} mm by f, {refined:.1f} mm by f and {REFINE} steps to the keypoints, "
        f"{fit:.1f} mm fitted from nothing, "
        f"{mean['pa_mpjpe_mm']:.1f} mm for one standing body; f saw 2D keypoints of these people, never their 3D"
    )
    print(
        "  a demo: minutes of training on few pictures, too few for f to meet fitting; docs/results/recipes.md says "
        "more"
    )
    print("\nlook at")
    for name, what in (
        ("world/wild/contact_sheet.jpg", "the pictures to annotate"),
        ("refined/contact_sheet.jpg", "photo with keypoints, the refined bodies over it, and the bodies from the side"),
        (
            "against_truth.jpg",
            "from the best to the worst: the refined body over the photo; from the side the body and the truth",
        ),
        ("result.json", "all numbers, and the error of each person"),
        ("refined/export", "the pseudo-GTs as other programs read them"),
    ):
        print(f"  {out / name!s:48s}  {what}")


if __name__ == "__main__":
    sys.exit(main())
