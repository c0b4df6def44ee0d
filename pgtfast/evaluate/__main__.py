"""``python -m pgtfast.evaluate synth --predictions RUN --world OUT --split wild``."""

import sys

from .._cli import main
from . import EvaluateConfig, evaluate

if __name__ == "__main__":
    sys.exit(main("evaluate", EvaluateConfig, evaluate))
