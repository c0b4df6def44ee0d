from __future__ import annotations

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
