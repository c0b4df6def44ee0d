"""The body as a function: batch shapes, argument forms, shaped bodies, landmark specs."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from pgtfast import ops, reference, skeletons
from pgtfast._errors import PgtfastError
from pgtfast.body import load_body
from tests.helpers import bodies

SMALL = 120


@pytest.fixture
def body(tmp_path, implementation):
    path = bodies.write_npz(tmp_path / "body.npz", bodies.body_arrays("smpl", vertices=SMALL))
    return load_body(path).to(dtype=torch.float64)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def arguments(*batch):
    return {
        "global_orient": random(*batch, 3, seed=1), "body_pose": random(*batch, 69, seed=2) * 0.4,
        "betas": random(*batch, 10, seed=3), "transl": random(*batch, 3, seed=4),
    }  # fmt: skip


@pytest.mark.parametrize("batch", [(), (0,), (1,), (2, 3)])
def test_batch_shapes(body, batch):
    out = body(**arguments(*batch))
    assert out.vertices.shape == (*batch, SMALL, 3)
    assert out.joints.shape == (*batch, 24, 3)
    assert body.landmarks([1, 2])(**arguments(*batch)).shape == (*batch, 2, 3)


def test_what_is_not_given_is_rest(body):
    out = body()
    assert torch.allclose(out.vertices, torch.tensor(body.arrays.v_template))
    assert torch.allclose(out.joints, torch.tensor(body.arrays.joint_regressor @ body.arrays.v_template))
    assert torch.allclose(body(transl=torch.ones(2, 3).double()).vertices, out.vertices + 1)


def test_arguments_broadcast(body):
    given = arguments(4)
    given["betas"] = given["betas"][0]
    given["transl"] = given["transl"].view(4, 1, 3)
    out = body(**given).vertices
    assert out.shape == (4, 4, SMALL, 3)
    one = body(
        global_orient=given["global_orient"][2],
        body_pose=given["body_pose"][2],
        betas=given["betas"],
        transl=given["transl"][1, 0],
    )
    assert torch.allclose(out[1, 2], one.vertices)


@pytest.mark.parametrize("batch", [(), (3,), (23,), (1,), (3, 1), (1, 3)])
def test_forms_of_a_pose_are_one(body, batch):
    given = arguments(*batch)
    wanted = body(**given).vertices
    joints = given["body_pose"].unflatten(-1, (23, 3))
    matrices = reference.rotvec_to_matrix(joints)
    orient = reference.rotvec_to_matrix(given["global_orient"])
    forms = [
        (given["global_orient"], joints), (given["global_orient"].unsqueeze(-2), joints),
        (given["global_orient"].unsqueeze(-2), given["body_pose"]), (orient, matrices),
        (orient.unsqueeze(-3), matrices),
    ]  # fmt: skip
    for global_orient, body_pose in forms:
        out = body(global_orient=global_orient, body_pose=body_pose, betas=given["betas"], transl=given["transl"])
        assert out.vertices.shape == wanted.shape
        assert torch.allclose(out.vertices, wanted)
    if batch == (1, 3):  # alone, (1, 3, 3) is one matrix, not a batch of vectors
        return
    root_only = body(global_orient=orient.unsqueeze(-3)).vertices
    assert torch.allclose(root_only, body(global_orient=given["global_orient"]).vertices)


def test_landmarks_are_the_regressor_times_the_mesh(body):
    given = arguments(5)
    out = body(**given)
    dense = random(7, SMALL).numpy() * (random(7, SMALL, seed=9).numpy() > 1)
    wanted = torch.tensor(dense) @ out.vertices
    scipy_sparse = pytest.importorskip("scipy.sparse")
    for spec in (
        dense,
        torch.tensor(dense),
        torch.tensor(dense).to_sparse(),
        scipy_sparse.csr_matrix(dense),
        scipy_sparse.coo_array(dense),
        dense.tolist(),
    ):
        assert torch.allclose(body.landmarks(spec)(**given), wanted)
    everything = body.landmarks(np.eye(SMALL))
    assert torch.allclose(everything(**given), out.vertices)
    picked = body.landmarks({"nose": 5, "tail": 7})
    assert picked.names == ("nose", "tail")
    assert torch.allclose(picked(**given), out.vertices[:, [5, 7]])
    assert torch.allclose(body.landmarks([5, 7])(**given), out.vertices[:, [5, 7]])
    assert body.landmarks(torch.tensor([5, 7]), names=("a", "b")).names == ("a", "b")
    assert torch.allclose(body.joints_plan(**given), out.joints)
    assert torch.allclose(body.landmarks("smpl24")(**given), out.joints)
    assert body.landmarks("smpl24").names == body.joint_names


def test_pairs_are_compact(body):
    terms = body.joints_plan.terms
    assert terms.moments.shape[0] == 0
    assert terms.moment_row.eq(-1).all()
    assert terms.pair_bone.tolist() == list(range(24))
    vertex = body.landmarks([5]).terms
    assert len(vertex.pair_bone) == np.count_nonzero(body.arrays.weights[5])


def test_regressor_files(body, tmp_path):
    scipy_sparse = pytest.importorskip("scipy.sparse")
    dense = (random(3, SMALL) * (random(3, SMALL, seed=5) > 1)).numpy()
    np.save(tmp_path / "J_regressor.npy", dense)
    np.savez(tmp_path / "one.npz", J_regressor=dense, note=np.array("x"))
    for kind in ("csr", "csc", "coo"):
        scipy_sparse.save_npz(tmp_path / f"{kind}.npz", getattr(scipy_sparse, f"{kind}_matrix")(dense))
    (tmp_path / "r.pkl").write_bytes(pickle.dumps(scipy_sparse.csc_matrix(dense)))
    given = arguments(2)
    wanted = torch.tensor(dense) @ body(**given).vertices
    for name in ("J_regressor.npy", "one.npz", "csr.npz", "csc.npz", "coo.npz", "r.pkl"):
        assert torch.allclose(body.landmarks(tmp_path / name)(**given), wanted)
        assert torch.allclose(body.landmarks(str(tmp_path / name))(**given), wanted)
    held = dict(np.load(tmp_path / "csr.npz"))
    for key, value in (
        ("indices", held["indices"] + SMALL),
        ("indptr", held["indptr"][:-1]),
        ("format", np.array(b"bsr")),
    ):
        np.savez(tmp_path / "bad.npz", **{**held, key: value})
        with pytest.raises(PgtfastError, match=r"bad\.npz: not a sparse matrix in coo, csr or csc form"):
            body.landmarks(tmp_path / "bad.npz")
    with pytest.raises(PgtfastError, match=r"missing\.npy: no such regressor file"):
        body.landmarks(tmp_path / "missing.npy")
    np.save(tmp_path / "other.npy", np.ones((17, 6890)))
    with pytest.raises(
        ValueError,
        match=r"other\.npy: wanted \(K, 120\) weights over the vertices of this 'smpl' body, got \(17, 6890\)",
    ):
        body.landmarks(tmp_path / "other.npy")


def test_shaped_body_is_the_body_of_one_shape(body):
    given = arguments(4)
    betas = given.pop("betas")[0]
    shaped = body.shaped(betas)
    wanted, out = body(**given, betas=betas), shaped(**given)
    assert shaped.num_betas == shaped.terms.num_betas == 0
    assert torch.allclose(out.vertices, wanted.vertices)
    assert torch.allclose(out.joints, wanted.joints)
    plan = shaped.landmarks([5, 7])
    assert plan.terms.num_betas == 0
    assert torch.allclose(plan(**given), wanted.vertices[:, [5, 7]])
    with pytest.raises(ValueError, match=r"betas: wanted \(\.\.\., 0\), got \(10,\).*a shaped body takes none"):
        shaped(betas=betas)
    with pytest.raises(ValueError, match=r"betas: wanted one shape \(S,\), got \(4, 10\)"):
        body.shaped(betas.expand(4, 10))


def test_to_returns_copies(body):
    low = body.to(dtype=torch.float32)
    assert (body.dtype, low.dtype, low.terms.dtype) == (torch.float64, torch.float32, torch.float32)
    plan = body.landmarks([5]).to(dtype=torch.float32)
    given = {name: value.float() for name, value in arguments(2).items()}
    assert plan(**given).dtype == low(**given).vertices.dtype == torch.float32
    assert torch.allclose(plan(**given), low(**given).vertices[:, [5]], atol=1e-6)


def test_errors_teach(body):
    cases = [
        ({"body_pose": random(2, 63)}, ValueError, r"body_pose: wanted \(\.\.\., 69\) or \(\.\.\., 23, 3\)"),
        ({"betas": random(2, 9)}, ValueError, r"betas: wanted \(\.\.\., 10\), got \(2, 9\); load_body\(\.\.\., "
                                              r"num_betas"),
        ({"transl": random(2, 4)}, ValueError, r"transl: wanted \(\.\.\., 3\), got \(2, 4\)"),
        ({"betas": random(2, 10).float()}, ValueError, r"betas: wanted torch.float64 on cpu like the body, got "
                                                       r"torch.float32"),
        ({"betas": [0.0] * 10}, TypeError, r"betas: wanted a torch.Tensor, got list"),
        ({"left_hand_pose": random(2, 45)}, TypeError, r"left_hand_pose: this body takes global_orient, body_pose"),
        ({"expression": random(2, 10)}, ValueError, r"expression: wanted \(\.\.\., 0\)"),
        ({"betas": random(2, 10), "transl": random(3, 3)}, ValueError, r"leading batch shapes .* do not broadcast"),
        (
            {"global_orient": random(2, 3), "body_pose": torch.eye(3).double().expand(2, 23, 3, 3)},
            ValueError, r"global_orient: wanted \(\.\.\., 1, 3, 3\) matrices like the other pose arguments, got \(2, "
                        r"3\)",
        ),
        (
            {"global_orient": random(3, 3), "body_pose": torch.eye(3).double().expand(3, 23, 3, 3)},
            ValueError, r"global_orient: wanted \(\.\.\., 1, 3, 3\) matrices",
        ),
    ]  # fmt: skip
    for given, error, message in cases:
        with pytest.raises(error, match=message):
            body(**given)
    for spec, error, message in (
        (
            "coco17",
            PgtfastError,
            r"landmark set 'coco17' picks vertices of the official SMPL mesh .*120 vertices.*it has: smpl24",
        ),
        ("coco99", PgtfastError, r"landmark set 'coco99' is not known on this 'smpl' body .*it has: smpl24"),
        (np.ones((SMALL, 4)), ValueError, r"wanted \(K, 120\) .* got \(120, 4\); transpose it"),
        ({"nose": SMALL}, ValueError, r"landmark 'nose': wanted a vertex index from 0 to 119, got 120"),
        ({"nose": 1.5}, ValueError, r"landmark 'nose': wanted a vertex index"),
        ({}, ValueError, "wanted at least one"),
        (object(), TypeError, r"wanted a set's name, a path, a \(K, V\) array"),
        (np.full((1, SMALL), np.nan), ValueError, "wanted finite weights"),
    ):
        with pytest.raises(error, match=message):
            body.landmarks(spec)
    with pytest.raises(ValueError, match="names: wanted 2 of them"):
        body.landmarks([1, 2], names=["a"])


def test_smpl_sets_on_the_official_mesh(body_file, implementation):
    body = load_body(body_file("smpl"))
    assert set(body.landmark_sets) == {"smpl24", "p2p33", "p2p25", "coco17", "coco17_feet", "smplx45"}
    given = {name: value.float() for name, value in arguments(2).items()}
    mesh = body(**given).vertices
    surface_joints = torch.tensor(body.arrays.joint_regressor).float() @ mesh
    picks = {
        "nose": 331,
        "l_eye": 2802,
        "r_ear": 3990,
        "l_index_1": 2274,
        "r_pinky_1": 5655,
        "l_heel": 3468,
        "r_small_toe": 6713,
    }
    rows = {
        "pelvis": 0,
        "neck": 12,
        "l_hip": 1,
        "r_knee": 5,
        "l_ankle": 7,
        "r_shoulder": 17,
        "l_elbow": 18,
        "r_wrist": 21,
    }
    for name in ("p2p33", "p2p25", "coco17", "coco17_feet"):
        plan, index = body.landmarks(name), skeletons.get(name).index
        assert plan.names == skeletons.get(name).joints
        points = plan(**given)
        for key in index:
            if key in picks:
                assert torch.allclose(points[:, index[key]], mesh[:, picks[key]], atol=1e-5)
            if key in rows:
                assert torch.allclose(points[:, index[key]], surface_joints[:, rows[key]], atol=1e-5)
    hands = load_body(body_file("smplh"))
    assert set(hands.landmark_sets) == {"p2p33", "p2p25", "coco17", "coco17_feet"}


def test_parts_of_smplh_and_smplx(body_file, implementation):
    body = load_body(body_file("smplh"))
    pose = random(2, 51 * 3).float() * 0.3
    whole = body(body_pose=pose).vertices
    parts = body(body_pose=pose[:, :63], left_hand_pose=pose[:, 63:108], right_hand_pose=pose[:, 108:]).vertices
    assert torch.equal(whole, parts)


def test_compiles_whole(tmp_path):
    path = bodies.write_npz(tmp_path / "body.npz", bodies.body_arrays("smpl", vertices=SMALL))
    plan = load_body(path).landmarks([1, 2, 3])
    given = {name: value.float() for name, value in arguments(2).items()}
    compiled = torch.compile(lambda **kw: plan(**kw), fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(**given), plan(**given), atol=1e-6)


@pytest.mark.parametrize("name", ["free", "free-full"])
def test_the_free_body(name, implementation):
    body = load_body(name)
    assert (body.kind, body.gender, body.num_joints, body.num_betas) == ("free", "neutral", 24, 10)
    assert body.num_vertices == 6890 if name == "free-full" else body.num_vertices < 2500
    given = {key: value.float() for key, value in arguments(2).items()}
    mesh = body(**given).vertices
    for set_name in ("coco17", "coco17_feet", "h36m17", "lsp14", "mupots17"):
        plan = body.landmarks(set_name)
        spelled = [skeletons.joint_key(joint) for joint in plan.names]
        assert spelled == list(skeletons.get(set_name).index)
        dense = torch.tensor(body.regressors[set_name].toarray(body.num_vertices)).float()
        assert torch.allclose(plan(**given), dense @ mesh, atol=2e-5)
    for set_name in ("p2p33", "smplx45"):
        with pytest.raises(PgtfastError, match=f"landmark set '{set_name}' picks vertices of the official SMPL mesh"):
            body.landmarks(set_name)
    with pytest.raises(PgtfastError, match=r"regressor files are made for the vertices of the licensed bodies"):
        body.landmarks("J_regressor_h36m.npy")


def test_sets_of_the_free_body_mean_nothing_elsewhere(body_file):
    with pytest.raises(
        PgtfastError,
        match=r"landmark set 'h36m17' is not known on this 'smpl' body .*a regressor file is named by its path",
    ):
        load_body(body_file("smpl")).landmarks("h36m17")


def test_ops_are_what_the_package_uses():
    from pgtfast.body import _landmarks, _model

    assert _model.ops is _landmarks.ops is ops
