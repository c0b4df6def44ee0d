"""Parameters of the op tests: dtypes by device, variants by test class."""

from __future__ import annotations

import pytest
import torch

from pgtfast import _core
from pgtfast.ops import _border

from .harness import BATCHES, ISA_NAMES, CoreWith


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names = metafunc.fixturenames
    if "dtype" in names:  # the CUDA kernels are float32 only
        cuda = metafunc.config.getoption("--device").startswith("cuda")
        dtypes = [torch.float32] if cuda else [torch.float32, torch.float64]
        metafunc.parametrize("dtype", dtypes, ids=lambda d: str(d).removeprefix("torch."))
    if "variant" in names:
        metafunc.parametrize("variant", list(metafunc.cls.variants))
    if "batch" in names:
        metafunc.parametrize("batch", BATCHES, ids=str)
    if "argument" in names:
        metafunc.parametrize("argument", list(metafunc.cls().build((2,))))


@pytest.fixture
def on_cpu(device: str) -> None:
    """For tests of the CPU kernels alone."""
    if device != "cpu":
        pytest.skip("tests the CPU kernels; run without --device cuda")


@pytest.fixture(params=ISA_NAMES)
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, on_cpu: None) -> str:
    """Makes every kernel run with one instruction set."""
    index = ISA_NAMES.index(request.param)
    if index > ISA_NAMES.index(_core.build_info()["cpu_isa"]):
        pytest.skip(f"this processor has no {request.param}")
    monkeypatch.setattr(_border, "_core", CoreWith(isa=index))
    return request.param
