"""`python -m pgtfast.bench [SUITE ...] [--against PACKAGE,...] [--json FILE]`."""

import sys

from .._cli import main
from . import BenchConfig, bench

if __name__ == "__main__":
    sys.exit(main("bench", BenchConfig, bench))
