"""Arrays -> the terms that the ops read, in float64.

A skinned vertex is linear in its bones and a landmark is linear in the vertices, so the mesh folds away: per (landmark,
bone) pair that shares a vertex, one row ``m = sum_v r_kv w_vj (v_rest - J_j)``, linear in
``[1, betas, pose features]``, and one mass ``c = sum_v r_kv w_vj``. Exact; see docs/landmarks.md.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import torch

from pgtfast.body._arrays import BodyArrays, Regressor
from pgtfast.reference import LandmarkTerms, SkinTerms


def rest_joints(arrays: BodyArrays) -> np.ndarray:
    """(J, 3, 1 + S): rest joints as a linear function of ``[1, betas]``, metres."""
    shape = np.concatenate([arrays.v_template[..., None], arrays.shapedirs], -1)
    return np.einsum("jv,vic->jic", arrays.joint_regressor, shape, optimize=True)


def offsets(arrays: BodyArrays) -> np.ndarray:
    """(J, 3, 1 + S): each rest joint minus its parent's; the root's own position in row 0."""
    joints = rest_joints(arrays)
    out = joints.copy()
    out[1:] -= joints[arrays.parents[1:]]
    return out


def skin_terms(arrays: BodyArrays) -> SkinTerms:
    """The whole mesh, for `ops.vertices`."""
    width = max(1, int(np.count_nonzero(arrays.weights, axis=1).max()))
    bone = np.argsort(-arrays.weights, axis=1, kind="stable")[:, :width]
    weight = np.take_along_axis(arrays.weights, bone, axis=1)
    basis = np.concatenate([arrays.v_template[..., None], arrays.shapedirs, arrays.posedirs], -1)
    return SkinTerms(
        parents=torch.tensor(arrays.parents),
        offsets=torch.from_numpy(offsets(arrays)),
        basis=torch.from_numpy(basis),
        skin_bone=torch.from_numpy(np.where(weight > 0, bone, 0).astype(np.int32)),
        skin_weight=torch.from_numpy(weight),
    )


def landmark_terms(arrays: BodyArrays, regressor: Regressor) -> LandmarkTerms:
    """A landmark set, for `ops.landmarks`: pairs sorted by landmark and then by bone, none that is zero.

    Args:
        arrays: the body.
        regressor: K rows over vertices and, from column V on, kinematic joints.
    """
    vertices = len(arrays.weights)
    shape_columns = 1 + arrays.shapedirs.shape[2]
    columns = shape_columns + arrays.posedirs.shape[2]
    rest = rest_joints(arrays)
    bones, masses, moment_row, counts = [], [], [], []
    moments: list[np.ndarray] = []
    starts = np.searchsorted(regressor.rows, np.arange(len(regressor) + 1))
    for begin, end in itertools.pairwise(starts):
        cols, values = regressor.cols[begin:end], regressor.values[begin:end]
        on_skin = cols < vertices
        used, r = cols[on_skin], values[on_skin]
        shares = r[:, None] * arrays.weights[used]
        mass = shares.sum(0)
        np.add.at(mass, cols[~on_skin] - vertices, values[~on_skin])
        touched = (shares != 0).any(0)
        touched[cols[~on_skin] - vertices] = True
        basis = np.concatenate([arrays.v_template[used][..., None], arrays.shapedirs[used], arrays.posedirs[used]], -1)
        active = np.flatnonzero(touched)
        folded = (shares[:, active].T @ basis.reshape(len(used), 3 * columns)).reshape(-1, 3, columns)
        folded[..., :shape_columns] -= shares[:, active].sum(0)[:, None, None] * rest[active]
        for bone, row in zip(active, folded, strict=True):
            bones.append(bone)
            masses.append(mass[bone])
            moment_row.append(len(moments) if row.any() else -1)
            if row.any():
                moments.append(row)
        counts.append(len(active))
    return LandmarkTerms(
        parents=torch.tensor(arrays.parents),
        offsets=torch.from_numpy(offsets(arrays)),
        moments=torch.from_numpy(np.array(moments).reshape(len(moments), 3, columns)),
        moment_row=torch.tensor(moment_row, dtype=torch.int32),
        pair_bone=torch.tensor(np.array(bones), dtype=torch.int32),
        pair_mass=torch.tensor(np.array(masses), dtype=torch.float64),
        pair_start=torch.tensor(np.concatenate([[0], np.cumsum(counts)]), dtype=torch.int32),
    )


def fold_shape(arrays: BodyArrays, coefficients: np.ndarray) -> BodyArrays:
    """The same body with one shape (S,) in its template and no shape space left."""
    return replace(
        arrays,
        v_template=arrays.v_template + arrays.shapedirs @ coefficients,
        shapedirs=np.zeros((len(arrays.v_template), 3, 0)),
        num_betas=0,
        num_expression=0,
    )
