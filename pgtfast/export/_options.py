"""The command line of ``python -m pgtfast.export``."""

from __future__ import annotations

import argparse
import re

from .._options import count

ENGINES = ("onnxruntime", "tensorrt", "tensorrt-rtx")

DESCRIPTION = """Turns a trained annotator into one engine file: backbone and heads; the body stays in pgtfast's own ops. FILE carries all that
pgtfast.annotate --checkpoint FILE needs. FILE.parity.json and FILE.parity.txt say how far the joints are from those of the network in PyTorch
float32, in millimetres (pelvis on pelvis) and pixels of the crop: at the 99th percentile no more than 0.01 for fp32 and 1 for fp16, else the exit
code is 1 and no FILE is written. What cannot run here is said to be not run, beside its ONNX graph, which can."""


def _architectures(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name for name in re.split(r"[,\s]+", text.lower()) if name))
    bad = [name for name in names if not re.fullmatch(r"sm\d{2,3}", name)]
    if bad or not names:
        raise argparse.ArgumentTypeError(f"wanted names such as sm80,sm89, got {text!r}")
    return names


def _batch(text: str) -> tuple[int, int, int]:
    match = re.fullmatch(r"(\d+),(\d+),(\d+)", text)
    sizes = tuple(map(int, match.groups())) if match else (0, 0, 0)
    if not 1 <= sizes[0] <= sizes[1] <= sizes[2]:
        raise argparse.ArgumentTypeError(
            f"wanted fewest,usual,most crops such as 1,64,256, each at least the one before, got {text!r}"
        )
    return sizes[0], sizes[1], sizes[2]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse; bad usage ends the program with code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m pgtfast.export", description=DESCRIPTION, epilog="--debug shows the traceback of an error."
    )
    add = parser.add_argument
    add("--checkpoint", required=True, metavar="CKPT",
        help="folder of a finished run of pgtfast.train, or one of its files")  # fmt: skip
    add("--engine", required=True, choices=ENGINES, help="what shall run it")
    add("--out", required=True, metavar="FILE", help="engine file; never overwritten")
    add("--precision", choices=("fp32", "fp16"),
        help="fp32, or fp16: backbone in float16, heads in float32 (default: fp16 for the TensorRT engines, else "
             "fp32)")  # fmt: skip
    add("--opset", type=int, default=18, metavar="N",
        help="of the ONNX graph, 16 to 19 (default: 18); from 20 on TensorRT's parser can read bilinear sampling as "
             "nearest")  # fmt: skip
    add("--onnx", metavar="MODEL.onnx",
        help="in place of the checkpoint's own graph: one of the same network that another tool wrote, such as "
             "NVIDIA Model Optimizer's INT8 or FP8")  # fmt: skip
    add("--bound", type=float, metavar="X",
        help="with --onnx: most millimetres and pixels at the 99th percentile (default: those of fp32 and fp16; none "
             "for quantised graphs)")  # fmt: skip
    add("--arch", type=_architectures, default=(), metavar="sm89,...",
        help="tensorrt-rtx: GPUs to build for, none of which need be here: sm75, sm80, sm86, sm89, sm120, sm121 "
             "(default: sm80,sm86,sm89,sm120)")  # fmt: skip
    add("--batch", type=_batch, default=(1, 64, 256), metavar="MIN,OPT,MAX",
        help="tensorrt, tensorrt-rtx: fewest, usual and most crops at once (default: 1,64,256); more run in several "
             "goes")  # fmt: skip
    add("--timing-cache", metavar="FILE", help="tensorrt: measurements that later builds go by; made if absent")
    add("--coco", metavar="ANN.json", help="COCO person keypoints of photographs to compare on (default: a few "
                                           "pictures are drawn)")  # fmt: skip
    add("--images", metavar="DIR", help="folder of the images of --coco")
    add("--crops", type=count(1, "people"), default=64, metavar="N", help="people to compare on, at most (default: 64)")
    add("--body", metavar="PATH|free", help="body model file (default: the one the network was trained with)")
    add("--prior", metavar="PATH|free", help="VPoser folder or file (default: the one the network was trained with)")
    add("--device", metavar="DEVICE",
        help="cpu, cuda or cuda:N: where the engine is run to compare it (default: the GPU for the TensorRT engines "
             "where there is one, else cpu)")  # fmt: skip
    add("--threads", type=count(1, "threads"), metavar="N", help="CPU threads (default: as torch chooses)")
    options = parser.parse_args(arguments)
    if (options.coco is None) != (options.images is None):
        parser.error("--coco, --images: give both or none")
    if options.bound is not None and options.onnx is None:
        parser.error("--bound: only with --onnx; the checkpoint's own graphs have fixed bounds")
    if options.onnx is not None and options.precision is not None:
        parser.error("--precision: a graph of --onnx has its own")
    if options.engine == "onnxruntime" and (options.arch or options.timing_cache):
        parser.error("--arch, --timing-cache: an ONNX file is built for no GPU")
    return options
