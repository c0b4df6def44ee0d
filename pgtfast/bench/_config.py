"""What a benchmark of the ops measures, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from .._config import MOST, Option, UsageError, check
from ._tasks import FITS, TASKS

SUITES = ("floor", "ops", "fit", "memory")
FAMILIES = ("smplx", "body-models", "smplfitter")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _numbers(text: str) -> tuple[Any, ...]:
    return tuple(int(word) if word.strip().isdecimal() else word for word in text.split(","))


def _list(metavar: str, parse: Callable[[str], Any]) -> Option:
    return Option(metavar, parse=parse)


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """Times pgtfast against other packages on a random body in SMPL's shape: one run, the same inputs, correctness
    first (against smplx where it
    takes part, else pgtfast.reference in float64), samples interleaved. Times are medians [quartiles] in ms a body on
    the CPU; the floor is the
    least flops and bytes of the work at this machine's measured speeds.

    `python -m benchmarks.annotate`, `benchmarks.convert` and `benchmarks.loader` of the repository time the bulk run,
    the converter and the reading of
    images.
    """

    suite: Annotated[tuple[str, ...], Option("SUITE", positional=True)] = ()
    """floor, ops, fit, memory; all by default"""
    against: Annotated[tuple[str, ...], _list("PACKAGE,...", _words)] = ()
    """smplx, body-models, smplfitter; compiled and JAX variants come along"""
    json: Annotated[Path | None, Option("FILE")] = None
    """write all results there"""
    batches: Annotated[tuple[int, ...], _list("B,...", _numbers)] = (1, 16, 256, 1024)
    """bodies a call (default: 1,16,256,1024); variants that compile run at 256 alone"""
    tasks: Annotated[tuple[str, ...], _list("TASK,...", _words)] = ()
    """of the suite ops: fwd_r, fb_r, fwd_j, fb_j, fwd_vj, fb_v; all by default"""
    fits: Annotated[tuple[str, ...], _list("FIT,...", _words)] = tuple(FITS)
    """of the suite fit: j (24 joints), r (17 surface joints), vp (through a decoder) (default: j,r,vp)"""
    threads: Annotated[int, Option("N", low=1, high=MOST, unit="threads")] = 2
    """threads of every contestant"""
    rounds: Annotated[int, Option("N", low=1, high=MOST, unit="samples")] = 9
    """samples of each contestant"""
    window: Annotated[float, Option("S", low=0)] = 0.15
    """least seconds of one sample"""
    budget: Annotated[float, Option("S", low=0)] = 30.0
    """seconds a cell may take before it stops at three rounds"""
    no_compile: bool = False
    """leave out the variants under torch.compile (they take minutes to compile)"""

    def __post_init__(self) -> None:
        check(self)
        if not self.batches or not all(isinstance(batch, int) and batch > 0 for batch in self.batches):
            told = ",".join(map(str, self.batches))
            raise UsageError(f"--batches: wanted positive integers separated by commas, got {told!r}")
        _known("suite", self.suite, SUITES)
        _known("--against", self.against, FAMILIES)
        _known("--tasks", self.tasks, tuple(TASKS))
        _known("--fits", self.fits, tuple(FITS))

    @property
    def suites(self) -> tuple[str, ...]:
        """Those asked for, or all."""
        return self.suite or SUITES


def _known(option: str, given: Sequence[str], allowed: Sequence[str]) -> None:
    for name in given:
        if name not in allowed:
            raise UsageError(f"{option}: wanted names of {', '.join(allowed)}, got {name!r}")
