"""``python -m pgtfast.report RUN [--against RUN2] [--out DIR]``."""

from __future__ import annotations

import sys

from .._cli import run
from .._options import needing
from ._options import parse


def main(arguments: list[str]) -> int:
    """Make the page of a run, or show it in the viewer; returns the exit code."""
    options = parse(arguments)
    with needing("report", "report"):
        from ._run import run as run_report

    run_report(options)
    return 0


if __name__ == "__main__":
    sys.exit(run("report", main))
