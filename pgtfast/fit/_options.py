"""The command line of ``python -m pgtfast.fit``."""

from __future__ import annotations

import argparse

from .._options import add_extras, add_quality, check_extras, count, number

METHODS = ("smplify",)
SOLVERS = ("adam",)

DESCRIPTION = """Fits a body to each annotated person of a COCO keypoints file. RUN gets annotations/*.parquet (one row a person, skipped people
with their reason), run.json and, where asked for, overlays/ and an exported file. The same command takes up an unfinished run."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse; bad usage ends the program with code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m pgtfast.fit", description=DESCRIPTION, epilog="--debug shows the traceback of an error."
    )
    add = parser.add_argument
    add("--coco", required=True, metavar="ANN.json", help="COCO person keypoints: images and annotations")
    add("--images", metavar="DIR", help="folder of the images; only overlays read them")
    add("--out", required=True, metavar="RUN", help="folder of the run; made if absent, never overwritten")
    add("--dataset", metavar="NAME", help="first part of each person's key (default: name of ANN.json)")
    add(
        "--body",
        default="free",
        metavar="PATH|free",
        help="body model file of SMPL's 24 joints (default: free, the body in the package)",
    )
    add(
        "--prior",
        default="free",
        metavar="PATH|free",
        help="VPoser v1 or v2 folder or file (default: free, the prior in the package)",
    )
    add("--method", choices=METHODS, default="smplify", help="how to fit (default: smplify)")
    add("--pose-space", choices=("latent", "axis-angle"), default="latent",
        help="unknowns of the pose: the prior's latent, or rotation vectors with joint limits and without a prior (default: latent)")  # fmt: skip
    add("--solver", choices=SOLVERS, default="adam", help="optimiser (default: adam)")
    add("--steps", type=count(1, "steps"), default=100, metavar="N", help="steps of the second stage (default: 100)")
    add(
        "--starts",
        type=number(1, 64, "starts", int),
        default=6,
        metavar="N",
        help="first orientations a person, spread over the circle (default: 6)",
    )
    add(
        "--batch-size",
        type=count(1, "people"),
        default=512,
        metavar="N",
        help="people fitted at once and written as one part (default: 512)",
    )
    add(
        "--focal",
        type=number(1, 1e7, "pixels"),
        metavar="PX",
        help="focal length of every image, pixels (default: the image's diagonal)",
    )
    add(
        "--intrinsics",
        metavar="JSON",
        help='{"focal": [fx, fy], "center": [cx, cy]} in pixels, or an object of such objects keyed by file_name',
    )
    add("--min-keypoints", type=number(3, 17, "keypoints", int), default=6, metavar="N",
        help="people with fewer are skipped (default: 6; two of them shoulders or hips)")  # fmt: skip
    add("--min-confidence", type=number(0, 1, "confidence"), default=0.1, metavar="C",
        help="keypoints below are left out; hidden ones (v = 1) have 0.5, visible ones 1 (default: 0.1)")  # fmt: skip
    add_quality(parser)
    add("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    add("--threads", type=count(1, "threads"), metavar="N", help="CPU threads (default: as torch chooses)")
    add_extras(parser)
    add("--limit", type=count(1, "people"), metavar="N", help="only the first N people of the file")
    options = parser.parse_args(arguments)
    check_extras(parser, options)
    if options.focal is not None and options.intrinsics is not None:
        parser.error("--focal and --intrinsics: give one of them")
    if options.overlays and options.images is None:
        parser.error("--overlays: needs --images DIR")
    return options
