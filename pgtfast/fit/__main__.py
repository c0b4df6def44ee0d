"""``python -m pgtfast.fit --coco ANN.json --images DIR --out RUN``."""

from __future__ import annotations

import sys

from .._cli import run
from ._options import parse


def main(arguments: list[str]) -> int:
    """Fit the people of a file; returns the exit code."""
    options = parse(arguments)
    from ._run import run as run_fit

    run_fit(options)
    return 0


if __name__ == "__main__":
    sys.exit(run("fit", main))
