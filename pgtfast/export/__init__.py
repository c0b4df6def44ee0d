"""Trained networks as engine files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._options import needing
from ._config import ExportConfig

if TYPE_CHECKING:
    from ._run import Exported

__all__ = ["ExportConfig", "export"]


def export(config: ExportConfig) -> Exported:
    """Turn a trained network into an engine file, and report how near it is; needs the extra `export`.

    Raises:
        PgtfastError: an option, a file or a library that does not fit.
    """
    with needing("export", "export"):
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    from ._run import run

    return run(config)
