from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest


@pytest.fixture
def poses_file(tmp_path):
    """A small file in the layout of the CMU poses: four clips of 30 moderate poses."""
    rng = np.random.default_rng(0)
    poses = rng.normal(0, 0.25, (120, 24, 3)).astype(np.float32)
    path = tmp_path / "poses.npz"
    np.savez(path, poses=poses, src=np.repeat(["a", "b", "c", "d"], 30))
    return path


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A free world of a few small images."""
    pytest.importorskip("pyvista", reason="the extra `report` is not installed")
    folder = tmp_path_factory.mktemp("made") / "world"
    words = ["--images", "24", "--bridge", "8", "--test", "2", "--size", "128x128", "--people", "1..2", "--workers",
             "1", "--quiet"]  # fmt: skip
    subprocess.run([sys.executable, "-m", "pgtfast.synth", str(folder), *words], check=True, capture_output=True)
    return folder
