"""``python -m pgtfast.synth OUT [--images N] ...``."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from .._cli import run
from .._errors import PgtfastError

_ABOUT = """Make a free synthetic world: pictures of the free body, in the file formats of real data sets.

OUT/studio   few people who do a few upright things in a plain room, four calibrated cameras, 3D joints and bodies (as Human3.6M)
OUT/wild     many people in many poses, clothes and places, hidden and cut off; 2D keypoints only (as COCO)
OUT/bridge   looks like wild, has bodies (as 3DPW)
OUT/test     more of wild that nothing trains on (as COCO)
OUT/truth    {wild,test}.npz: their hidden truth by annotation id, bodies and cameras in metres, radians and pixels
             (pgtfast.synth.read_truth); nothing that fits or trains opens it
OUT/run.json config and versions

Each set has pgtfast_world.json, which names the body, and contact_sheet.jpg, its first 48 pictures; wild and test have
cameras.json (--intrinsics of pgtfast.fit). pgtfast.data.open_dataset reads the sets as h36m, coco, pw3d and coco.

The same options give the same files, however many workers make them. A finished world is recognised, an unfinished
one is completed, one of another config is refused."""


def main(arguments: list[str] | None = None) -> int:
    """Make a world; returns the exit code."""
    return run("synth", _synth, arguments)


def _synth(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "python -m pgtfast.synth", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder of the world")
    parser.add_argument("--images", type=int, default=100, metavar="N", help="pictures of wild (default %(default)s)")
    parser.add_argument("--studio", type=int, metavar="N", help="pictures of the studio (default: as of wild)")
    parser.add_argument("--bridge", type=int, metavar="N", help="pictures of the bridge (default: an eighth of wild's)")
    parser.add_argument("--test", type=int, metavar="N", help="pictures of the test (default: a quarter of wild's)")
    parser.add_argument(
        "--sets", type=_sets, metavar="A,B", help="which sets to make (default: studio,wild,bridge,test)"
    )
    parser.add_argument(
        "--poses", type=Path, metavar="NPZ",
        help="recorded SMPL poses that half of the people of wild, bridge and test take: poses (N, 24, 3), src (N,) names the clip of each",
    )  # fmt: skip
    parser.add_argument(
        "--size", type=_size, default=(256, 256), metavar="WxH", help="width and height, pixels (default 256x256)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn (default %(default)s)")
    parser.add_argument(
        "--people", type=_span, default=(1, 3), metavar="A..B", help="people in a picture, fewest..most (default 1..3)"
    )
    parser.add_argument(
        "--keypoint-noise", type=float, default=1.0, metavar="PX",
        help="standard deviation of annotated keypoints, pixels; more where hidden (default %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--temperature", type=float, default=1.1, metavar="T",
        help="spread of the poses but the studio's: 0 all alike, 1 the prior's own (default %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="processes, 0 to use this one (default %(default)s)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    options = parser.parse_args(arguments)
    if options.workers < 0:
        raise PgtfastError(f"--workers: wanted 0 or more, got {options.workers}")
    try:
        from .world import SETS, SHEET, WorldConfig, make_world
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("pgtfast"):
            raise
        raise PgtfastError(f"{error.name} is not installed: pip install 'pgtfast[annotate,report]'") from error
    config = WorldConfig(
        images=options.images,
        studio=options.studio,
        bridge=options.bridge,
        test=options.test,
        sets=options.sets or SETS,
        width=options.size[0],
        height=options.size[1],
        seed=options.seed,
        people_min=options.people[0],
        people_max=options.people[1],
        keypoint_noise=options.keypoint_noise,
        temperature=options.temperature,
        poses=options.poses,
    )
    world = make_world(options.out, config, workers=options.workers, progress=not options.quiet)
    state = "made" if world.made else "found, finished before"
    for kind, images in world.images.items():
        print(
            f"{kind}: {state}: {images} images, {world.people[kind]} annotated people; look at {world.out / kind / SHEET}"
        )
    return 0


def _sets(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in re.split(r"[,\s]+", text) if name))


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"wanted WIDTHxHEIGHT in pixels such as 320x256, got {text!r}")
    return int(match[1]), int(match[2])


def _span(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text)
    if not match:
        raise argparse.ArgumentTypeError(f"wanted A..B or one number such as 1..3, got {text!r}")
    return int(match[1]), int(match[2] or match[1])


if __name__ == "__main__":
    sys.exit(main())
