"""What runs on a GPU alone: `pytest --device cuda`."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from pgtfast.engines import open_engine, write_engine_file
from pgtfast.engines.tensorrt_engine import FLAVOURS, architecture
from tests.engines.networks import CONFIG, crops
from tests.engines.test_engines import EXACT, HALF, check_close


@pytest.fixture
def cuda(device) -> torch.device:
    if not device.startswith("cuda"):
        pytest.skip("needs a GPU: --device cuda")
    return torch.device(device)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_graphs_replay_what_calls_compute(precision, channels_last, cuda, checkpoint):
    engine = open_engine("torch", checkpoint, cuda, precision=precision, channels_last=channels_last)
    wanted = open_engine("torch", checkpoint)
    for count, seed in ((2, 0), (5, 1), (2, 2), (5, 3)):
        found = engine(crops(count, seed=seed).to(cuda))
        check_close(
            type(found)(*(t.cpu() for t in found)),
            wanted(crops(count, seed=seed)),
            EXACT if precision == "fp32" else HALF,
        )


def test_onnxruntime_with_the_cuda_provider(cuda, checkpoint, onnx_files):
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("needs a GPU build of onnxruntime")
    found = open_engine("onnxruntime", onnx_files["fp32"], cuda)(crops(3).to(cuda))
    check_close(type(found)(*(t.cpu() for t in found)), open_engine("torch", checkpoint)(crops(3)), EXACT)


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_tensorrt(name, precision, cuda, checkpoint, graphs, about, tmp_path):
    from pgtfast.export._tensorrt import build

    flavour = FLAVOURS[name]
    pytest.importorskip(flavour.module)
    here = (architecture(cuda),) if flavour.ahead_of_time else ()
    built = build(graphs[precision], flavour, CONFIG.input_size, batch=(1, 2, 4), architectures=here)
    file = dataclasses.replace(
        about, engine=name, precision=precision, library=name, library_version=built.library_version,
        architectures=built.architectures,
        gpu=built.gpu, batch=(1, 2, 4),
    )  # fmt: skip
    write_engine_file(tmp_path / "e", built.plan, file)
    engine = open_engine(name, tmp_path / "e", cuda)
    for count in (1, 4, 7):
        found = engine(crops(count).to(cuda))
        check_close(
            type(found)(*(t.cpu() for t in found)),
            open_engine("torch", checkpoint)(crops(count)),
            EXACT if precision == "fp32" else HALF,
        )
