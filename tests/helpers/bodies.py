"""Random bodies in the shapes of the licensed ones, written as their files are."""

from __future__ import annotations

import pickle
from functools import cache
from pathlib import Path

import numpy as np

SMPL_PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]


def _hand(wrist: int, first: int) -> list[int]:
    return [parent for finger in range(5) for parent in (wrist, first + 3 * finger, first + 3 * finger + 1)]


PARENTS = {
    "smpl": SMPL_PARENTS,
    "smplh": SMPL_PARENTS[:22] + _hand(20, 22) + _hand(21, 37),
    "smplx": [*SMPL_PARENTS[:22], 15, 15, 15, *_hand(20, 25), *_hand(21, 40)],
    "mano": [-1, *_hand(0, 1)],
}
VERTICES = {"smpl": 6890, "smplh": 6890, "smplx": 10475, "mano": 778}
FACES = {"smpl": 13776, "smplh": 13776, "smplx": 20908, "mano": 1538}


@cache
def body_arrays(kind: str, *, vertices: int | None = None, shapes: int = 10, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays of a random body of that kind: at most four weights a vertex, sparse joint regressor, metres."""
    rng = np.random.default_rng(seed)
    parents = np.array(PARENTS[kind])
    joints, count = len(parents), vertices or VERTICES[kind]
    template = rng.normal(size=(count, 3)) * (0.3, 0.6, 0.15)
    weights = np.zeros((count, joints))
    for vertex in range(count):
        bones = rng.choice(joints, size=rng.integers(1, 5), replace=False)
        shares = rng.multinomial(1024 - len(bones), rng.dirichlet(np.ones(len(bones)))) + 1
        weights[vertex, bones] = shares / 1024  # sums to one exactly, in float32 too
    regressor = np.zeros((joints, count))
    for joint in range(joints):
        picks = rng.choice(count, size=12, replace=False)
        regressor[joint, picks] = rng.dirichlet(np.ones(12))
    table = np.stack([parents, np.arange(joints)]).astype(np.int64)
    arrays = {
        "v_template": template,
        "shapedirs": rng.normal(size=(count, 3, shapes)) * 0.02,
        "posedirs": rng.normal(size=(count, 3, 9 * (joints - 1))).astype(np.float32) * 0.01,
        "J_regressor": regressor,
        "weights": weights,
        "kintree_table": table.astype(np.uint32),
        "f": rng.integers(0, count, size=(FACES[kind] if vertices is None else 20, 3)).astype(np.uint32),
        "J": regressor @ template,
        "bs_type": "lrotmin",
        "bs_style": "lbs",
    }
    if kind in ("smplh", "smplx"):
        for side in "lr":
            arrays[f"hands_components{side}"] = np.eye(45)
            arrays[f"hands_mean{side}"] = np.zeros(45)
        arrays["lmk_faces_idx"] = rng.integers(0, len(arrays["f"]), size=51)
        arrays["lmk_bary_coords"] = rng.dirichlet(np.ones(3), size=51)
    if kind == "mano":
        arrays["hands_components"] = np.eye(45)
        arrays["hands_mean"] = np.zeros(45)
    # float32 values, since smplx rounds a file to float32 on loading whatever the dtype it computes in
    return {
        key: value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype == np.float64 else value
        for key, value in arrays.items()
    }


def write_pkl(path: Path, arrays: dict, protocol: int = 2) -> Path:
    """A pickle of plain arrays with a scipy joint regressor, as SMPL v1.1 comes."""
    from scipy.sparse import csc_matrix

    path.write_bytes(pickle.dumps({**arrays, "J_regressor": csc_matrix(arrays["J_regressor"])}, protocol))
    return path


def write_chumpy_pkl(path: Path, arrays: dict, protocol: int = 2) -> Path:
    """A pickle as Python 2 wrote SMPL v1.0: chumpy holders, old module paths, 8-bit text."""
    from scipy.sparse import csc_matrix

    from tests.helpers.pickles import Python2Writer, chumpy_stub

    with chumpy_stub() as ch:
        held = {key: ch(arrays[key]) for key in ("shapedirs", "v_template", "weights")}
        value = {**arrays, **held, "J_regressor": csc_matrix(arrays["J_regressor"])}
        path.write_bytes(Python2Writer(protocol).dump(value))
    return path


def write_npz(path: Path, arrays: dict) -> Path:
    """An npz, as SMPL-X comes: dense arrays beside dictionaries that need a pickle."""
    np.savez(path, **arrays, joint2num=np.array({"Pelvis": 0}, dtype=object))
    return path
