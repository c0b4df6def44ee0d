"""The command line of ``python -m pgtfast.annotate``."""

from __future__ import annotations

import argparse

from .._options import count, number

ENGINES = ("torch",)
NOT_YET = ("onnxruntime", "tensorrt", "tensorrt-rtx")
EXPORTS = ("neuralannot",)

DESCRIPTION = """Finds a body for each annotated person of a dataset with a trained annotator: one crop a person, one pass of the network. It needs a
box; keypoints, where there are any, only measure the result. RUN gets annotations/*.parquet (one row a person, skipped people with their reason),
run.json and, where asked for, overlays/ and an exported file. The same command takes up an unfinished run."""


def _engine(name: str) -> str:
    if name in NOT_YET:
        raise argparse.ArgumentTypeError(f"{name} is not yet built; there is {', '.join(ENGINES)}")
    if name not in ENGINES:
        raise argparse.ArgumentTypeError(
            f"wanted {', '.join(ENGINES)} (not yet built: {', '.join(NOT_YET)}), got {name!r}"
        )
    return name


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse; bad usage ends the program with code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m pgtfast.annotate", description=DESCRIPTION, epilog="--debug shows the traceback of an error."
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        required=True,
        metavar="CKPT",
        help="folder of a finished run of pgtfast.train, or one of its files",
    )
    add("--coco", metavar="ANN.json", help="COCO person keypoints: images and annotations")
    add("--images", metavar="DIR", help="folder of the images of --coco")
    add("--root", metavar="DIR", help="in place of --coco: root folder of a dataset of the kind --dataset")
    add("--dataset", metavar="NAME|KIND",
        help="with --coco: first part of each person's key (default: name of ANN.json); with --root: kind of the dataset, such as mpii, lspet, pw3d")  # fmt: skip
    add("--split", default="train", help="with --root: which part of the dataset (default: train)")
    add("--out", required=True, metavar="RUN", help="folder of the run; made if absent, never overwritten")
    add("--engine", type=_engine, default="torch", metavar="NAME", help="what runs the network: torch (default)")
    add("--body", metavar="PATH|free", help="body model file (default: the one the network was trained with)")
    add("--prior", metavar="PATH|free", help="VPoser folder or file (default: the one the network was trained with)")
    add(
        "--batch-size",
        type=count(1, "people"),
        default=64,
        metavar="N",
        help="people that pass the network at once (default: 64)",
    )
    add("--part-size", type=count(1, "people"), default=1024, metavar="N",
        help="people written as one part; what a killed run repeats at most (default: 1024)")  # fmt: skip
    add("--flip-test", action="store_true",
        help="also annotate the mirrored crop and note how far the joints of the two lie apart, millimetres; twice the time")  # fmt: skip
    add("--jitter", type=count(0, "crops"), default=0, metavar="N",
        help="also annotate N moved and scaled copies of each crop and note how far the joints lie apart, millimetres (default: 0)")  # fmt: skip
    add(
        "--quality",
        metavar="FILE",
        help="calibration of the quality, of pgtfast.evaluate --calibrate (default: the one in the package)",
    )
    add("--exif", action="store_true", help="turn photos as their EXIF orientation says (COCO's annotations do not)")
    add("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    add("--threads", type=count(1, "threads"), metavar="N", help="CPU threads (default: as torch chooses)")
    add(
        "--loader-threads",
        type=number(1, 256, "threads", int),
        default=2,
        metavar="N",
        help="threads that read and crop photos (default: 2)",
    )
    add(
        "--overlays",
        type=count(0, "images"),
        default=0,
        metavar="N",
        help="draw N of the images with their bodies, and a contact sheet (default: 0)",
    )
    add("--export", choices=EXPORTS, help="also write the valid people in this format")
    add("--limit", type=count(1, "people"), metavar="N", help="only the first N people")
    options = parser.parse_args(arguments)
    if (options.coco is None) == (options.root is None):
        parser.error("--coco, --root: give one of them")
    if options.coco is not None and options.images is None:
        parser.error("--coco: needs --images DIR")
    if options.root is not None and options.dataset is None:
        parser.error("--root: needs --dataset KIND")
    if options.root is not None and options.images is not None:
        parser.error("--images: --root knows its images")
    return options
