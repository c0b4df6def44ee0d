"""What an evaluation needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from .._config import Option, UsageError, check

NEEDS = {"synth": ("world",), "coco": ("annotations",)}
"""Protocol -> options that it cannot do without."""
NOT_YET = ("3dpw", "mupots", "h36m")
Split = Literal["wild", "test"]
SPLITS: tuple[str, ...] = get_args(Split)
_SYNTH_ONLY = ("world", "calibrate", "plot")


def _protocol(name: str) -> str:
    if name in NOT_YET:
        raise ValueError(f"{name} is not yet built; wanted {', '.join(NEEDS)}")
    if name not in NEEDS:
        raise ValueError(f"wanted {', '.join(NEEDS)} (not yet built: {', '.join(NOT_YET)}), got {name!r}")
    return name


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Scores predictions under a named protocol. `synth` measures a run of annotate or fit on the free world against
    its hidden truth: PA-MPJPE
    with x, y, z, MPJPE pelvis on pelvis, the mesh's error (PVE), all in millimetres, and how far the keypoints are
    missed in pixels. `coco` measures
    the projected keypoints of a run against those of a COCO annotation file: AP and AR over object keypoint similarity
    (OKS), by pycocotools.
    """

    protocol: Annotated[str, Option("PROTOCOL", positional=True, parse=_protocol)]
    """synth, coco (3dpw, mupots, h36m: not yet built)"""
    predictions: Annotated[Path, Option("RUN")]
    """folder of a run of annotate or fit"""
    world: Annotated[Path | None, Option("OUT")] = None
    """of synth: folder of the free world, whose truth/SPLIT.npz predictions are compared with"""
    split: Split = "wild"
    """of synth: which of the world's sets the run annotates"""
    annotations: Annotated[Path | None, Option("JSON")] = None
    """of coco: person keypoints that predictions are compared with"""
    body: Annotated[str, Option("PATH|free")] = "free"
    """of coco: body model file of the run (default: free, the body in the package)"""
    against: Annotated[tuple[Path, ...], Option("RUN2")] = ()
    """further runs; synth measures all on the people that every run has"""
    calibrate: Annotated[Path | None, Option("FILE")] = None
    """of synth: fit the quality of the bodies of --predictions to their true errors and write it to FILE, for --quality
    of annotate and fit; an
    existing FILE keeps its models of other methods"""
    plot: Annotated[Path | None, Option("PNG")] = None
    """of synth: also draw how far the quality of --predictions can be trusted"""
    json: Annotated[Path | None, Option("FILE")] = None
    """also write all numbers, and those of each person, to this file"""

    def __post_init__(self) -> None:
        check(self)
        try:
            _protocol(self.protocol)
        except ValueError as error:
            raise UsageError(f"protocol: {error}") from None
        for name in NEEDS[self.protocol]:
            if getattr(self, name) is None:
                raise UsageError(f"--{name}: the protocol {self.protocol} needs it")
        others = _SYNTH_ONLY if self.protocol != "synth" else ("annotations",)
        for name in others:
            if getattr(self, name) is not None:
                raise UsageError(f"--{name}: not an option of the protocol {self.protocol}")


@dataclass(frozen=True, eq=False)
class EvaluateResult:
    """What an evaluation found."""

    values: dict[str, Any]
    """All that `--json` writes: "protocol", "runs" by name with their scores, and what the protocol adds."""

    def __repr__(self) -> str:
        return f"EvaluateResult({self.values['protocol']}, runs={list(self.values['runs'])})"
