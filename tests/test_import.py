"""Importing pgtfast is cheap and does nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

STATE = """
import json, sys, threading, warnings
import torch
def state():
    return dict(
        threads=torch.get_num_threads(), interop=torch.get_num_interop_threads(), dtype=str(torch.get_default_dtype()),
        device=str(torch.get_default_device()), grad=torch.is_grad_enabled(),
        deterministic=torch.are_deterministic_algorithms_enabled(),
        tf32=torch.backends.cuda.matmul.allow_tf32, precision=torch.get_float32_matmul_precision(),
        cuda=torch.cuda.is_initialized(),
        filters=len(warnings.filters), python_threads=threading.active_count(), seed=torch.initial_seed())
before = state()
import time
start = time.perf_counter()
import pgtfast
first = time.perf_counter() - start
for name in MODULES:
    getattr(pgtfast, name)
seconds = time.perf_counter() - start
print(json.dumps(dict(before=before, after=state(), first=first, seconds=seconds)))
"""
BLOCK = """
import importlib.abc, sys
ALLOWED = set(sys.stdlib_module_names) | {"numpy", "torch", "pgtfast"}
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        frame, ours = sys._getframe(), False
        while frame is not None and not ours:
            ours = frame.f_globals.get("__name__", "").startswith("pgtfast")
            foreign = frame.f_globals.get("__name__", "").split(".")[0] in ("torch", "numpy")
            if foreign:
                return None
            frame = frame.f_back
        if ours and name.split(".")[0] not in ALLOWED:
            raise ModuleNotFoundError(f"refused {name}", name=name)
        return None
sys.meta_path.insert(0, Refuse())
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def report() -> dict:
    return json.loads(
        run(STATE.replace("MODULES", "('load_body', 'Camera', 'load_vposer', 'ops', 'reference', 'metrics')"))
    )


def test_import_changes_no_setting(report):
    assert report["after"] == report["before"]


def test_import_alone_loads_no_torch():
    assert run("import pgtfast, sys; print('torch' in sys.modules, 'numpy' in sys.modules)").split() == [
        "False",
        "False",
    ]


def test_import_is_quick(report):
    """No timing assertion but a wide one: what a newcomer would notice."""
    assert report["first"] < 0.5
    assert report["seconds"] < 5


def test_the_base_needs_numpy_and_torch_alone():
    """Ops, bodies, priors, cameras and metrics work where no extra is installed."""
    out = run(
        BLOCK
        + """
import torch, pgtfast
from pgtfast import ops, reference, skeletons
body = pgtfast.load_body("free")
plan = body.landmarks("coco17")
points = plan(global_orient=torch.zeros(2, 3), body_pose=torch.zeros(2, 69), betas=torch.zeros(2, 10),
transl=torch.zeros(2, 3))
camera = pgtfast.Camera(focal=torch.full((2, 2), 500.0), center=torch.full((2, 2), 250.0), size=torch.full((2, 2),
500.0))
pgtfast.load_vposer("free").decode(torch.zeros(2, 32))
pgtfast.metrics.pa_mpjpe_mm(points, points)
print(tuple(points.shape))
"""
    )
    assert out.split("\n")[0] == "(2, 17, 3)"


def test_unknown_name_is_an_attribute_error():
    import pgtfast

    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        pgtfast.nonsense  # noqa: B018


def test_every_name_resolves():
    import pgtfast

    for name in pgtfast.__all__:
        getattr(pgtfast, name)
    assert set(dir(pgtfast)) >= {"load_body", "ops", "Camera"}
