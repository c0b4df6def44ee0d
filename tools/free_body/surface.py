"""The mesh: decimation to an exact vertex count with exact left/right pairs, and transfer of attributes onto it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from .rig import MIRROR


@dataclass(frozen=True, eq=False)
class Surface:
    """A closed mesh symmetric in x = 0. faces (F, 3); mirror (V,); resample (V, source V): rows sum to one."""

    faces: np.ndarray
    mirror: np.ndarray
    resample: csr_matrix


def decimate(vertices: np.ndarray, faces: np.ndarray, mirror: np.ndarray, count: int) -> Surface:
    """Reduce a symmetric mesh to exactly `count` vertices: the left half is simplified, the right half mirrors it."""
    half_faces = faces[(vertices[faces, 0] > -1e-9).all(1)]
    used, local = np.unique(half_faces, return_inverse=True)
    half, local = vertices[used].astype(np.float32), local.reshape(-1, 3)
    # A closed sphere-like mesh has 2 V - 4 faces, its half V - 2.
    points, triangles = _simplify_exactly(half, local.astype(np.int32), count - 2)
    points = points.astype(np.float64)
    points[np.abs(points[:, 0]) < 1e-7, 0] = 0
    centre = points[:, 0] == 0
    rows = np.zeros((len(points), len(vertices)))
    _attach_inside(rows, points, np.flatnonzero(~centre), vertices, half_faces)
    _attach_centre(rows, points, np.flatnonzero(centre), vertices, half_faces)
    sides = np.flatnonzero(~centre)
    twin = np.arange(len(points))
    twin[sides] = len(points) + np.arange(len(sides))
    return Surface(
        faces=np.concatenate([triangles, twin[triangles][:, ::-1]]).astype(np.int64),
        mirror=np.concatenate([twin, sides]),
        resample=csr_matrix(np.concatenate([rows, rows[sides][:, mirror]])),
    )


def _simplify_exactly(points: np.ndarray, triangles: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Quadric edge collapse to exactly `count` triangles; a collapse removes two or, on the border, one."""
    import fast_simplification

    for stop in range(60):  # pausing somewhere before the end changes the order, and so the parity
        p, t = points, triangles
        for target in (count + stop, count):
            for eagerness in range(2, 12):
                if len(t) > target:
                    p, t = fast_simplification.simplify(p, t, target_count=target, agg=eagerness)
        if len(t) == count:
            return p, t
    raise ValueError(
        f"no order of collapses gave {count} triangles on the half mesh; choose a neighbouring even vertex count"
    )


def _attach_inside(rows, points, which, vertices, faces) -> None:
    """Write barycentric coordinates of the closest source triangle into `rows` for the points `which`."""
    import trimesh

    touching = [[] for _ in vertices]
    for i, corners in enumerate(faces):
        for c in corners:
            touching[c].append(i)
    corners_used = np.unique(faces)
    near = corners_used[cKDTree(vertices[corners_used]).query(points[which], k=8)[1]]
    for i, around in zip(which, near, strict=True):
        candidates = faces[sorted({t for v in around for t in touching[v]})]
        target = np.repeat(points[i][None], len(candidates), 0)
        closest = trimesh.triangles.closest_point(vertices[candidates], target)
        best = ((closest - points[i]) ** 2).sum(1).argmin()
        share = trimesh.triangles.points_to_barycentric(vertices[candidates[best]][None], closest[best][None])[0]
        share = np.clip(np.nan_to_num(share, nan=1 / 3), 0, 1)
        rows[i, candidates[best]] = share / share.sum()


def _attach_centre(rows, points, which, vertices, faces) -> None:
    """The same for points on the plane x = 0: along the source's edges in that plane, so they stay in it."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = edges[(np.abs(vertices[edges, 0]) < 1e-9).all(1)]
    start, along = vertices[edges[:, 0]], vertices[edges[:, 1]] - vertices[edges[:, 0]]
    for i in which:
        t = np.clip(((points[i] - start) * along).sum(1) / (along**2).sum(1), 0, 1)
        best = ((start + t[:, None] * along - points[i]) ** 2).sum(1).argmin()
        rows[i, edges[best]] = 1 - t[best], t[best]


def mirrored_mean(values: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Vertex vectors (..., V, 3) averaged with their reflection."""
    return (values + values[..., mirror, :] * MIRROR) / 2


def edge_use(faces: np.ndarray) -> tuple[int, bool]:
    """Euler number of a mesh and whether every edge is used once in each direction (closed and oriented)."""
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    forward = {tuple(e) for e in directed.tolist()}
    closed = len(forward) == len(directed) and all((b, a) in forward for a, b in forward)
    return len(np.unique(faces)) - len(directed) // 2 + len(faces), closed
