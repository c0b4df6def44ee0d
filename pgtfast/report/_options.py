"""The command line of ``python -m pgtfast.report``."""

from __future__ import annotations

import argparse

from .._options import count, number

DESCRIPTION = """Makes one HTML page of a run of fit or annotate: numbers, plots, a list of people to filter, and pictures of the best, the median and
the worst. With --against the bodies of two runs are compared on the people that both have. --viewer and --rrd show photos, keypoints, cameras and
bodies in Rerun instead; with --out they make the page too."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse; bad usage ends the program with code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m pgtfast.report", description=DESCRIPTION, epilog="--debug shows the traceback of an error."
    )
    add = parser.add_argument
    add("run", metavar="RUN", help="folder of a run of fit or annotate")
    add("--against", metavar="RUN2", help="a second run: both are compared on the people of the same dataset, image and annotation id")  # fmt: skip
    add("--out", metavar="DIR", help="folder of the page, DIR/index.html (default: RUN/report)")
    add("--images", metavar="DIR",
        help="folder of the images (default: the one that run.json names; without photos bodies are drawn on grey)")  # fmt: skip
    add("--body", nargs="+", default=[], metavar="PATH",
        help="files of the bodies that are not in the package; each run takes the one whose sha256 its run.json names")  # fmt: skip
    add("--min-quality", type=number(0, 1, "quality"), metavar="Q",
        help="also show both sides of a cut: people of a quality of Q and more, and those below")  # fmt: skip
    add("--people", type=number(1, 1000, "people", int), default=12, metavar="N",
        help="pictures of each kind: best, median, worst (default: 12)")  # fmt: skip
    add("--sample", type=number(10, 50_000, "people", int), default=2000, metavar="N",
        help="people listed in the page at most, drawn by chance; numbers and histograms are of all (default: 2000)")  # fmt: skip
    add("--viewer", action="store_true", help="open the run in Rerun")
    add("--rrd", metavar="FILE", help="write the recording for Rerun to FILE in place of opening it")
    add("--viewer-images", type=count(1, "images"), default=50, metavar="N",
        help="images in the recording, drawn by chance (default: 50)")  # fmt: skip
    return parser.parse_args(arguments)
