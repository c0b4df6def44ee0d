"""``python -m pgtfast.synth OUT [--images N] ...``."""

import sys

from .._cli import main
from . import SynthConfig, synth

if __name__ == "__main__":
    sys.exit(main("synth", SynthConfig, synth, extra="annotate,report"))
