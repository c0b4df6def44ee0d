"""``python -m pgtfast.doctor [--json]``."""

import sys

from .._cli import main
from . import DoctorConfig, doctor

if __name__ == "__main__":
    sys.exit(main("doctor", DoctorConfig, doctor))
