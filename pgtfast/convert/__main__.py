"""``python -m pgtfast.convert SRC DST --to FORMAT``."""

from __future__ import annotations

import sys

from .._cli import run


def main(arguments: list[str]) -> int:
    """Convert a file; returns 0 when every body was written, 1 when some were omitted and named."""
    from . import convert
    from ._options import parse

    return convert(parse(arguments)).exit_code


if __name__ == "__main__":
    sys.exit(run("convert", main))
