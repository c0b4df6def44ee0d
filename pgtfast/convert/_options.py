"""The command line of ``python -m pgtfast.convert``."""

from __future__ import annotations

import argparse

from .._errors import PgtfastError
from .._options import number
from ..formats.registry import formats, names, variants
from .config import ConvertConfig

DESCRIPTION = """Reads pseudo-ground-truths of one format and writes those of another. People are keyed by annotation id; formats without ids are matched
with --people by image name and box. All that is ignored, omitted, approximated or not matched is counted and named at the end. DST appears whole or
not at all, and is never overwritten."""

EPILOG = """formats:
{formats}

exit code: 0 when every body was written, 1 when some were omitted (named in the output), 2 on bad usage or input.
--debug shows the traceback of an error."""


def parse(arguments: list[str] | None) -> ConvertConfig:
    """Parse; bad usage ends the program with code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m pgtfast.convert",
        description=DESCRIPTION,
        epilog=EPILOG.format(formats="\n".join(f"  {f.name:<14}{f.about}" for f in formats())),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("src", metavar="SRC", help="file or folder to read")
    add("dst", metavar="DST", help="file to write; a folder for parquet and smplify-x. Must not exist")
    add("--to", required=True, choices=names(write=True), help="format to write")
    add("--from", dest="source", choices=names(), help="format of SRC (default: told by its content)")
    add("--variant", choices=variants(), default="itw",
        help="of NeuralAnnot's JSON: itw and 3dpw are keyed by annotation id in camera space (3dpw has no cameras in the file), h36m and "
        "mpi-inf-3dhp are nested in the world and need --people, --cameras and --body (default: itw; reading tells 3dpw from itw by itself)")  # fmt: skip
    add(
        "--src-variant",
        choices=variants(),
        help="the same of SRC, where both are NeuralAnnot's (default: --variant when writing another format, else itw)",
    )
    add(
        "--people",
        metavar="FILE",
        help="annotation file of the people: JSON in COCO's layout, or an npz in SPIN's; brings images, sizes, boxes, ids",
    )
    add("--cameras", metavar="FILE", help="camera JSON of Human3.6M or MPI-INF-3DHP, in mm and pixels")
    add(
        "--images",
        metavar="DIR",
        help="folder of the images: sizes where --people has none (headers alone are read), images for 4dhumans",
    )
    add("--dataset", metavar="NAME", help="first part of each person's key (default: name of SRC)")
    add("--body", metavar="PATH|free", help="body model file of the parameters. World frames need it; cameras that change are measured with it "
        "(default for measuring: free)")  # fmt: skip
    add(
        "--body-model",
        choices=("smpl", "smplx", "smplh", "mano", "free"),
        help="what the parameters of SRC are of, where its layout does not say (default: smpl)",
    )
    add(
        "--hands",
        choices=("flat", "mean"),
        help="what the hands of SRC are measured from, where its layout does not say: a flat hand or the model's mean hand",
    )
    add("--focal", type=number(1, 1e7, "pixels"), default=5000.0, metavar="PX",
        help="focal length of smplify-x results, which do not hold theirs, pixels (default: 5000)")  # fmt: skip
    add("--prior", metavar="PATH|free", help="VPoser file that decodes the 32-number latents of smplify-x results")
    add(
        "--prior-version",
        metavar="NAME",
        help="version of that VPoser (vposer-v1, vposer-v2, free): latents are read only where you name it",
    )
    add("--min-quality", type=number(0, 1, "quality"), metavar="Q",
        help="of the store's people: omit those of a lower quality, or of none")  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        return ConvertConfig(**vars(options))
    except PgtfastError as error:
        parser.error(str(error))
