"""``python -m pgtfast.synth OUT [--images N] ...``."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from .._cli import run
from .._errors import PgtfastError

_ABOUT = """Make a free synthetic world: pictures of the free body in poses of the free prior, annotated like COCO.

OUT/images/*.jpg         the pictures
OUT/annotations.json     COCO person keypoints: 17 keypoints (v = 2 visible, 1 hidden, 0 outside), boxes of what is seen
OUT/cameras.json         focal length and principal point of each picture, pixels (--intrinsics of pgtfast.fit)
OUT/truth.npz            the hidden truth by annotation id: bodies and cameras in metres, radians and pixels
                         (pgtfast.synth.read_truth); nothing that fits or trains opens it
OUT/contact_sheet.jpg    the first 48 pictures
OUT/run.json             config and versions

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
    parser.add_argument("--images", type=int, default=100, metavar="N", help="pictures (default %(default)s)")
    parser.add_argument(
        "--size", type=_size, default=(320, 256), metavar="WxH", help="width and height, pixels (default 320x256)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn (default %(default)s)")
    parser.add_argument(
        "--people", type=_span, default=(1, 3), metavar="A..B", help="people in a picture, fewest..most (default 1..3)"
    )
    parser.add_argument(
        "--keypoint-noise", type=float, default=1.0, metavar="PX",
        help="standard deviation of annotated keypoints, pixels; twice that where hidden (default %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--temperature", type=float, default=1.0, metavar="T",
        help="spread of the poses: 0 all alike, 1 the prior's own (default %(default)s)",
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
        from .world import ANNOTATIONS, SHEET, WorldConfig, make_world
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("pgtfast"):
            raise
        raise PgtfastError(f"{error.name} is not installed: pip install 'pgtfast[annotate,report]'") from error
    config = WorldConfig(
        images=options.images,
        width=options.size[0],
        height=options.size[1],
        seed=options.seed,
        people_min=options.people[0],
        people_max=options.people[1],
        keypoint_noise=options.keypoint_noise,
        temperature=options.temperature,
    )
    world = make_world(options.out, config, workers=options.workers, progress=not options.quiet)
    state = "made" if world.made else "found, finished before"
    print(f"{state}: {world.images} images, {world.people} annotated people: {world.out / ANNOTATIONS}")
    print(f"look at {world.out / SHEET}")
    return 0


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
