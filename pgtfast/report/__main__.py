"""``python -m pgtfast.report RUN [--against RUN2] [--out DIR]``."""

import sys

from .._cli import main
from . import ReportConfig, report

if __name__ == "__main__":
    sys.exit(main("report", ReportConfig, report, extra="report"))
