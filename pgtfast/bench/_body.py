"""A random body in SMPL's exact shape, written in the file layouts that each package reads. Nothing licensed is in
it.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

VERTICES, FACES, JOINTS, BETAS = 6890, 13776, 24, 10
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
LANDMARK_JOINTS = (0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 18, 19, 20, 21)
"""Joints near which the 17 landmarks of the surface lie."""

POSES = 9 * (JOINTS - 1)


@dataclass(frozen=True)
class RandomBody:
    """Arrays of an SMPL file, float64, and a landmark regressor (17, V)."""

    arrays: dict[str, np.ndarray]
    landmarks: np.ndarray

    @property
    def pairs(self) -> int:
        """(landmark, bone) pairs that share a vertex: what landmarks without a mesh cost."""
        return int(((self.landmarks != 0).astype(int) @ (self.arrays["weights"] != 0) > 0).sum())


def random_body(seed: int = 3) -> RandomBody:
    """Clouds of vertices along the bones, skinned to at most four neighbouring bones each."""
    rng = np.random.default_rng(seed)
    joints = np.zeros((JOINTS, 3))
    for j in range(1, JOINTS):
        way = rng.normal(size=3)
        joints[j] = joints[PARENTS[j]] + 0.25 * way / np.linalg.norm(way)
    near = [_neighbours(j) for j in range(JOINTS)]

    bone = np.sort(rng.integers(0, JOINTS, VERTICES))
    parent = np.maximum(np.array(PARENTS), 0)
    along = rng.random((VERTICES, 1))
    template = joints[bone] * along + joints[parent[bone]] * (1 - along) + rng.normal(size=(VERTICES, 3)) * 0.04
    weights = np.zeros((VERTICES, JOINTS))
    for v, count in enumerate(rng.integers(1, 5, VERTICES)):
        owners = near[bone[v]][:count]
        share = rng.random(len(owners)) + 0.1
        weights[v, owners] = share / share.sum()

    arrays = {
        "v_template": template,
        "shapedirs": template[:, :, None] * rng.normal(size=(1, 3, BETAS)) * 0.02
        + rng.normal(size=(VERTICES, 3, BETAS)) * 0.004,
        "posedirs": rng.normal(size=(VERTICES, 3, POSES)) * 0.002,
        "J_regressor": _rows_near(rng, template, joints, (10, 30)),
        "weights": weights,
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], range(JOINTS)], dtype=np.int64),
        "f": np.array([(i % VERTICES, (i + 1) % VERTICES, (i + 2) % VERTICES) for i in range(FACES)], dtype=np.uint32),
    }
    return RandomBody(arrays, _rows_near(rng, template, joints[list(LANDMARK_JOINTS)], (40, 120)))


def _neighbours(j: int) -> list[int]:
    """Up to four bones: the joint's own, its parent, and its first children."""
    children = [k for k, p in enumerate(PARENTS) if p == j]
    return [j, *([PARENTS[j]] if j else []), *children][:4]


def _rows_near(
    rng: np.random.Generator, template: np.ndarray, points: np.ndarray, counts: tuple[int, int]
) -> np.ndarray:
    """Regressor rows: positive weights on the vertices nearest to each point, summing to one. (len(points), V)."""
    rows = np.zeros((len(points), VERTICES))
    for row, point in zip(rows, points, strict=True):
        chosen = np.argsort(((template - point) ** 2).sum(1))[: rng.integers(counts[0], counts[1] + 1)]
        share = rng.random(len(chosen)) + 0.1
        row[chosen] = share / share.sum()
    return rows


def write_body(body: RandomBody, folder: Path) -> None:
    """Write `SMPL_NEUTRAL.npz`, and in `smpl/` the pickles under the names that smplx and smplfitter look for."""
    import scipy.sparse

    (folder / "smpl").mkdir(parents=True, exist_ok=True)
    np.savez(folder / "SMPL_NEUTRAL.npz", **body.arrays)  # type: ignore[arg-type]
    pickled = dict(
        body.arrays, J_regressor=scipy.sparse.csc_matrix(body.arrays["J_regressor"]), bs_style="lbs", bs_type="lrotmin"
    )
    pickled["J"] = body.arrays["J_regressor"] @ body.arrays["v_template"]
    for name in ("SMPL_NEUTRAL.pkl", "basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl"):
        with open(folder / "smpl" / name, "wb") as file:
            pickle.dump(pickled, file, protocol=2)
    np.save(folder / "smpl" / "kid_template.npy", np.zeros((VERTICES, 3)))
