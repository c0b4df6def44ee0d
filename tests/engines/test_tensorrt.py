"""TensorRT's path up to the GPU: what does not fit is refused, and the goes of a large batch reach the right memory."""

from __future__ import annotations

import ctypes
import dataclasses
import math
import sys

import numpy as np
import pytest
import torch

from pgtfast._errors import PgtfastError
from pgtfast.engines import EngineFile, open_engine, write_engine_file
from pgtfast.engines.engine import INPUT, OUTPUTS, output_shapes
from pgtfast.engines.tensorrt_engine import FLAVOURS, Runner, refuse_misfit
from tests.engines.networks import CONFIG, crops


@pytest.fixture
def rtx(about) -> EngineFile:
    return dataclasses.replace(
        about,
        engine="tensorrt-rtx",
        library="tensorrt-rtx",
        library_version="1.7",
        architectures=("sm86", "sm89"),
        batch=(1, 2, 3),
    )


def test_what_fits_passes(rtx):
    refuse_misfit("e.rtx", rtx, "1.7", "sm89")


@pytest.mark.parametrize(
    ("version", "gpu", "message"),
    [
        ("1.8", "sm89", r"e.rtx: built by tensorrt-rtx 1\.7, installed is 1\.8; .*export it again, or install that "
                        r"version"),
        ("1.7", "sm90", r"e.rtx: built for sm86, sm89, this GPU is sm90; export it again with --arch sm90"),
        ("1.7", None, r"an engine for GPUs \(sm86, sm89\), and the device is none: say --device cuda"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(version, gpu, message, rtx):
    with pytest.raises(PgtfastError, match=message):
        refuse_misfit("e.rtx", rtx, version, gpu)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("tensorrt", "pip install tensorrt"),
        (
            "tensorrt-rtx",
            r"pip install "
            r"'pgtfast\[rtx\]'",
        ),
    ],
)
def test_a_missing_library_is_named(name, command, rtx, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, FLAVOURS[name].module, None)
    write_engine_file(tmp_path / "e", b"plan", dataclasses.replace(rtx, engine=name))
    with pytest.raises(PgtfastError, match=f"--engine {name}: {FLAVOURS[name].module} is not installed: {command}"):
        open_engine(name, tmp_path / "e", "cpu")


def test_an_engine_of_another_version_is_refused_when_it_is_opened(rtx, tmp_path):
    library = pytest.importorskip("tensorrt_rtx")
    write_engine_file(tmp_path / "e", b"plan", rtx)
    with pytest.raises(PgtfastError, match=rf"e: built by tensorrt-rtx 1\.7, installed is {library.__version__}"):
        open_engine("tensorrt-rtx", tmp_path / "e", "cpu")
    write_engine_file(tmp_path / "e", b"plan", dataclasses.replace(rtx, library_version=library.__version__))
    with pytest.raises(PgtfastError, match="the device is none: say --device cuda"):
        open_engine("tensorrt-rtx", tmp_path / "e", "cpu")


class StandIn:
    """An execution context by the names of TensorRT's, on memory of the CPU: each output is filled with a row's own
    sum, times a number of its own.
    """

    def __init__(self, most: int) -> None:
        self.most, self.address, self.counts, self.streams = most, {}, [], []

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        assert name == INPUT
        assert 1 <= shape[0] <= self.most
        self.shape = shape

    def set_tensor_address(self, name: str, address: int) -> None:
        self.address[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        assert list(self.address) == [INPUT, *OUTPUTS]
        sums = self._memory(INPUT, self.shape).reshape(self.shape[0], -1).sum(1)
        for number, (name, shape) in enumerate(output_shapes(CONFIG).items(), 1):
            out = self._memory(name, (self.shape[0], *shape)).reshape(self.shape[0], -1)
            out[:] = number * sums[:, None]
        self.counts.append(self.shape[0])
        self.streams.append(stream)
        return True

    def _memory(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        held = (ctypes.c_float * math.prod(shape)).from_address(self.address[name])
        return np.frombuffer(held, np.float32).reshape(shape)


@pytest.mark.parametrize(("count", "goes"), [(1, [1]), (3, [3]), (7, [3, 3, 1])])
def test_large_batches_run_in_goes(count, goes, rtx):
    context = StandIn(most=3)
    image = crops(count)
    found = Runner(None, context, rtx)(image, stream=5)
    assert context.counts == goes
    assert set(context.streams) == {5}
    sums = image.flatten(1).sum(1)
    for number, values in enumerate(found, 1):
        wanted = (number * sums).reshape(-1, *[1] * (values.ndim - 1)).expand_as(values)
        torch.testing.assert_close(values, wanted, rtol=1e-3, atol=1e-2)


def test_an_engine_that_fails_says_so(rtx):
    context = StandIn(most=3)
    context.execute_async_v3 = lambda stream: False
    with pytest.raises(PgtfastError, match=r"the engine failed on crops \(2, 3, 128, 96\)"):
        Runner(None, context, rtx)(crops(2), stream=0)
