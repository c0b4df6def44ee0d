"""What `pgtfast synth` makes, and where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from .._config import MOST, Option, check
from .._options import needing

if TYPE_CHECKING:
    from .world import World


_SETS_AND_FILES = """\
OUT/studio   few people who do a few upright things in a plain room, four calibrated cameras, 3D joints and bodies
             (as Human3.6M)
OUT/wild     many people in many poses, clothes and places, hidden and cut off; 2D keypoints only (as COCO)
OUT/bridge   looks like wild, has bodies (as 3DPW)
OUT/test     more of wild that nothing trains on (as COCO)
OUT/truth    {wild,test}.npz: their hidden truth by annotation id, bodies and cameras in metres, radians and pixels
             (pgtfast.synth.read_truth); nothing that fits or trains opens it
OUT/run.json config and versions

Each set has pgtfast_world.json, which names the body, and contact_sheet.jpg, its first 48 images; wild and test have
cameras.json (--intrinsics of pgtfast.fit). pgtfast.datasets reads the sets as h36m, coco, pw3d and coco.

The same options give the same files, however many workers make them. A finished world is recognised, an unfinished
one is completed, one of another config is refused."""


def _sets(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in re.split(r"[,\s]+", text) if name))


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        raise ValueError(f"wanted WIDTHxHEIGHT in pixels such as 320x256, got {text!r}")
    return int(match[1]), int(match[2])


def _span(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text)
    if not match:
        raise ValueError(f"wanted A..B or one number such as 1..3, got {text!r}")
    return int(match[1]), int(match[2] or match[1])


@dataclass(frozen=True, kw_only=True)
class SynthConfig:
    """Make a free synthetic world: images of the free body, in the file formats of real data sets."""

    EPILOG: ClassVar[str] = _SETS_AND_FILES
    out: Annotated[Path, Option("OUT", positional=True)]
    """folder of the world"""
    images: Annotated[int, Option("N")] = 100
    """images of wild"""
    studio: Annotated[int | None, Option("N")] = None
    """images of the studio (default: as of wild)"""
    bridge: Annotated[int | None, Option("N")] = None
    """images of the bridge (default: an eighth of wild's)"""
    test: Annotated[int | None, Option("N")] = None
    """images of the test (default: a quarter of wild's)"""
    sets: Annotated[tuple[str, ...], Option("A,B", parse=_sets)] = ("studio", "wild", "bridge", "test")
    """which sets to make (default: studio,wild,bridge,test)"""
    poses: Annotated[Path | None, Option("NPZ")] = None
    """recorded SMPL poses that half of the people of wild, bridge and test take: poses (N, 24, 3), src (N,) names the
    clip of each"""
    size: Annotated[tuple[int, int], Option("WxH", parse=_size)] = (256, 256)
    """width and height, pixels (default: 256x256)"""
    seed: Annotated[int, Option("N")] = 0
    """of everything drawn"""
    people: Annotated[tuple[int, int], Option("A..B", parse=_span)] = (1, 3)
    """people in an image, fewest..most (default: 1..3)"""
    keypoint_noise: Annotated[float, Option("PX", unit="pixels")] = 1.0
    """standard deviation of annotated keypoints, pixels; more where hidden"""
    temperature: Annotated[float, Option("T")] = 1.1
    """spread of the poses but the studio's: 0 all alike, 1 the prior's own"""
    workers: Annotated[int, Option("N", low=0, high=MOST, unit="processes")] = 2
    """processes, 0 to use this one"""
    quiet: bool = False
    """no progress bar"""

    def __post_init__(self) -> None:
        check(self)


def synth(config: SynthConfig) -> World:
    """Make a world, or complete it; prints where to look.

    Raises:
        PgtfastError: a value out of bounds, a folder of something else, or a world of another config.
    """
    with needing("annotate,report", "synth"):
        from .world import SHEET, WorldConfig, make_world
    world = make_world(
        config.out,
        WorldConfig(
            images=config.images,
            studio=config.studio,
            bridge=config.bridge,
            test=config.test,
            sets=config.sets,
            width=config.size[0],
            height=config.size[1],
            seed=config.seed,
            people_min=config.people[0],
            people_max=config.people[1],
            keypoint_noise=config.keypoint_noise,
            temperature=config.temperature,
            poses=config.poses,
        ),
        workers=config.workers,
        progress=not config.quiet,
    )
    state = "made" if world.made else "found, finished before"
    for kind, images in world.images.items():
        sheet = world.out / kind / SHEET
        print(f"{kind}: {state}: {images} images, {world.people[kind]} annotated people; look at {sheet}")
    return world
