"""The PTX that nvcc makes of the kernels, run thread by thread with every access checked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cuda_emulation.build import CSRC

from .build import build
from .translate import identifiers_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pybind11 = pytest.importorskip("pybind11", reason="needs pybind11's headers: pip install pybind11")
    compiler, nvcc = os.environ.get("CXX") or shutil.which("g++"), shutil.which("nvcc")
    if compiler is None or nvcc is None or not CSRC.is_dir():
        pytest.skip("needs nvcc, a C++ compiler and the source tree")
    return build(tmp_path_factory.mktemp("ptx"), compiler, nvcc, pybind11.get_include())


@pytest.mark.slow
def test_ptx_agrees_with_the_references_and_touches_only_what_it_may(module):
    """One multiprocessor: blocks of many steps; 132: many slices. Accesses are checked whatever the threads' order."""
    for multiprocessors in (1, 132):
        compare(module, multiprocessors)


def compare(module: Path, multiprocessors: int) -> None:
    environment = os.environ | {"EMULATED_SMS": str(multiprocessors), "EMULATED_ORDERS": "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.cuda_emulation.compare", module],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-5000:]
    assert "ptx: " not in done.stderr, done.stderr[-5000:]


def test_names_of_kernels():
    plain = "_ZN3pgt45_GLOBAL__N__3062408c_12_rotations_cu_1e00e50f15vertices_kernelENS_9BodyInputIfEEi"
    template = (
        "_ZN3pgt45_GLOBAL__N__3062408c_12_rotations_cu_1e00e50f10map_kernelILi3ELi9ENS0_10FromRotvecEEEvlPKfPfT1_"
    )
    assert identifiers_of(plain) == ["vertices_kernel"]
    assert identifiers_of(template) == ["map_kernel", "FromRotvec"]
