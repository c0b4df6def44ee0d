"""``python -m pgtfast.export --checkpoint CKPT --engine onnxruntime|tensorrt|tensorrt-rtx --out FILE``."""

from __future__ import annotations

import sys

from .._cli import run
from .._options import needing
from ._options import parse


def main(arguments: list[str]) -> int:
    """Export a network; returns the exit code: 1 where the engine's joints are too far from the network's."""
    options = parse(arguments)
    with needing("export", "export"):
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    from ._run import run as run_export

    return run_export(options)


if __name__ == "__main__":
    sys.exit(run("export", main))
