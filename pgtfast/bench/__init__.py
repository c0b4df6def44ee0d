"""Timing of the ops, against other packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._config import BenchConfig

if TYPE_CHECKING:
    from ._suites import BenchResult

__all__ = ["BenchConfig", "bench"]


def bench(config: BenchConfig) -> BenchResult:
    """Run suites and print as they go.

    Raises:
        PgtfastError: a package that is asked for is not installed, or the result cannot be written.
    """
    from ._suites import run

    return run(config)
