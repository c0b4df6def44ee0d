"""``python -m pgtfast.convert SRC DST --to FORMAT``."""

from __future__ import annotations

import sys

from .._cli import run
from .._options import needing
from ._options import parse


def main(arguments: list[str]) -> int:
    """Convert a file; returns 0 when every body was written, 1 when some were left out and named."""
    options = parse(arguments)
    with needing("annotate", "convert"):
        from ._run import run as run_convert

    return run_convert(options)


if __name__ == "__main__":
    sys.exit(run("convert", main))
