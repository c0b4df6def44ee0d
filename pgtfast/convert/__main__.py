"""``python -m pgtfast.convert SRC DST --to FORMAT``."""

import sys

from .._cli import main
from . import ConvertConfig, convert

if __name__ == "__main__":
    sys.exit(main("convert", ConvertConfig, convert))
