"""Least squares that turn target meshes into SMPL's numbers: weights, pose blend shapes, shape space, regressors."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls
from scipy.spatial import cKDTree

from .rig import JOINT_MIRROR, MIRROR, PARENTS

_SUBTREE = np.eye(24)  # [j, k]: joint k hangs below joint j or is j
for _j in range(23, 0, -1):
    _SUBTREE[PARENTS[_j]] += _SUBTREE[_j]


def fit_weights(rest, maps, targets, prior, mirror, *, keep=4, trust=2e-3, rounds=400) -> np.ndarray:
    """Skinning weights (V, 24): non-negative, sum to one, at most `keep` per vertex, that bring `rest` onto `targets`.

    rest (V, 3); maps (P, 24, 4, 4); targets (P, V, 3); prior (V, 24) weights to stay near, whose zeros stay zero.
    Accelerated projected gradient on each vertex's normal equations, once with all bones and once with the kept ones.
    """
    count = len(rest)
    gram, right = np.zeros((count, 24, 24)), np.zeros((count, 24))
    for pose, target in zip(maps, targets, strict=True):
        moved = np.einsum("jab,vb->vja", pose[:, :3, :3], rest) + pose[:, :3, 3] - rest[:, None]
        gram += moved @ moved.transpose(0, 2, 1)
        right += (moved @ (target - rest)[:, :, None])[..., 0]
    gram, right = gram / len(maps), right / len(maps)
    gram += trust * np.eye(24)
    right += trust * prior
    allowed = prior > 4e-3
    weights = prior * allowed
    for final in (False, True):
        if final:
            kept = np.argsort(-weights, 1, kind="stable")[:, :keep]
            few = np.zeros_like(allowed)
            np.put_along_axis(few, kept, True, 1)
            allowed &= few & (weights > 4e-3)
        weights = _onto_simplex(weights, allowed)
        step = 1 / np.linalg.norm(gram, 2, axis=(1, 2))[:, None]
        ahead, inertia = weights, 1.0
        for _ in range(rounds):
            gradient = (gram @ ahead[:, :, None])[..., 0] - right
            new = _onto_simplex(ahead - step * gradient, allowed)
            quicker = (1 + np.sqrt(1 + 4 * inertia**2)) / 2
            ahead = new + (inertia - 1) / quicker * (new - weights)
            weights, inertia = new, quicker
        weights = (weights + weights[mirror][:, JOINT_MIRROR]) / 2
    weights = _prune(weights, keep, mirror)
    return weights


def _prune(weights: np.ndarray, keep: int, mirror: np.ndarray) -> np.ndarray:
    """Drop all but the largest weights, never splitting a left/right pair of equals on the centre line."""
    order = -np.sort(-weights, 1)
    limit = order[:, keep][:, None]
    weights = np.where((weights > limit + 1e-9) & (weights > 2e-3), weights, 0)
    weights /= weights.sum(1, keepdims=True)
    return (weights + weights[mirror][:, JOINT_MIRROR]) / 2


def _onto_simplex(values: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Closest points (V, 24) that are non-negative, sum to one and vanish where not allowed."""
    ranked = -np.sort(-np.where(allowed, values, -1e9), 1)
    excess = (np.cumsum(ranked, 1) - 1) / np.arange(1, ranked.shape[1] + 1)
    last = (ranked > excess).sum(1) - 1
    return np.where(allowed, np.maximum(values - excess[np.arange(len(values)), last][:, None], 0), 0)


def fit_pose_blend(features, offsets, spread, mirror, *, ridge=0.02, floor=0.02) -> np.ndarray:
    """Pose blend shapes (V, 3, 207) with features (P, 207) @ blend ~ offsets (P, V, 3), in the rest pose's frame.

    A joint bends a vertex's skin only if the vertex hangs partly below it: `spread` (V, 24) are broad weights, and a
    joint whose subtree holds between `floor` and 1 - `floor` of them takes part, with a ridge that grows as its part
    fades.
    """
    share = spread @ _SUBTREE.T
    part = np.clip(4 * share * (1 - share), 0, 1)[:, 1:]
    gram = features.T @ features / len(features)
    right = np.einsum("pf,pvc->vfc", features, offsets, optimize=True) / len(features)
    blend = np.zeros((len(spread), 3, 207))
    for v in range(len(spread)):
        joints = np.flatnonzero(part[v] > 4 * floor * (1 - floor))
        if not len(joints):
            continue
        columns = (9 * joints[:, None] + np.arange(9)).ravel()
        fade = np.repeat(ridge / part[v, joints], 9)
        blend[v][:, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + np.diag(fade), right[v, columns]).T
    reflected = blend[mirror].reshape(-1, 3, 23, 3, 3)[:, :, JOINT_MIRROR[1:] - 1]
    reflected = reflected * MIRROR[:, None, None, None] * MIRROR[:, None] * MIRROR
    return (blend + reflected.reshape(blend.shape)) / 2


def shape_space(bodies: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (V, 3), directions (V, 3, count) scaled to one standard deviation, and their shares of the variance.

    Every direction's sign makes the body grow taller or, where that says nothing, wider.
    """
    mean = bodies.mean(0)
    flat = (bodies - mean).reshape(len(bodies), -1)
    _, sigma, axes = np.linalg.svd(flat, full_matrices=False)
    directions = (axes[:count] * (sigma[:count, None] / np.sqrt(len(bodies) - 1))).reshape(count, -1, 3)
    growth = np.einsum("kvc,vc->k", directions, mean - mean.mean(0))
    directions *= np.where(growth < 0, -1, 1)[:, None, None]
    return mean, directions.transpose(1, 2, 0), sigma**2 / (sigma**2).sum()


def fit_regressor(points: np.ndarray, skins: np.ndarray, near: np.ndarray, *, most: int) -> np.ndarray:
    """One row (V,): non-negative, sums to one, at most `most` vertices out of `near`, with row @ skins ~ points.

    points (S, 3); skins (S, V, 3); near: candidate vertex ids. Solved on all candidates, then again and again
    on the heaviest of them.
    """
    while True:
        system = skins[:, near].transpose(0, 2, 1).reshape(-1, len(near))
        system = np.concatenate([system, np.full((1, len(near)), 1e2)])
        share, _ = nnls(system, np.append(points.reshape(-1), 1e2), maxiter=50 * len(near))
        heavy = np.argsort(-share, kind="stable")[: (share > 5e-3).sum()]
        if len(heavy) <= most:
            break
        near = near[np.sort(heavy[: max(most, int(0.7 * len(heavy)))])]
    row = np.zeros(skins.shape[1])
    row[near[heavy]] = share[heavy] / share[heavy].sum()
    return row


def around(mean: np.ndarray, point: np.ndarray, count: int, keep: int) -> np.ndarray:
    """Ids of every n-th of the `count` vertices of `mean` (V, 3) closest to `point` (3,), `keep` of them at most."""
    close = cKDTree(mean).query(point, k=min(count, len(mean)))[1]
    return np.sort(close[:: max(1, len(close) // keep)])
