"""What must hold of an installed wheel without torch: every module compiles under this Python, and a kernel computes on
NumPy arrays."""

from __future__ import annotations

import compileall
import importlib.util
import sys
from pathlib import Path

import numpy as np

(package,) = importlib.util.find_spec("pgtfast").submodule_search_locations
(module,) = Path(package).glob("_core.*.so")
spec = importlib.util.spec_from_file_location("_core", module)
core = importlib.util.module_from_spec(spec)
spec.loader.exec_module(core)

turns, matrices = np.array([[0.0, 0.0, np.pi / 2]]), np.empty((1, 3, 3))
core.rotvec_to_matrix(turns, matrices, threads=1)
if np.abs(matrices[0] - [[0, -1, 0], [1, 0, 0], [0, 0, 1]]).max() > 1e-12:
    raise SystemExit(f"{module}: a quarter turn is {matrices[0]}")
if not compileall.compile_dir(package, quiet=1, force=True):
    raise SystemExit(f"{package}: not every module compiles")
print(f"Python {sys.version.split()[0]}: {core.build_info()['version']}, all modules compile, kernels compute")
