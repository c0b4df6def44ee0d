"""The search for the process's OpenMP does not wait for the loader."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CXX = shutil.which("c++") or shutil.which("g++")


@pytest.mark.skipif(CXX is None, reason="no C++ compiler")
def test_the_search_goes_on_while_another_thread_loads_libraries(tmp_path):
    program, library = tmp_path / "loader_lock", tmp_path / "libempty.so"
    source = Path(__file__).with_name("loader_lock.cpp")
    (tmp_path / "empty.cpp").write_text("int nothing;\n")
    subprocess.run([CXX, "-shared", "-fPIC", "-o", library, tmp_path / "empty.cpp"], check=True)
    subprocess.run([CXX, "-std=c++17", "-O1", "-o", program, source, "-ldl", "-lpthread"], check=True)
    done = subprocess.run([program, library, "2000"], timeout=60, capture_output=True, text=True)
    if done.returncode == 2:
        pytest.skip("no libgomp here")
    assert done.returncode == 0, f"stuck after {done.stdout}"
