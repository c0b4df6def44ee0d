"""The command line of ``python -m pgtfast.evaluate``."""

from __future__ import annotations

import argparse

PROTOCOLS = ("synth",)
NOT_YET = ("3dpw", "mupots", "h36m")
SPLITS = ("wild", "test")

DESCRIPTION = """Scores predictions under a named protocol. `synth` measures a run of annotate or fit on the free world against its hidden truth:
PA-MPJPE with x, y, z, MPJPE pelvis on pelvis, the mesh's error (PVE), all in millimetres, and how far the keypoints are missed in pixels."""


def _protocol(name: str) -> str:
    if name in NOT_YET:
        raise argparse.ArgumentTypeError(f"{name} is not yet built; wanted {', '.join(PROTOCOLS)}")
    if name not in PROTOCOLS:
        raise argparse.ArgumentTypeError(
            f"wanted {', '.join(PROTOCOLS)} (not yet built: {', '.join(NOT_YET)}), got {name!r}"
        )
    return name


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse; bad usage ends the program with code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m pgtfast.evaluate", description=DESCRIPTION, epilog="--debug shows the traceback of an error."
    )
    add = parser.add_argument
    add(
        "protocol",
        type=_protocol,
        metavar="PROTOCOL",
        help=f"{', '.join(PROTOCOLS)} ({', '.join(NOT_YET)}: not yet built)",
    )
    add("--predictions", required=True, metavar="RUN", help="folder of a run of annotate or fit")
    add(
        "--world",
        required=True,
        metavar="OUT",
        help="folder of the free world, whose truth/SPLIT.npz is what predictions are held against",
    )
    add("--split", choices=SPLITS, default="wild", help="which of the world's sets the run annotates (default: wild)")
    add(
        "--against",
        nargs="+",
        default=[],
        metavar="RUN2",
        help="further runs, measured on the people that all runs have",
    )
    add(
        "--calibrate",
        metavar="FILE",
        help="fit the quality of the bodies of --predictions to their true errors and write it to FILE, for --quality of annotate and fit; a FILE that is there keeps its models of other methods",
    )
    add("--plot", metavar="PNG", help="also draw how far the quality of --predictions can be trusted")
    add("--json", metavar="FILE", help="also write all numbers, and those of each person, to this file")
    return parser.parse_args(arguments)
