"""Landmark sets of the official meshes: SMPL's of 6,890 vertices, which SMPL-H shares, and SMPL-X's of 10,475."""

from __future__ import annotations

import numpy as np

from pgtfast import skeletons
from pgtfast.body._arrays import BodyArrays, Regressor

SMPL_VERTICES = 6890
SMPLX_VERTICES = 10475

# One vertex for each point of the face, the knuckles and the feet, as Pose2Pose picks them.
_POSE2POSE = {
    "nose": 331, "l_eye": 2802, "r_eye": 6262, "l_ear": 3489, "r_ear": 3990,
    "l_index_1": 2274, "l_middle_1": 2270, "l_ring_1": 2293, "l_pinky_1": 2173,
    "r_index_1": 5595, "r_middle_1": 5675, "r_ring_1": 5636, "r_pinky_1": 5655,
    "l_big_toe": 3292, "l_small_toe": 3313, "l_heel": 3468, "r_big_toe": 6691, "r_small_toe": 6713, "r_heel": 6858,
}  # fmt: skip

# The vertices that the smplx package appends to SMPL's 24 joints; other points than the above.
_SMPLX = {
    "nose": 332, "r_eye": 6260, "l_eye": 2800, "r_ear": 4071, "l_ear": 583,
    "l_big_toe": 3216, "l_small_toe": 3226, "l_heel": 3387, "r_big_toe": 6617, "r_small_toe": 6624, "r_heel": 6787,
    "l_thumb": 2746, "l_index": 2319, "l_middle": 2445, "l_ring": 2556, "l_pinky": 2673,
    "r_thumb": 6191, "r_index": 5782, "r_middle": 5905, "r_ring": 6016, "r_pinky": 6133,
}  # fmt: skip

# The vertices of SMPL-X's mesh that the smplx package appends to its joints.
_ON_SMPLX_MESH = {
    "nose": 9120, "r_eye": 9929, "l_eye": 9448, "r_ear": 616, "l_ear": 6,
    "l_big_toe": 5770, "l_small_toe": 5780, "l_heel": 8846, "r_big_toe": 8463, "r_small_toe": 8474, "r_heel": 8635,
}  # fmt: skip

# Body joints of the sets that are regressed from the posed surface: rows of the body's own joint regressor.
_JOINT_OF = skeletons.get("smpl24").index

SMPL_SETS = ("smpl24", "p2p33", "p2p25", "coco17", "coco17_feet", "smplx45")
SMPLX_SETS = ("coco17", "coco17_feet")


def kinematic(arrays: BodyArrays, count: int | None = None) -> Regressor:
    """The first `count` joints of the tree themselves (not regressed from the surface); all by default."""
    count = len(arrays.parents) if count is None else count
    each = np.arange(count)
    return Regressor(arrays.joint_names[:count], each, len(arrays.weights) + each, np.ones(count))


def on_surface(arrays: BodyArrays, name: str) -> Regressor:
    """A set whose body joints are the joint regressor on the posed surface and whose other points are single
    vertices."""
    joints = skeletons.get(name).joints
    picks = _ON_SMPLX_MESH if arrays.kind == "smplx" else _POSE2POSE
    rows, cols, values = [], [], []
    for at, joint in enumerate(joints):
        key = skeletons.joint_key(joint)
        if key in picks:
            col, value = np.array([picks[key]]), np.ones(1)
        else:
            weights = arrays.joint_regressor[_JOINT_OF[key]]
            col = np.flatnonzero(weights)
            value = weights[col]
        rows.append(np.full(len(col), at))
        cols.append(col)
        values.append(value)
    return Regressor(joints, np.concatenate(rows), np.concatenate(cols), np.concatenate(values))


def smplx45(arrays: BodyArrays) -> Regressor:
    """SMPL's 24 kinematic joints and 21 vertices, the joints that the smplx package returns."""
    skeleton = skeletons.get("smplx45")
    tree = kinematic(arrays, 24)
    picks = [_SMPLX[skeletons.joint_key(joint)] for joint in skeleton.joints[24:]]
    return Regressor(
        skeleton.joints,
        np.arange(45),
        np.concatenate([tree.cols, picks]),
        np.ones(45),
    )


def free_p2p25(arrays: BodyArrays) -> Regressor:
    """Pose2Pose's 25 joints of the free body: kinematic joints, and its own landmarks of face and feet."""
    surface = arrays.regressors["coco17_feet"]
    place = {skeletons.joint_key(joint): at for at, joint in enumerate(surface.names)}
    joints = skeletons.get("p2p25").joints
    rows, cols, values = [], [], []
    for at, joint in enumerate(joints):
        key = skeletons.joint_key(joint)
        if key in _JOINT_OF:
            col, value = np.array([len(arrays.weights) + _JOINT_OF[key]]), np.ones(1)
        else:
            mine = surface.rows == place[key]
            col, value = surface.cols[mine], surface.values[mine]
        rows.append(np.full(len(col), at))
        cols.append(col)
        values.append(value)
    return Regressor(joints, np.concatenate(rows), np.concatenate(cols), np.concatenate(values))


def smpl_set(arrays: BodyArrays, name: str) -> Regressor:
    """One of SMPL_SETS, or of SMPLX_SETS, for a body on its official mesh."""
    if name == "smpl24":
        return kinematic(arrays, 24)
    return smplx45(arrays) if name == "smplx45" else on_surface(arrays, name)
