"""The command line of ``python -m pgtfast.convert``."""

from __future__ import annotations

import argparse

from .._options import number

TARGETS = (
    "neuralannot", "eft", "spin", "cliff", "4dhumans", "humandata", "smplify-x", "camsmplify", "bedlam", "parquet",
)  # fmt: skip
SOURCES = (*TARGETS, "sam3dbody")
WORLD = ("h36m", "mpi-inf-3dhp")
VARIANTS = ("itw", "3dpw", *WORLD)

DESCRIPTION = """Reads pseudo-ground-truths of one format and writes those of another. People are keyed by annotation id; formats without ids are matched
with --people by image name and box. All that is left aside, left out, approximated or not matched is counted and named at the end. DST appears whole or
not at all, and is never overwritten."""

FORMATS = """formats:
  neuralannot   JSON of NeuralAnnot and Three Recipes (.json), SMPL or SMPL-X; see --variant
  eft           JSON of EFT (.json)
  spin          data set npz with pose and shape (.npz), or its static fits (.npy, or .npz of pose, betas, valid_fit) beside --people DATASET.npz
  cliff         CLIFF's npz (.npz); the camera looks through the middle of the image, so image sizes are needed (--people or --images)
  4dhumans      WebDataset tars of 4D-Humans (.tar, or a folder of them to read); writing needs --images
  humandata     mmhuman3d's HumanData (.npz), SMPL or SMPL-X
  smplify-x     folder with results/<image>/<person>.pkl; pickles are read without running anything
  camsmplify    CamSMPLify's npz (.npz)
  bedlam        BEDLAM's npz (.npz), SMPL or SMPL-X
  sam3dbody     SAM 3D Body's Parquet (reading): keypoints and cameras; the MHR parameters are left aside
  parquet       the store of pgtfast: RUN/annotations/*.parquet

exit code: 0 when every body was written, 1 when some were left out (named in the output), 2 on bad usage or input.
--debug shows the traceback of an error."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse; bad usage ends the program with code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m pgtfast.convert",
        description=DESCRIPTION,
        epilog=FORMATS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("src", metavar="SRC", help="file or folder to read")
    add("dst", metavar="DST", help="file to write; a folder for parquet and smplify-x. Must not exist")
    add("--to", required=True, choices=TARGETS, help="format to write")
    add("--from", dest="source", choices=SOURCES, help="format of SRC (default: told by its content)")
    add("--variant", choices=VARIANTS, default="itw",
        help="of NeuralAnnot's JSON: itw and 3dpw are keyed by annotation id in camera space (3dpw has no cameras in the file), h36m and "
        "mpi-inf-3dhp are nested in the world and need --people, --cameras and --body (default: itw; reading tells 3dpw from itw by itself)")  # fmt: skip
    add(
        "--src-variant",
        choices=VARIANTS,
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
        help="folder of the images: sizes where --people has none (headers alone are read), pictures for 4dhumans",
    )
    add("--dataset", metavar="NAME", help="first part of each person's key (default: name of SRC)")
    add("--body", metavar="PATH|free", help="body model file of the parameters. World frames need it; cameras that change are measured with it "
        "(default for measuring: free)")  # fmt: skip
    add(
        "--body-model",
        choices=("smpl", "smplx", "smplh", "free"),
        help="what the parameters of SRC are of, where its layout does not say (default: smpl)",
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
        help="of the store's people: leave out those of a lower quality, or of none")  # fmt: skip
    options = parser.parse_args(arguments)
    if (options.prior is None) != (options.prior_version is None):
        parser.error("--prior and --prior-version: give both or none")
    if options.src_variant is None:
        options.src_variant = "itw" if options.to == "neuralannot" else options.variant
    return options
