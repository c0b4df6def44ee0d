"""What a report needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from .._config import MOST, Option, check


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Makes one HTML page of a run of fit or annotate: numbers, plots, a list of people to filter, and pictures of the
    best, the median and the worst.
    With --against the bodies of two runs are compared on the people that both have. --viewer and --rrd show images,
    keypoints, cameras and bodies
    in Rerun instead; with --out they make the page too.
    """

    run: Annotated[Path, Option("RUN", positional=True)]
    """folder of a run of fit or annotate"""
    against: Annotated[Path | None, Option("RUN2")] = None
    """a second run: both are compared on the people of the same dataset, image and annotation id"""
    out: Annotated[Path | None, Option("DIR")] = None
    """folder of the page, DIR/index.html (default: RUN/report)"""
    images: Annotated[Path | None, Option("DIR")] = None
    """folder of the images (default: the one that run.json names; without images bodies are drawn on grey)"""
    body: Annotated[tuple[str, ...], Option("PATH")] = ()
    """files of the bodies that are not in the package; each run takes the one whose sha256 its run.json names"""
    min_quality: Annotated[float | None, Option("Q", low=0, high=1, unit="quality")] = None
    """also show both sides of a cut: people of a quality of Q and more, and those below"""
    people: Annotated[int, Option("N", low=1, high=1000, unit="people")] = 12
    """pictures of each kind: best, median, worst"""
    sample: Annotated[int, Option("N", low=10, high=50_000, unit="people")] = 2000
    """people listed in the page at most, drawn by chance; numbers and histograms are of all"""
    viewer: bool = False
    """open the run in Rerun"""
    rrd: Annotated[Path | None, Option("FILE")] = None
    """write the recording for Rerun to FILE in place of opening it"""
    viewer_images: Annotated[int, Option("N", low=1, high=MOST, unit="images")] = 50
    """images in the recording, drawn by chance"""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class ReportResult:
    """What a report wrote."""

    page: Path | None
    """None where only the viewer was asked for."""
    people: int
    """People of the run that the page shows."""
