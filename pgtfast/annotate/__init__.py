"""Pseudo-GTs of whole datasets by a trained annotator."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ._config import AnnotateConfig

__all__ = ["AnnotateConfig", "AnnotateResult", "annotate"]


class AnnotateResult(NamedTuple):
    """What an annotation of a dataset came to."""

    out: Path
    """Folder of the run; `pgtfast.runs.read_records` reads its people."""
    people: int
    """People of the input, the skipped ones included."""
    annotated: int
    """People that passed the network in this call; those of a resumed run that existed are not among them."""
    signal: int | None = None
    """Number of the signal that ended the run before all parts were written; the same config resumes it."""

    @property
    def exit_code(self) -> int:
        """Of the command line."""
        return 0 if self.signal is None else 128 + self.signal


def annotate(config: AnnotateConfig) -> AnnotateResult:
    """Annotate the people of a dataset and write them as a run; needs the extra `annotate`.

    Raises:
        PgtfastError: an option or a file that does not fit.
    """
    from ._run import run

    return run(config)
