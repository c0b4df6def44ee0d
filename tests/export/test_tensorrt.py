"""Engines of TensorRT-RTX built ahead of time, without a GPU."""

from __future__ import annotations

import sys

import pytest
from onnx import load_model_from_string

from pgtfast._errors import PgtfastError
from pgtfast.engines.tensorrt_engine import FLAVOURS, Flavour
from pgtfast.export import _tensorrt
from pgtfast.export._tensorrt import build, check_sampling, layer_types
from tests.engines.networks import CONFIG
from tests.export.test_onnx import mode

trt = pytest.importorskip("tensorrt_rtx", reason="the extra `rtx` is not installed")
RTX = FLAVOURS["tensorrt-rtx"]
OPTIONS = {"crop": CONFIG.input_size, "batch": (1, 4, 8)}
HEADER = b"vtrt"
"""What serialised engines of TensorRT-RTX begin with."""


def parsed(content: bytes):
    """A strongly typed network, with what keeps it alive."""
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(content)
    return network, (logger, builder, parser)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize(
    "architectures",
    [("sm75",), ("sm80",), ("sm86",), ("sm89",), ("sm120",), ("sm75", "sm80", "sm86", "sm89", "sm120")],
    ids=",".join,
)
def test_engines_for_named_architectures(precision, architectures, graphs):
    built = build(graphs[precision], RTX, architectures=architectures, **OPTIONS)
    assert built.architectures == architectures
    assert built.library_version == trt.__version__
    assert built.gpu == ""
    assert built.plan[:4] == HEADER
    weights = sum(len(w.raw_data) for w in load_model_from_string(graphs[precision]).graph.initializer)
    assert len(built.plan) > 0.9 * weights


def test_precisions_are_those_of_the_graph(graphs):
    network, _keep = parsed(graphs["fp16"])
    types = layer_types(network)
    assert types["CONVOLUTION", "HALF"] == 20
    assert types["CONVOLUTION", "FLOAT"] == 2 + 4  # positions and pooled features; the four heads
    assert types["GRID_SAMPLE", "FLOAT"] == 1
    network, _keep = parsed(graphs["fp32"])
    assert not any(kind == "HALF" for _, kind in layer_types(network))


def test_the_parsed_sampling_is_bilinear(graphs):
    network, _keep = parsed(graphs["fp32"])
    check_sampling(network, trt)
    model = load_model_from_string(graphs["fp32"])
    mode(b"nearest")(model)
    with pytest.raises(PgtfastError, match=r"the parser read the sampling as \['NEAREST'\]"):
        build(model.SerializeToString(), RTX, architectures=("sm89",), **OPTIONS)


def test_what_the_library_refuses_is_said(graphs):
    with pytest.raises(PgtfastError, match=r"--arch sm70: tensorrt-rtx .* does not build for it"):
        build(graphs["fp32"], RTX, architectures=("sm70",), **OPTIONS)
    with pytest.raises(PgtfastError, match="cannot read the ONNX graph"):
        build(b"something else", RTX, architectures=("sm89",), **OPTIONS)


def test_a_timing_cache_is_tensorrt_s_alone(graphs, tmp_path):
    with pytest.raises(PgtfastError, match="--timing-cache: tensorrt-rtx measures nothing when it builds"):
        build(graphs["fp32"], RTX, architectures=("sm89",), timing_cache=tmp_path / "cache", **OPTIONS)


def test_tensorrt_builds_for_the_gpu_of_the_machine(graphs, monkeypatch):
    tensorrt = FLAVOURS["tensorrt"]
    with pytest.raises(PgtfastError, match="--arch: tensorrt builds for the GPU of this machine alone"):
        build(graphs["fp32"], tensorrt, architectures=("sm89",), **OPTIONS)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(PgtfastError, match=r"--engine tensorrt: tensorrt is not installed: pip install tensorrt"):
        build(graphs["fp32"], tensorrt, architectures=(), **OPTIONS)


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")
def test_the_path_of_tensorrt_on_the_module_of_tensorrt_rtx(graphs, tmp_path, monkeypatch):
    """TensorRT itself is not at hand. Its sister has the same names, timing cache included (there it does nothing);
    only the GPU is made up.
    """
    monkeypatch.setattr(_tensorrt, "_gpu_of_this_machine", lambda flavour: ("Some GPU", "sm89"))
    flavour = Flavour("tensorrt", "tensorrt_rtx", "", ahead_of_time=False)
    for _ in range(2):
        built = build(graphs["fp16"], flavour, architectures=(), timing_cache=tmp_path / "cache", **OPTIONS)
        assert (tmp_path / "cache").stat().st_size > 0
    assert (built.gpu, built.architectures) == ("Some GPU", ("sm89",))
    assert built.plan[:4] == HEADER


def test_tensorrt_needs_a_gpu_to_build():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(
        PgtfastError, match="torch sees none here; --engine tensorrt-rtx --arch sm89 builds without one"
    ):
        _tensorrt._gpu_of_this_machine(FLAVOURS["tensorrt"])
