"""What an export needs to know."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from .._config import MOST, Option, UsageError, check


def _architectures(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name for name in re.split(r"[,\s]+", text.lower()) if name))
    bad = [name for name in names if not re.fullmatch(r"sm\d{2,3}", name)]
    if bad or not names:
        raise ValueError(f"wanted names such as sm80,sm89, got {text!r}")
    return names


def _batch(text: str) -> tuple[int, int, int]:
    match = re.fullmatch(r"(\d+),(\d+),(\d+)", text)
    sizes = tuple(map(int, match.groups())) if match else (0, 0, 0)
    if not 1 <= sizes[0] <= sizes[1] <= sizes[2]:
        raise ValueError(f"wanted fewest,usual,most crops such as 1,64,256, each at least the one before, got {text!r}")
    return sizes[0], sizes[1], sizes[2]


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Turns a trained annotator into one engine file: backbone and heads; the body stays in pgtfast's own ops. FILE
    carries all that pgtfast.annotate --checkpoint FILE needs. FILE.parity.json and FILE.parity.txt say how far the
    joints are from those of the network in PyTorch float32, in millimetres (pelvis on pelvis) and pixels of the crop:
    at the 99th percentile no more than 0.01 for fp32 and 1 for fp16, else the exit code is 1 and no FILE is written.
    What cannot run here is reported as not run, beside its ONNX graph, which can.
    """

    checkpoint: Annotated[Path, Option("CKPT")]
    """folder of a finished run of pgtfast.train, or one of its files"""
    engine: Literal["onnxruntime", "tensorrt", "tensorrt-rtx"]
    """what shall run it"""
    out: Annotated[Path, Option("FILE")]
    """engine file; never overwritten"""
    precision: Literal["fp32", "fp16"] | None = None
    """fp32, or fp16: backbone in float16, heads in float32 (default: fp16 for the TensorRT engines, else fp32)"""
    opset: Annotated[int, Option("N")] = 18
    """of the ONNX graph, 16 to 19 (default: 18); from 20 on TensorRT's parser can read bilinear sampling as nearest"""
    onnx: Annotated[Path | None, Option("MODEL.onnx")] = None
    """in place of the checkpoint's own graph: one of the same network that another tool wrote, such as NVIDIA Model
    Optimizer's INT8 or FP8"""
    bound: Annotated[float | None, Option("X")] = None
    """with --onnx: most millimetres and pixels at the 99th percentile (default: those of fp32 and fp16; none for
    quantised graphs)"""
    arch: Annotated[tuple[str, ...], Option("sm89,...", parse=_architectures)] = ()
    """tensorrt-rtx: GPUs to build for, none of which need be here: sm75, sm80, sm86, sm89, sm120, sm121 (default:
    sm80,sm86,sm89,sm120)"""
    batch: Annotated[tuple[int, int, int], Option("MIN,OPT,MAX", parse=_batch)] = (1, 64, 256)
    """tensorrt, tensorrt-rtx: fewest, usual and most crops at once (default: 1,64,256); more run in several goes"""
    timing_cache: Annotated[Path | None, Option("FILE")] = None
    """tensorrt: measurements that later builds go by; made if absent"""
    coco: Annotated[Path | None, Option("ANN.json")] = None
    """COCO person keypoints of images to compare on (default: a few images are drawn)"""
    images: Annotated[Path | None, Option("DIR")] = None
    """folder of the images of --coco"""
    crops: Annotated[int, Option("N", low=1, high=MOST, unit="people")] = 64
    """people to compare on, at most"""
    body: Annotated[str | None, Option("PATH|free")] = None
    """body model file (default: the one the network was trained with)"""
    prior: Annotated[str | None, Option("PATH|free")] = None
    """VPoser folder or file (default: the one the network was trained with)"""
    device: Annotated[str | None, Option("DEVICE")] = None
    """cpu, cuda or cuda:N: where the engine is run to compare it (default: the GPU for the TensorRT engines where there
    is one, else cpu)"""
    threads: Annotated[int | None, Option("N", low=1, high=MOST, unit="threads")] = None
    """CPU threads (default: as torch chooses)"""

    def __post_init__(self) -> None:
        check(self)
        if (self.coco is None) != (self.images is None):
            raise UsageError("--coco, --images: give both or none")
        if self.bound is not None and self.onnx is None:
            raise UsageError("--bound: only with --onnx; the checkpoint's own graphs have fixed bounds")
        if self.onnx is not None and self.precision is not None:
            raise UsageError("--precision: a graph of --onnx has its own")
        if self.engine == "onnxruntime" and (self.arch or self.timing_cache):
            raise UsageError("--arch, --timing-cache: an ONNX file is built for no GPU")
