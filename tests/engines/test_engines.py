"""Engines of one network give one answer."""

from __future__ import annotations

import sys

import pytest
import torch

from pgtfast._errors import PgtfastError
from pgtfast.engines import open_engine
from pgtfast.engines.lowered import Lowered
from pgtfast.networks import Prediction
from pgtfast.networks.files import load_annotator
from tests.engines.networks import CONFIG, crops, lively

EXACT = {"position": 2e-5, "root_6d": 2e-5, "pose": 2e-5, "betas": 2e-5, "camera": 2e-5}
HALF = {"position": 5e-2, "root_6d": 2e-2, "pose": 2e-2, "betas": 2e-2, "camera": 2e-2}


def check_close(found: Prediction, wanted: Prediction, tolerance: dict[str, float]) -> None:
    for name, a, b in zip(Prediction._fields, found, wanted, strict=True):
        assert a.dtype == torch.float32
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance[name], msg=lambda m, name=name: f"{name}: {m}")


@pytest.fixture(scope="module")
def plain(checkpoint):
    """The network itself, called as a module."""
    network = load_annotator(checkpoint).network
    return lambda image: Prediction(*(t.detach() for t in network(image)))


def test_torch_is_the_network(checkpoint, plain):
    engine = open_engine("torch", checkpoint)
    check_close(engine(crops(3)), plain(crops(3)), EXACT)
    assert engine.name == "torch"
    assert engine.origin.about.sets == ("p2p25", "coco17")


def test_folding_and_pointwise_heads_change_nothing():
    network = lively(seed=3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    lowered = Lowered(network)
    with torch.no_grad():
        check_close(lowered(crops(4)), network(crops(4)), EXACT)
    assert not any(isinstance(m, torch.nn.BatchNorm2d | torch.nn.Linear) for m in lowered.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_fp16_is_the_backbone_alone(checkpoint, plain):
    engine = open_engine("torch", checkpoint, precision="fp16")
    assert engine.name == "torch fp16"
    check_close(engine(crops(3)), plain(crops(3)), HALF)
    difference = (engine(crops(3)).pose - plain(crops(3)).pose).abs().max()
    assert difference > 1e-5, "it computes in float32"
    types = {name.split(".")[0]: p.dtype for name, p in engine._network.named_parameters()}
    assert types == {"backbone": torch.float16, "position_net": torch.float32, "rotation_net": torch.float32}


def test_channels_last_is_a_layout(checkpoint, plain):
    for laid in ({}, {"channels_last": True}):
        check_close(open_engine("torch", checkpoint, **laid)(crops(3)), plain(crops(3)), EXACT)


def test_threads_share_the_crops_of_a_batch(checkpoint, onnx_files, plain):
    torch.set_num_threads(3)  # one_thread sets it back
    engines = open_engine("torch", checkpoint), open_engine("onnxruntime", onnx_files["fp32"])
    for count in (1, 2, 3, 7):
        for engine in engines:
            check_close(engine(crops(count)), plain(crops(count)), EXACT)
    assert torch.get_num_threads() == 3, "the caller's own"


@pytest.mark.parametrize("count", [1, 2, 7])
def test_onnxruntime_agrees_whatever_the_batch(count, onnx_files, plain):
    engine = open_engine("onnxruntime", onnx_files["fp32"])
    assert engine.provider == "CPUExecutionProvider"
    check_close(engine(crops(count)), plain(crops(count)), EXACT)


def test_onnxruntime_fp16(onnx_files, plain):
    engine = open_engine("onnxruntime", onnx_files["fp16"])
    assert engine.name == "onnxruntime fp16"
    found = engine(crops(3))
    check_close(found, plain(crops(3)), HALF)
    assert (found.pose - plain(crops(3)).pose).abs().max() > 1e-5, "it computes in float32"


def test_onnxruntime_on_the_tensors_own_memory(onnx_files):
    """What the CUDA provider is called with, on the CPU."""
    engine = open_engine("onnxruntime", onnx_files["fp32"])
    for found, wanted in zip(engine._run_bound(crops(3)), engine(crops(3)), strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("name", ["torch", "onnxruntime"])
def test_nobody_is_no_body(name, checkpoint, onnx_files):
    engine = open_engine(name, checkpoint if name == "torch" else onnx_files["fp32"])
    found = engine(crops(0))
    assert [tuple(t.shape) for t in found] == [(0, 25, 3), (0, 6), (0, 32), (0, 10), (0, 3)]


def test_earlier_answers_stay(onnx_files):
    engine = open_engine("onnxruntime", onnx_files["fp32"])
    first = engine(crops(2))
    kept = [t.clone() for t in first]
    engine(crops(2, seed=1))
    assert all(torch.equal(a, b) for a, b in zip(first, kept, strict=True))


def test_crops_of_another_kind_are_refused(checkpoint):
    engine = open_engine("torch", checkpoint)
    for image, message in (
        (torch.zeros(1, 3, 96, 128), r"wanted \(B, 3, 128, 96\), got \(1, 3, 96, 128\)"),
        (torch.zeros(3, 128, 96), r"wanted \(B, 3, 128, 96\)"),
        (torch.zeros(1, 3, 128, 96, dtype=torch.float16), "wanted float32"),
        (torch.zeros(1, 3, 128, 96, device="meta"), "wanted crops on cpu"),
    ):
        with pytest.raises(PgtfastError, match=message):
            engine(image)


def test_options_of_torch_are_refused_elsewhere(onnx_files):
    for option in ({"precision": "fp16"}, {"channels_last": True}, {"cuda_graphs": False}):
        with pytest.raises(PgtfastError, match="only torch takes them"):
            open_engine("onnxruntime", onnx_files["fp32"], **option)


def test_no_provider_takes_the_place_of_another(onnx_files):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has the CUDA provider")
    with pytest.raises(PgtfastError, match="has no CUDAExecutionProvider: pip install onnxruntime-gpu"):
        open_engine("onnxruntime", onnx_files["fp32"], "cuda")


def test_a_missing_library_is_named(onnx_files, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(PgtfastError, match=r"onnxruntime is not installed: pip install 'pgtfast\[export\]'"):
        open_engine("onnxruntime", onnx_files["fp32"])


def test_the_engine_says_what_it_is(onnx_files):
    engine = open_engine("onnxruntime", onnx_files["fp16"])
    assert repr(engine) == "OnnxEngine(onnxruntime fp16, crops (B, 3, 128, 96), cpu)"
    assert engine.config == CONFIG
