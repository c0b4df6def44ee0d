"""What `benchmarks.annotate` annotates: a network, and pictures shown as often as there shall be people."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from pgtfast._errors import PgtfastError
from pgtfast.networks import Annotator, NetworkConfig
from pgtfast.networks.files import save_annotator

UNTRAINED = {
    "resnet18": NetworkConfig(
        depth=18, width=16, output_stride=16, input_size=(96, 128), mode="improved", normalize="imagenet"
    ),
    "resnet50": NetworkConfig(),
}
"""Networks by name: that of the recipes for small machines, and Pose2Pose's."""
DRAWN = 32
"""Pictures that are drawn where none are given."""


class Repeated(NamedTuple):
    """A set of pictures, several times over."""

    coco: Path
    images: Path
    """Folder with a link to the pictures for each time."""
    pictures: int
    """In all."""


class Given(NamedTuple):
    """Files of a network."""

    checkpoint: Path
    engine: Path
    """What the engine opens."""
    precision: Literal["fp32", "fp16"] = "fp32"
    """That "torch" is asked for; an engine file has its own."""


def prepare(args: argparse.Namespace, scratch: Path, *, people: int = 0, images: int = 0) -> tuple[Repeated, Given]:
    """The set that has at least so many people or images, and the network."""
    coco, folder = given_set(args, scratch)
    given = network_files(args, coco, folder, scratch)
    return repeat(coco, folder, scratch / "set", people=people, images=images), given


def network_files(args: argparse.Namespace, coco: Path, images: Path, scratch: Path) -> Given:
    """The checkpoint, and for other engines than "torch" a file that is exported here."""
    checkpoint = Path(args.network)
    if args.network in UNTRAINED:
        checkpoint = scratch / "annotator.ckpt"
        save_annotator(checkpoint, untrained(UNTRAINED[args.network]), sets=("p2p25", "coco17"))
    if args.engine == "torch":
        return Given(checkpoint, checkpoint, args.precision or "fp32")
    if args.engine_file is not None:
        return Given(checkpoint, args.engine_file)
    made = scratch / "engine"
    command = ["--checkpoint", checkpoint, "--engine", args.engine, "--out", made, "--coco", coco, "--images", images]
    if args.precision is not None:
        command += ["--precision", args.precision]
    done = subprocess.run([sys.executable, "-m", "pgtfast.export", *map(str, command)], capture_output=True, text=True)
    if done.returncode:
        raise PgtfastError(f"--engine {args.engine}: the export failed: {(done.stderr or done.stdout).strip()[-800:]}")
    return Given(checkpoint, made)


def untrained(config: NetworkConfig) -> Annotator:
    """A network of random weights whose bodies stand well before the camera: beside it pixels are a matter of rounding,
    and exports are refused."""
    torch.manual_seed(0)
    network = Annotator(config)
    camera = network.rotation_net.cam_out[0]
    assert isinstance(camera, torch.nn.Linear)
    torch.nn.init.zeros_(camera.weight)
    return network


def given_set(args: argparse.Namespace, scratch: Path) -> tuple[Path, Path]:
    """COCO annotations and their pictures, drawn where none are given."""
    if args.coco is not None:
        return args.coco, args.images
    from pgtfast.synth import WorldConfig, make_world

    make_world(scratch / "world", WorldConfig(images=DRAWN, sets=("wild",), width=640, height=480), progress=False)
    root = scratch / "world" / "wild"
    (coco,) = (root / "annotations").glob("person_keypoints_*.json")
    return coco, root / "train2017"


def repeat(coco: Path, pictures: Path, folder: Path, *, people: int = 0, images: int = 0) -> Repeated:
    """Write annotations that show a set again and again, each time under other names.

    Args:
        coco: its annotations.
        pictures: their folder; those that are not there are left out.
        folder: to write to.
        people: at least so many.
        images: at least so many.
    """
    content = json.loads(coco.read_text(encoding="utf-8"))
    there = [entry for entry in content["images"] if (pictures / entry["file_name"]).is_file()]
    shown = {entry["id"] for entry in there}
    persons = [entry for entry in content["annotations"] if entry["image_id"] in shown and not entry.get("iscrowd")]
    held = {entry["image_id"] for entry in persons}
    there = [entry for entry in there if entry["id"] in held]
    if not there:
        raise PgtfastError(f"--images: no picture of a person that {coco} names is in {pictures}")
    times = max(1, -(-people // len(persons)), -(-images // len(there)))
    (folder / "images").mkdir(parents=True)
    number = {entry["id"]: at for at, entry in enumerate(there)}
    kept = ("bbox", "keypoints", "num_keypoints", "area", "iscrowd", "category_id")

    def shots() -> Any:
        for copy in range(times):
            (folder / "images" / f"{copy:06d}").symlink_to(pictures.resolve())
            for at, entry in enumerate(there):
                name = f"{copy:06d}/{entry['file_name']}"
                yield {
                    "id": copy * len(there) + at,
                    "file_name": name,
                    "width": entry["width"],
                    "height": entry["height"],
                }

    def bodies() -> Any:
        for copy in range(times):
            for at, entry in enumerate(persons):
                place = {"id": copy * len(persons) + at, "image_id": copy * len(there) + number[entry["image_id"]]}
                yield {**place, **{key: entry[key] for key in kept if key in entry}}

    path = folder / "repeated.json"
    with open(path, "w", encoding="utf-8") as file:
        for opening, entries in (('{"images": [', shots()), ('], "annotations": [', bodies())):
            file.write(opening)
            for at, entry in enumerate(entries):
                file.write((", " if at else "") + json.dumps(entry))
        file.write("]}")
    return Repeated(path, folder / "images", times * len(there))
