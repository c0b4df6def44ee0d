"""What every run that finds bodies can make beside its store: fields that the configs of fit and annotate share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from ._config import MOST, Option, UsageError, check


@dataclass(frozen=True, kw_only=True)
class OutputConfig:
    """Quality, device, pictures and exported files."""

    quality: Annotated[Path | None, Option("FILE")] = None
    """calibration of the quality, of pgtfast.evaluate --calibrate (default: the one in the package)"""
    device: str = "cpu"
    """cpu, cuda or cuda:N"""
    threads: Annotated[int | None, Option("N", low=1, high=4096, unit="threads")] = None
    """CPU threads of each process (default: as torch chooses)"""
    overlays: Annotated[int, Option("N", low=0, high=MOST, unit="images")] = 0
    """draw N of the images with their bodies, and a contact sheet"""
    export: Literal["neuralannot"] | None = None
    """also write the valid people in this format"""
    min_quality: Annotated[float | None, Option("Q", low=0, high=1, unit="quality")] = None
    """with --export: leave out people of a lower quality, or of none"""
    limit: Annotated[int | None, Option("N", low=1, high=MOST, unit="people")] = None
    """only the first N people"""

    def __post_init__(self) -> None:
        check(self)
        if self.min_quality is not None and self.export is None:
            raise UsageError("--min-quality: needs --export; the run itself keeps everybody with their quality")
