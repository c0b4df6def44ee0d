"""The command as users run it: several processes, and what it never opens."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("lightning", reason="the extra `train` is not installed")
pytest.importorskip("nvidia.dali", reason="the extra `train` is not installed")

RECIPES = {
    "pose2d": ("python_training.pose2d:tiny", ["--width", "8", "--deconv-channels", "8", "--crop-size", "64", "96"]),
    "annotator": (
        "python_training.annotator:tiny",
        ["--no-recipe-2", "--network.width", "8", "--network.input-size", "64", "96"],
    ),
}
COMMON = [
    "--batch-size",
    "8",
    "--steps",
    "3",
    "--warmup-steps",
    "0",
    "--batchnorm",
    "frozen",
    "--precision",
    "32-true",
    "--accelerator",
    "cpu",
    "--loader-threads",
    "1",
    "--threads",
    "1",
    "--log-every",
    "1",
    "--overlay-every",
    "0",
]


def words(kind, world, out):
    recipe, more = RECIPES[kind]
    sets = ["--datasets.coco", str(world / "wild")]
    if kind == "annotator":
        sets += ["--datasets.h36m", str(world / "studio"), "--datasets.pw3d", str(world / "bridge")]
    return [recipe, *sets, *more, *COMMON, "--out", str(out)]


def call(command):
    environment = {k: v for k, v in os.environ.items() if k not in ("WORLD_SIZE", "RANK", "LOCAL_RANK")}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**environment, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", RECIPES)
def test_two_processes_have_the_losses_of_one(kind, world, tmp_path):
    call([sys.executable, "-m", "pgtfast.train", *words(kind, world, tmp_path / "one")])
    call(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc_per_node",
            "2",
            "-m",
            "pgtfast.train",
            *words(kind, world, tmp_path / "two"),
        ]
    )
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    assert len(one) == len(two) == 3
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        for name in a.keys() - {"images_per_second", "group"}:
            close = {"abs": 0.2} if name == "error_px" else {"rel": 2e-5, "abs": 1e-7}  # peaks of maps jump by a cell
            assert b[name] == pytest.approx(a[name], **close), (a["step"], name)


SKIPS = """
import os, sys
from torch import distributed
from pgtfast.loading.loader import Skipped
from pgtfast.train._fabric import skipped_by_all
distributed.init_process_group("gloo")
rank = distributed.get_rank()
mine = [Skipped("wild", "b.jpg", 7, "empty"), Skipped("wild", f"{rank}.jpg", rank, "damaged: cut")]
found = skipped_by_all(mine)
assert found == skipped_by_all(found)
assert [person.image_path for person in found] == ["0.jpg", "1.jpg", "b.jpg"], found
open(os.path.join(sys.argv[1], str(rank)), "w").write("right")
distributed.destroy_process_group()
"""


def test_bad_images_skipped_by_all_are_reported(tmp_path):
    script = tmp_path / "skips.py"
    script.write_text(SKIPS)
    call(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc_per_node",
            "2",
            str(script),
            str(tmp_path),
        ]
    )
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["right", "right"]


WATCHED = """
import sys
opened = []
def hook(event, args):
    if event == "open" and isinstance(args[0], (str, bytes)):
        opened.append(str(args[0]))
        if "/truth/" in str(args[0]) or str(args[0]).endswith("truth"):
            raise SystemExit(f"opened {args[0]}")
sys.addaudithook(hook)
from pgtfast.train.__main__ import main
code = main(sys.argv[1:])
print(sum("person_keypoints" in name for name in opened), "annotation files seen")
sys.exit(code)
"""


@pytest.mark.parametrize("kind", RECIPES)
def test_training_never_opens_the_truth(kind, world, tmp_path):
    assert list((world / "truth").iterdir())
    more = ["--held-out-every", "2", "--validate-every", "2"]
    output = call([sys.executable, "-c", WATCHED, *words(kind, world, tmp_path / "run"), *more])
    assert "0 annotation files seen" not in output
    assert "annotation files seen" in output
