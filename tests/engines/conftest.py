from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from pgtfast.engines import EngineFile, write_engine_file
from pgtfast.engines._open import file_sha256
from pgtfast.networks.files import load_annotator
from tests.engines.networks import onnx_graphs, write_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("network") / "annotator.ckpt")


@pytest.fixture(scope="session")
def graphs() -> dict[str, bytes]:
    """ONNX models of the network by precision."""
    pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    return onnx_graphs()


@pytest.fixture(scope="session")
def about(checkpoint) -> EngineFile:
    """What the ONNX engine file of the network says of itself."""
    return EngineFile(
        engine="onnxruntime", about=load_annotator(checkpoint).about, weights_sha256=file_sha256(checkpoint),
        precision="fp32",
        opset=18, library="onnx", library_version="1.0", pgtfast_version="0",
    )  # fmt: skip


@pytest.fixture(scope="session")
def onnx_files(tmp_path_factory, graphs, about) -> dict[str, Path]:
    """ONNX engine files by precision."""
    folder = tmp_path_factory.mktemp("engines")
    for precision, graph in graphs.items():
        write_engine_file(folder / f"{precision}.onnx", graph, dataclasses.replace(about, precision=precision))
    return {precision: folder / f"{precision}.onnx" for precision in graphs}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
