"""Names of the runs that are measured together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .._errors import PgtfastError


def run_names(runs: Sequence[str | Path]) -> dict[str, Path]:
    """Runs by the end of their paths, as much of it as tells them apart.

    Raises:
        PgtfastError: a run is named twice.
    """
    paths = [Path(run) for run in runs]
    whole = [path.resolve().parts for path in paths]
    for length in range(1, max(len(parts) for parts in whole) + 1):
        names = ["/".join(parts[-length:]) for parts in whole]
        if len(set(names)) == len(names):
            return dict(zip(names, paths, strict=True))
    raise PgtfastError(f"--against: {', '.join(map(str, runs))}: one run is named twice")
