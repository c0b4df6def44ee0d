"""``python -m pgtfast.fit --coco ANN.json --images DIR --out RUN``."""

import sys

from .._cli import main
from . import FitConfig, fit

if __name__ == "__main__":
    sys.exit(main("fit", FitConfig, fit))
