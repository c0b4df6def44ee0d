"""Engines by name."""

from __future__ import annotations

import hashlib
import os

import torch

from .._errors import PgtfastError
from ._file import looks_like_engine, read_engine_file
from .engine import Engine

ENGINES = ("torch", "onnxruntime", "tensorrt", "tensorrt-rtx")


def open_engine(
    name: str,
    path: str | os.PathLike,
    device: torch.device | str = "cpu",
    *,
    precision: str = "fp32",
    channels_last: bool | None = None,
    cuda_graphs: bool = True,
) -> Engine:
    """Open a network to run it.

    Args:
        name: one of ENGINES. What is not installed is an error; no other engine takes its place.
        path: "torch": a checkpoint or the folder of a run. Else a file that ``python -m pgtfast.export`` made for this
            engine.
        device: where it shall run.
        precision: of "torch": "fp32", or "fp16" for the backbone in float16 and the heads in float32. An engine file
            has its own.
        channels_last: of "torch": lay images and weights out as (B, H, W, C); None does so on a CPU.
        cuda_graphs: of "torch" on a GPU: record and replay the calls.

    Raises:
        PgtfastError: the library is missing, or the file is damaged or does not fit engine, library, or GPU.
    """
    device = torch.device(device)
    if name not in ENGINES:
        raise PgtfastError(f"engine: wanted one of {', '.join(ENGINES)}, got {name!r}")
    if name == "torch":
        if looks_like_engine(path):
            raise PgtfastError(f"{path}: an engine file; say --engine {read_engine_file(path)[0].engine}")
        from .torch_engine import TorchEngine

        return TorchEngine.open(
            path, device, precision=precision, sha256=file_sha256, channels_last=channels_last, cuda_graphs=cuda_graphs
        )
    if precision != "fp32" or channels_last is not None or not cuda_graphs:
        raise PgtfastError(f"{name}: precision and layout are those of the engine file; only torch takes them here")
    file, payload = read_engine_file(path)
    if file.engine != name:
        raise PgtfastError(f"{path}: an engine for {file.engine}; say --engine {file.engine}, or export for {name}")
    if name == "onnxruntime":
        from .onnx_engine import OnnxEngine

        return OnnxEngine(path, file, device)
    from .tensorrt_engine import FLAVOURS, TensorrtEngine

    return TensorrtEngine(path, file, payload, device, FLAVOURS[name])


def file_sha256(path: str | os.PathLike) -> str:
    """Hash of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
