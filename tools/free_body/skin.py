"""How skin ought to follow bones: the target that linear skinning and pose blend shapes are fitted to.

Plain linear skinning pinches shoulders and collapses elbows. Here every vertex instead follows the best *rigid* motion
of its neighbourhood: linear skinning moves the neighbourhood, the closest rotation and translation are read off, and
they carry the vertex. Detail stays rigid, creases open, and little volume is lost. The idea is that of "delta mush"
smoothing; the bind pose is the artist's own A-pose, half way between arms down and arms up.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, diags, identity

# Radius (standard deviation, metres) of the neighbourhood, by the joint that moves the skin.
_RADIUS = {
    "pelvis": 0.050, "hip": 0.050, "knee": 0.030, "ankle": 0.020, "foot": 0.012, "spine1": 0.06, "spine2": 0.06,
    "spine3": 0.055, "neck": 0.035, "head": 0.025, "collar": 0.050, "shoulder": 0.045, "elbow": 0.026, "wrist": 0.018,
    "hand": 0.010,
}  # fmt: skip
_STEPS = 32


def neighbourhoods(vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray, joint_names: list[str]) -> csr_matrix:
    """Averaging kernel (V, V), rows sum to one: diffusion along the mesh, as far as the radius asks."""
    count = len(vertices)
    a, b = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).T
    link = coo_matrix((np.ones(2 * len(a)), (np.r_[a, b], np.r_[b, a])), (count, count)).tocsr()
    link.data[:] = 1
    link = diags(1 / np.asarray(link.sum(1)).ravel()) @ link
    squared = (vertices**2).sum(1)
    square_edge = link @ squared - 2 * ((link @ vertices) * vertices).sum(1) + squared
    radius = weights @ np.array([_RADIUS[name.split("_")[-1]] for name in joint_names])
    share = np.minimum(2 * radius**2 / (_STEPS * square_edge), 0.9)
    step = (identity(count) - diags(share) + diags(share) @ link).tocsr()
    for _ in range(int(np.log2(_STEPS))):
        step = step @ step
        step.data[step.data < 2e-4] = 0
        step.eliminate_zeros()
        step = (diags(1 / np.asarray(step.sum(1)).ravel()) @ step).tocsr()
    return step


def skin_linearly(vertices: np.ndarray, weights: np.ndarray | csr_matrix, maps: np.ndarray) -> np.ndarray:
    """Linear blend skinning: vertices (V, 3) moved by joint maps (24, 4, 4) with weights (V, 24)."""
    blend = (weights @ maps[:, :3].reshape(len(maps), 12)).reshape(-1, 3, 4)
    return (blend[:, :, :3] @ vertices[:, :, None])[..., 0] + blend[:, :, 3]


def follow_neighbourhood(kernel: csr_matrix, rest: np.ndarray, moved: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Points `own` (n, 3) carried by the best rigid motion of their neighbourhoods from `rest` to `moved` (V, 3).

    kernel (n, V): rows of `neighbourhoods`.
    """
    outer = (moved[:, :, None] * rest[:, None, :]).reshape(-1, 9)
    mean = kernel @ np.concatenate([rest, moved, outer], 1)
    before, after = mean[:, :3], mean[:, 3:6]
    spread = mean[:, 6:].reshape(-1, 3, 3) - after[:, :, None] * before[:, None, :]
    u, _, vt = np.linalg.svd(spread)
    u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    turn = u @ vt
    return (turn @ (own - before)[:, :, None])[..., 0] + after
