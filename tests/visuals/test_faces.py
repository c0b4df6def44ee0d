"""The face renderer against rays cast one by one."""

from __future__ import annotations

import numpy as np
import pytest

from pgtfast.visuals import FaceRenderer

SIZE, FOCAL, CENTER = (48, 40), (50.0, 44.0), (23.1, 20.4)


def triangles(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles strewn before the camera."""
    rng = np.random.default_rng(count)
    middle = rng.uniform((-1, -1, 2), (1, 1, 5), (count, 1, 3))
    return (middle + rng.uniform(-0.6, 0.6, (count, 3, 3))).reshape(-1, 3), np.arange(3 * count).reshape(count, 3)


def cast(vertices: np.ndarray, faces: np.ndarray, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) nearest face and, for each sample, how far inside that triangle it is."""
    u, v = ((np.arange(n * samples) + 0.5) / samples - 0.5 for n in SIZE)
    u, v = np.meshgrid(u, v)
    rays = np.stack([(u - CENTER[0]) / FOCAL[0], (v - CENTER[1]) / FOCAL[1], np.ones_like(u)], -1)
    weights = np.einsum("fij,hwj->hwfi", np.linalg.inv(vertices[faces].transpose(0, 2, 1)), rays)
    depth = 1 / weights.sum(-1)
    inner = (weights * depth[..., None]).min(-1)
    depth[(inner < 0) | (depth < 0)] = np.inf
    return np.where(np.isfinite(depth.min(-1)), depth.argmin(-1), -1), np.abs(inner).min(-1)


@pytest.mark.parametrize("samples", [1, 2])
def test_every_sample_sees_the_nearest_triangle(samples):
    with FaceRenderer(SIZE, samples) as renderer:
        for count in (12, 3, 40):  # one renderer, other meshes: nothing of the former picture stays
            vertices, faces = triangles(count)
            found = renderer.render(vertices, faces, focal=FOCAL, center=CENTER)
            wanted, clear = cast(vertices, faces, samples)
            assert found.shape == wanted.shape
            assert (found == wanted)[clear > 0.02].all()
            assert (found >= 0).any()


def test_numbers_beyond_two_bytes():
    vertices, faces = triangles(1)
    many = np.concatenate([np.zeros((70000, 3), np.int64), faces])
    with FaceRenderer(SIZE) as renderer:
        assert renderer.render(vertices, many, focal=FOCAL, center=CENTER).max() == 70000
