"""``python -m pgtfast VERB ...``, the same as ``pgtfast VERB ...``."""

import sys

from ._main import main

if __name__ == "__main__":
    sys.exit(main())
