"""``python -m pgtfast.annotate --checkpoint CKPT --coco ANN.json --images DIR --out RUN``."""

from __future__ import annotations

import sys

from .._cli import run
from .._options import needing
from ._options import parse


def main(arguments: list[str]) -> int:
    """Annotate the people of a dataset; returns the exit code."""
    options = parse(arguments)
    with needing("annotate", "annotate"):
        from ._run import run as run_annotate

    return run_annotate(options)


if __name__ == "__main__":
    sys.exit(run("annotate", main))
