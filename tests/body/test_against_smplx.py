"""Vertices, joints, landmarks and gradients against the smplx package, on random bodies in the licensed shapes."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import torch

from pgtfast.body import load_body
from tests.helpers import bodies

smplx = pytest.importorskip("smplx")
KEYWORDS = {
    "smpl": {"global_orient": 1, "body_pose": 23},
    "smplh": {"global_orient": 1, "body_pose": 21, "left_hand_pose": 15, "right_hand_pose": 15},
    "smplx": {
        "global_orient": 1,
        "body_pose": 21,
        "jaw_pose": 1,
        "leye_pose": 1,
        "reye_pose": 1,
        "left_hand_pose": 15,
        "right_hand_pose": 15,
    },
    "mano": {"global_orient": 1, "hand_pose": 15},
}
TOLERANCE = 1e-5  # metres


def smplx_layer(kind: str, path, dtype):
    makers = {"smpl": smplx.SMPLLayer, "smplh": smplx.SMPLHLayer, "smplx": smplx.SMPLXLayer, "mano": smplx.MANOLayer}
    extra = {"mano": {"is_rhand": True}, "smplx": {"use_face_contour": False}}.get(kind, {})
    with contextlib.redirect_stdout(io.StringIO()):
        return makers[kind](str(path), ext="pkl", dtype=dtype, num_pca_comps=45, **extra)


def arguments(kind: str, dtype, batch: int = 3):
    rng = np.random.default_rng(1)
    pose = {
        name: torch.tensor(rng.normal(size=(batch, 3 * n)) * 0.6, dtype=dtype) for name, n in KEYWORDS[kind].items()
    }
    shape = {"betas": torch.tensor(rng.normal(size=(batch, 10)), dtype=dtype)}
    if kind == "smplx":
        shape["expression"] = torch.tensor(rng.normal(size=(batch, 10)), dtype=dtype)
    return pose, shape, torch.tensor(rng.normal(size=(batch, 3)), dtype=dtype)


def as_matrices(pose):
    from pgtfast import reference

    return {name: reference.rotvec_to_matrix(value.unflatten(-1, (-1, 3))) for name, value in pose.items()}


@pytest.mark.parametrize("kind", KEYWORDS)
def test_vertices_and_joints(kind, body_file, implementation):
    arrays = bodies.body_arrays(kind, shapes=20 if kind == "smplx" else 10)
    path = (
        body_file(kind) if kind != "smplx" else bodies.write_pkl(body_file("smpl").parent / "SMPLX_NEUTRAL.pkl", arrays)
    )
    body = load_body(path)
    assert body.kind == kind
    assert body.gender == "neutral"
    assert body.num_betas == 10
    pose, shape, transl = arguments(kind, torch.float32)
    out = body(**pose, **shape, transl=transl)
    matrices = as_matrices(pose)
    theirs = smplx_layer(kind, path, torch.float32)(**matrices, **shape, transl=transl)
    assert (out.vertices - theirs.vertices).abs().max() < TOLERANCE
    assert (out.joints - theirs.joints[:, : body.num_joints]).abs().max() < TOLERANCE
    again = body(**matrices, **shape, transl=transl)
    assert (again.vertices - out.vertices).abs().max() < TOLERANCE


@pytest.mark.parametrize("through", ["landmarks", "vertices"])
def test_landmarks_vertices_and_gradients(through, body_file, implementation):
    path = body_file("smpl")
    body = load_body(path).to(dtype=torch.float64)
    layer = smplx_layer("smpl", path, torch.float64)
    rng = np.random.default_rng(2)
    regressor = rng.random((17, 6890)) * (rng.random((17, 6890)) < 0.01)
    regressor /= regressor.sum(1, keepdims=True)
    regressor[:3] *= [[0.5], [1.3], [-2.0]]
    plan = body.landmarks(regressor)
    cotangent = torch.tensor(rng.normal(size=(3, 17, 3)))
    pose, shape, transl = arguments("smpl", torch.float64)
    grads, points = [], []
    for ours in (True, False):
        leaves = {name: value.clone().requires_grad_() for name, value in (pose | shape | {"transl": transl}).items()}
        if ours:
            xyz = plan(**leaves) if through == "landmarks" else torch.tensor(regressor) @ body(**leaves).vertices
        else:
            turned = as_matrices({name: leaves[name] for name in pose})
            mesh = layer(**turned, betas=leaves["betas"], transl=leaves["transl"]).vertices
            xyz = torch.tensor(regressor) @ mesh
        points.append(xyz.detach())
        (xyz * cotangent).sum().backward()
        grads.append({name: leaf.grad for name, leaf in leaves.items()})
    assert (points[0] - points[1]).abs().max() < 1e-9
    for name in grads[0]:
        assert (grads[0][name] - grads[1][name]).norm() < 1e-9 * grads[1][name].norm()


def test_smplx45_is_what_the_package_returns(body_file, implementation):
    path = body_file("smpl")
    body = load_body(path)
    pose, shape, transl = arguments("smpl", torch.float32)
    theirs = smplx_layer("smpl", path, torch.float32)(**as_matrices(pose), **shape, transl=transl).joints
    plan = body.landmarks("smplx45")
    assert (plan(**pose, **shape, transl=transl) - theirs).abs().max() < TOLERANCE


def test_every_vertex_of_smplx45_is_the_packages():
    from smplx.vertex_ids import vertex_ids

    from pgtfast.body._sets import _SMPLX

    spelled = {
        "reye": "r_eye",
        "leye": "l_eye",
        "rear": "r_ear",
        "lear": "l_ear",
        "LBigToe": "l_big_toe",
        "LSmallToe": "l_small_toe",
        "LHeel": "l_heel",
        "RBigToe": "r_big_toe",
        "RSmallToe": "r_small_toe",
        "RHeel": "r_heel",
    }
    spelled |= {
        f"{side}{tip}": f"{side}_{tip}" for side in "lr" for tip in ("thumb", "index", "middle", "ring", "pinky")
    }
    theirs = {spelled.get(name, name): int(vertex) for name, vertex in vertex_ids["smplh"].items()}
    assert theirs == _SMPLX
    assert len(theirs) == 21


def test_points_of_the_face_and_feet_on_the_smplx_mesh_are_the_packages():
    from smplx.vertex_ids import vertex_ids

    from pgtfast.body._sets import _ON_SMPLX_MESH, _SMPLX

    theirs = {int(vertex): name for name, vertex in vertex_ids["smplh"].items()}
    assert {key: vertex_ids["smplx"][theirs[_SMPLX[key]]] for key in _ON_SMPLX_MESH} == _ON_SMPLX_MESH
