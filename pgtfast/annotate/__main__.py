"""``python -m pgtfast.annotate --checkpoint CKPT --coco ANN.json --images DIR --out RUN``."""

import sys

from .._cli import main
from . import AnnotateConfig, annotate

if __name__ == "__main__":
    sys.exit(main("annotate", AnnotateConfig, annotate))
