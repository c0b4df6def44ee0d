"""The shipped free bodies, checked with numpy alone (and against smplx where it is installed)."""

from __future__ import annotations

import os
from collections import defaultdict
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

ASSETS = resources.files("pgtfast") / "assets"
SHARED = Path(os.environ.get("PGTFAST_SHARED", Path(__file__).parents[3] / "shared")) / "data"
SETS = {"coco17": 17, "coco17_feet": 23, "h36m17": 17, "lsp14": 14, "mupots17": 17}
PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]
MIRROR = np.array([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module", params=[("free_body", 1722), ("free_body_full", 6890)], ids=["light", "full"])
def asset(request):
    name, count = request.param
    with np.load(ASSETS / f"{name}.npz") as file:  # no pickles inside
        body = {key: file[key] for key in file}
    assert body["v_template"].shape == (count, 3)
    return body


def rodrigues(rotvec):
    angle = np.linalg.norm(rotvec, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(rotvec / np.maximum(angle[..., 0], 1e-12), -1, 0)
    zero = np.zeros_like(x)
    k = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*rotvec.shape[:-1], 3, 3)
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)


def pose_body(body, pose, betas):
    """Vertices (V, 3) and joints (24, 3) of pose (24, 3) and betas (10,): SMPL's formula in float64."""
    shaped = body["v_template"].astype(float) + body["shapedirs"] @ betas
    rest = body["J_regressor"] @ shaped
    turn = rodrigues(pose)
    bent = shaped + body["posedirs"] @ (turn[1:] - np.eye(3)).ravel()
    world, joints = turn.copy(), rest.copy()
    for j in range(1, 24):
        p = PARENTS[j]
        world[j] = world[p] @ turn[j]
        joints[j] = joints[p] + world[p] @ (rest[j] - rest[p])
    moved = np.einsum("jab,vjb->vja", world, bent[:, None] - rest) + joints
    return np.einsum("vj,vja->va", body["weights"], moved), joints


def regressor(body, name):
    row, col, val = (body[f"landmarks/{name}/{part}"] for part in ("row", "col", "val"))
    dense = np.zeros((len(body[f"landmarks/{name}/names"]), len(body["v_template"])))
    dense[row, col] = val
    return list(body[f"landmarks/{name}/names"]), dense


def landmark(body, name, key):
    names, matrix = regressor(body, name)
    return matrix[names.index(key)] @ body["v_template"]


def flipped(name):
    for a, b in (("left_", "right_"), ("L_", "R_")):
        if name.startswith(a):
            return b + name[len(a) :]
        if name.startswith(b):
            return a + name[len(b) :]
    return name


def some_pose(seed):
    return np.random.default_rng(seed).normal(0, 0.35, (24, 3))


def test_has_the_shapes_of_an_smpl_file(asset):
    count = len(asset["v_template"])
    shapes = {"shapedirs": (count, 3, 10), "posedirs": (count, 3, 207), "J_regressor": (24, count)}
    shapes |= {"weights": (count, 24), "kintree_table": (2, 24), "J": (24, 3), "f": (2 * count - 4, 3)}
    assert {key: asset[key].shape for key in shapes} == shapes
    assert asset["f"].dtype == asset["kintree_table"].dtype == np.uint32
    for key in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "J"):
        assert asset[key].dtype == np.float32, key
        assert np.isfinite(asset[key]).all(), key
    np.testing.assert_array_equal(asset["kintree_table"].astype(np.int32), [PARENTS, range(24)])
    assert list(asset["joint_names"][:4]) == ["pelvis", "left_hip", "right_hip", "spine1"]


def test_weights_and_joint_regressor_are_convex(asset):
    assert (asset["weights"] >= 0).all()
    assert (asset["weights"] > 0).sum(1).max() <= 4
    np.testing.assert_allclose(asset["weights"].sum(1), 1, atol=1e-6)
    assert (asset["J_regressor"] >= 0).all()
    np.testing.assert_allclose(asset["J_regressor"].sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(asset["J_regressor"] @ asset["v_template"], asset["J"], atol=1e-6)


def test_mesh_is_closed_and_faces_outwards(asset):
    faces = asset["f"].astype(int)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    key = edges[:, 0] * 10_000 + edges[:, 1]
    assert len(np.unique(key)) == len(key)
    assert np.array_equal(np.sort(key), np.sort(edges[:, 1] * 10_000 + edges[:, 0]))
    assert len(np.unique(faces)) - len(edges) // 2 + len(faces) == 2
    corners = asset["v_template"][faces].astype(float)
    volume = np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    assert 0.045 < volume < 0.095  # cubic metres of an adult


def test_stands_like_an_adult_in_a_t_pose(asset):
    height = np.ptp(asset["v_template"][:, 1])
    assert 1.6 < height < 1.8
    joint = dict(zip(asset["joint_names"], asset["J"], strict=True))
    assert joint["left_wrist"][0] > 0.6
    assert abs(joint["left_wrist"][1] - joint["left_shoulder"][1]) < 0.03
    assert joint["left_foot"][2] > joint["left_ankle"][2] + 0.08  # faces +z
    assert 0.15 < joint["left_hip"][0] - joint["right_hip"][0] < 0.20


def test_is_mirror_symmetric(asset):
    twin = asset["vert_sym_idxs"]
    np.testing.assert_array_equal(twin[twin], np.arange(len(twin)))
    np.testing.assert_allclose(asset["v_template"][twin] * MIRROR, asset["v_template"], atol=1e-6)
    joints = [list(asset["joint_names"]).index(flipped(name)) for name in asset["joint_names"]]
    np.testing.assert_allclose(asset["weights"][twin][:, joints], asset["weights"], atol=1e-6)
    pose, betas = some_pose(0), np.linspace(-2, 2, 10)
    vertices, _ = pose_body(asset, pose, betas)
    reflected, _ = pose_body(asset, pose[joints] * (1, -1, -1), betas)
    np.testing.assert_allclose(reflected[twin] * MIRROR, vertices, atol=2e-5)


@pytest.mark.parametrize("name", SETS)
def test_landmark_rows_are_sparse_convex_and_mirrored(asset, name):
    names, matrix = regressor(asset, name)
    assert len(names) == len(set(names)) == SETS[name]
    assert (matrix >= 0).all()
    assert (matrix > 0).sum(1).max() <= 12
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
    points = matrix @ asset["v_template"]
    for key, point, row in zip(names, points, matrix, strict=True):
        np.testing.assert_allclose(row[asset["vert_sym_idxs"]], matrix[names.index(flipped(key))], atol=1e-7)
        side = 1 if key.lower().startswith("l") else -1 if key.lower().startswith("r") else 0
        assert np.sign(np.round(point[0], 3)) == side, key


@pytest.mark.parametrize("name", SETS)
def test_limb_landmarks_lie_at_the_joints_in_rest_and_in_motion(asset, name):
    names, matrix = regressor(asset, name)
    joint_names = list(asset["joint_names"])
    for seed, tolerance in ((None, 0.015), (1, 0.03), (2, 0.03), (3, 0.03)):
        pose = np.zeros((24, 3)) if seed is None else some_pose(seed)
        vertices, joints = pose_body(asset, pose, np.zeros(10))
        for key, point in zip(names, matrix @ vertices, strict=True):
            joint = key.replace("L_", "left_").replace("R_", "right_").lower()
            if name == "h36m17" and "shoulder" in joint:
                continue  # Human3.6M's lie further in
            if joint.split("_")[-1] in ("shoulder", "elbow", "wrist", "knee", "ankle"):
                distance = np.linalg.norm(point - joints[joint_names.index(joint)])
                assert distance < tolerance, (key, seed)


def test_other_landmarks_are_where_annotators_put_them(asset):
    joint = dict(zip(asset["joint_names"], asset["J"].astype(float), strict=True))
    top = asset["v_template"][:, 1].max()
    floor = asset["v_template"][:, 1].min()

    widths = {"coco17": (0.22, 0.28), "h36m17": (0.24, 0.29), "mupots17": (0.19, 0.25), "lsp14": (0.15, 0.21)}
    for name, (narrow, wide) in widths.items():
        left, right = ("left_hip", "right_hip") if name == "coco17" else ("L_Hip", "R_Hip")
        hip = landmark(asset, name, left)
        assert narrow < hip[0] - landmark(asset, name, right)[0] < wide, name
        above = hip[1] - joint["left_hip"][1]
        assert -0.04 < above < 0 if name == "lsp14" else 0 < above < 0.07, name
    nose, eye, ear = (landmark(asset, "coco17", key) for key in ("nose", "left_eye", "left_ear"))
    front = asset["v_template"][np.abs(asset["v_template"][:, 1] - nose[1]) < 0.02][:, 2].max()
    assert abs(nose[2] - front) < 0.015  # the tip
    assert nose[1] < eye[1] < nose[1] + 0.05
    assert eye[2] > ear[2] + 0.05
    assert 0.05 < 2 * eye[0] < 0.075
    assert 0.12 < 2 * ear[0] < 0.18
    for name in ("h36m17", "lsp14", "mupots17"):
        below = 0.04 if name == "h36m17" else 0.01
        assert abs(top - below - landmark(asset, name, "Head_top")[1]) < 0.015, name
        assert joint["left_shoulder"][1] < landmark(asset, name, "Neck")[1] < joint["head"][1]
    pelvis = landmark(asset, "h36m17", "Pelvis")
    hips = (landmark(asset, "h36m17", "L_Hip") + landmark(asset, "h36m17", "R_Hip")) / 2
    assert np.linalg.norm(pelvis - hips) < 0.015
    assert nose[1] - 0.03 < landmark(asset, "h36m17", "Head")[1] < eye[1] + 0.03
    big, small, heel = (landmark(asset, "coco17_feet", f"L_{key}") for key in ("Big_toe", "Small_toe", "Heel"))
    assert big[2] > small[2] > heel[2] + 0.1
    assert small[0] > big[0] + 0.03  # the little toe is on the outside
    assert max(big[1], small[1], heel[1]) < floor + 0.06


def test_shapes_stay_human_within_two_standard_deviations(asset):
    for k in range(10):
        for size in (-2, 2):
            vertices, joints = pose_body(asset, np.zeros((24, 3)), size * np.eye(10)[k])
            assert 1.35 < np.ptp(vertices[:, 1]) < 2.1, (k, size)
            assert joints[4, 0] > 0.03, (k, size)


def test_raised_arms_keep_their_volume(asset):
    pose = np.zeros((24, 3))
    pose[[16, 17], 2] = 1.1, -1.1
    pose[[13, 14], 2] = 0.35, -0.35
    vertices, _ = pose_body(asset, pose, np.zeros(10))
    corners = np.stack([asset["v_template"].astype(float), vertices])[:, asset["f"].astype(int)]
    rest, raised = np.einsum("nfi,nfi->n", corners[:, :, 0], np.cross(corners[:, :, 1], corners[:, :, 2])) / 6
    assert abs(raised / rest - 1) < 0.03


@pytest.mark.filterwarnings("ignore")
def test_smplx_loads_it_and_agrees(asset, tmp_path):
    smplx = pytest.importorskip("smplx")
    torch = pytest.importorskip("torch")
    path = tmp_path / "SMPL_NEUTRAL.npz"
    np.savez(path, **{key: value for key, value in asset.items() if not key.startswith("landmarks/")})
    data = smplx.utils.Struct(**dict(np.load(path)))
    surface_points = defaultdict(int)  # smplx adds vertices of its own numbering; here any will do
    model = smplx.SMPL(str(path), data_struct=data, dtype=torch.float64, vertex_ids=surface_points)
    pose, betas = some_pose(4), np.linspace(1, -1, 10)
    out = model(
        global_orient=torch.from_numpy(pose[None, 0]),
        body_pose=torch.from_numpy(pose[None, 1:].reshape(1, 69)),
        betas=torch.from_numpy(betas[None]),
    )
    vertices, joints = pose_body(asset, pose, betas)
    np.testing.assert_allclose(out.vertices[0].detach().numpy(), vertices, atol=1e-6)
    np.testing.assert_allclose(out.joints[0, :24].detach().numpy(), joints, atol=1e-6)


def test_real_smpl_poses_reproduce_human36m_joints(asset):
    """SMPL's pose parameters of four Human3.6M frames, with zero betas, against the measured joints."""
    folder = SHARED / "mmpose" / "h36m"
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}")
    measured = np.load(folder / "test_h36m_body3d.npz")["S"][:, :, :3]
    _, matrix = regressor(asset, "h36m17")
    errors = []
    for pose, truth in zip(np.load(folder / "test_h36m.npz")["pose"], measured, strict=True):
        vertices, _ = pose_body(asset, pose.reshape(24, 3), np.zeros(10))
        points = matrix @ vertices
        points, truth = points - points.mean(0), truth - truth.mean(0)
        u, sigma, vt = np.linalg.svd(points.T @ truth)
        turn = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
        aligned = (sigma @ turn).sum() / (points**2).sum() * points @ u @ turn @ vt
        errors.append(1e3 * np.linalg.norm(aligned - truth, axis=1).mean())
    print(f"PA-MPJPE {np.mean(errors):.1f} mm")
    assert max(errors) < 45, errors
    assert np.mean(errors) < 35, errors
