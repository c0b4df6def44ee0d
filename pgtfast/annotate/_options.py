"""The command line of ``python -m pgtfast.annotate``."""

from __future__ import annotations

import argparse

from .._options import add_extras, add_quality, check_extras, count, number
from ..engines import ENGINES
from ..engines.lowered import PRECISIONS

WORKERS = ("processes", "ray")

DESCRIPTION = """Finds a body for each annotated person of a dataset with a trained annotator: one crop a person, one pass of the network. It needs a
box; keypoints, where there are any, measure the result, and refine it with --refine. RUN gets annotations/*.parquet (one row a person, skipped people with
their reason), run.json and, where asked for, overlays/ and an exported file. The same command takes up an unfinished run, however it ended; Ctrl-C and
SIGTERM end it after the shards in work, a second one at once."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse; bad usage ends the program with code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m pgtfast.annotate", description=DESCRIPTION, epilog="--debug shows the traceback of an error."
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        required=True,
        metavar="CKPT|ENGINE",
        help="folder of a finished run of pgtfast.train, or one of its files; for other engines than torch a file of pgtfast.export",
    )
    add("--coco", metavar="ANN.json", help="COCO person keypoints, of any size: images and annotations")
    add("--index", metavar="FILE|DIR",
        help="in place of --coco: Parquet (or a folder of it) or CSV with columns image_path, bbox_xywh or x, y, width, height (pixels), and any of annotation_id, image_width, image_height, keypoints")  # fmt: skip
    add("--whole-images", action="store_true", help="in place of --coco: each image shows one person and little else")
    add("--images", metavar="DIR|TAR", nargs="+",
        help="folder of the images, or uncompressed tars (*.tar); tars alone are WebDataset samples, whose *.json hold COCO annotations")  # fmt: skip
    add("--follow-links", action="store_true", help="read images that are links out of their folder (default: refused)")
    add("--root", metavar="DIR", help="in place of all these: root folder of a dataset of the kind --dataset")
    add("--dataset", metavar="NAME|KIND",
        help="first part of each person's key (default: name of the file, or of the folder); with --root: kind of the dataset, such as mpii, lspet, pw3d")  # fmt: skip
    add("--split", default="train", help="with --root: which part of the dataset (default: train)")
    add("--out", required=True, metavar="RUN", help="folder of the run; made if absent, never overwritten")
    add("--engine", choices=ENGINES, default="torch",
        help="what runs the network (default: torch); the others need a file that pgtfast.export made for them")  # fmt: skip
    add("--precision", choices=PRECISIONS, default="fp32",
        help="of --engine torch: fp32, or fp16 for the backbone in float16 (default: fp32); an engine file has its own")  # fmt: skip
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
        help="people written as one part, on average; what a killed run repeats (default: 1024); a run that is taken up keeps the size it began with")  # fmt: skip
    add("--refine", type=count(0, "steps"), default=0, metavar="N",
        help="steps of fitting from the network's body to the keypoints, held to that body (default: 0)")  # fmt: skip
    add("--flip-test", action="store_true",
        help="also annotate the mirrored crop and note how far the joints of the two lie apart, millimetres; twice the time")  # fmt: skip
    add("--jitter", type=count(0, "crops"), default=0, metavar="N",
        help="also annotate N moved and scaled copies of each crop and note how far the joints lie apart, millimetres (default: 0)")  # fmt: skip
    add_quality(parser)
    add("--exif", action="store_true", help="turn photos as their EXIF orientation says (COCO's annotations do not)")
    add("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    add("--processes", type=count(1, "processes"), default=1, metavar="N",
        help="processes that annotate (default: 1); with --device cuda process i has GPU i")  # fmt: skip
    add("--workers", choices=WORKERS, default="processes",
        help="processes of this machine (default), or N workers of the Ray cluster that RAY_ADDRESS names (without it, one of this machine)")  # fmt: skip
    add(
        "--threads",
        type=count(1, "threads"),
        metavar="N",
        help="CPU threads of each process (default: as torch chooses)",
    )
    add(
        "--loader-threads",
        type=number(1, 256, "threads", int),
        default=2,
        metavar="N",
        help="threads of each process that decode and crop photos (default: 2)",
    )
    add_extras(parser)
    add("--limit", type=count(1, "people"), metavar="N", help="only the first N people")
    options = parser.parse_args(arguments)
    check_extras(parser, options)
    _check(parser, options)
    return options


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    named = [
        f"--{name.replace('_', '-')}" for name in ("coco", "index", "whole_images", "root") if getattr(options, name)
    ]
    if len(named) > 1:
        parser.error(f"{', '.join(named)}: give one of them")
    if options.root is not None:
        if options.dataset is None:
            parser.error("--root: needs --dataset KIND")
        if options.images is not None:
            parser.error("--images: --root knows its images")
    elif options.images is None:
        parser.error(
            f"{named[0]}: needs --images DIR" if named else "--coco, --index, --whole-images, --root: give one of them"
        )
