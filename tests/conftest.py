"""Fixtures and rules of every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

REQUIRED = {"PGTFAST_REQUIRE_SHARED": "shared", "PGTFAST_REQUIRE_CUDA": "needs a gpu"}
"""With the variable set to 1, a skip whose reason holds the words is a failure."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="device of the ops under test: cpu or cuda")


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    device = config.getoption("--device")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise pytest.UsageError(f"--device {device}: torch sees no GPU here")
    if os.environ.get("PGTFAST_REQUIRE_CUDA") == "1" and not device.startswith("cuda"):
        raise pytest.UsageError("PGTFAST_REQUIRE_CUDA=1: run with --device cuda")


def slow_tests() -> tuple[str, ...]:
    """Beginnings of the node ids that slow.txt lists."""
    lines = (Path(__file__).parent / "slow.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what slow.txt lists. Files with slow tests come first, so that no process is left with the longest at the
    end."""
    listed = slow_tests()
    for item in items:
        if item.nodeid.startswith(listed):
            item.add_marker(pytest.mark.slow)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def denormals():
    """Training flushes denormal numbers in its process; what a test made of them must not reach the next."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    """Device of the ops under test, from `--device`."""
    return request.config.getoption("--device")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        for variable, words in REQUIRED.items():
            if os.environ.get(variable) == "1" and words in reason.lower():
                report.outcome = "failed"
                report.longrepr = f"{item.nodeid}: skipped ({reason}) although {variable}=1"
    return report
