"""The CUDA kernels, run on the host block by block: index arithmetic, barriers and order of sums, without a GPU."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .build import CSRC, build


@pytest.mark.slow
def test_kernels_agree_with_the_references_in_any_order_of_threads(tmp_path):
    pybind11 = pytest.importorskip("pybind11", reason="needs pybind11's headers: pip install pybind11")
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None or not CSRC.is_dir():
        pytest.skip("needs a C++ compiler and the source tree")
    module = build(tmp_path, compiler, pybind11.get_include())
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.cuda_emulation.compare", str(module)], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
