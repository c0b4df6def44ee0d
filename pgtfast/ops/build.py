"""How the compiled kernels were built."""

from __future__ import annotations

from ._border import _core


def build_info() -> dict[str, str | bool]:
    """Version, compiler, instruction set picked on this processor, and whether (and for which architectures) CUDA was
    built.
    """
    return dict(_core.build_info())
