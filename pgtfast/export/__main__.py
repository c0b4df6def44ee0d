"""``python -m pgtfast.export --checkpoint CKPT --engine onnxruntime|tensorrt|tensorrt-rtx --out FILE``."""

import sys

from .._cli import main
from . import ExportConfig, export

if __name__ == "__main__":
    sys.exit(main("export", ExportConfig, export, extra="export"))
