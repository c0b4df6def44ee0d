"""Body files: every form that exists, names and folders, and one clear line for what is no body."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
import torch

from pgtfast._errors import PgtfastError
from pgtfast.body import BodyFileError, load_body
from pgtfast.files.unpickle import RefusedPickle
from tests.helpers import bodies

SMALL = 120


@pytest.fixture
def arrays():
    return dict(bodies.body_arrays("smpl", vertices=SMALL))


@pytest.mark.parametrize("protocol", range(6))
def test_every_form_of_a_file_is_one_body(arrays, tmp_path, protocol):
    bodies.write_pkl(tmp_path / "a.pkl", arrays, protocol)
    bodies.write_npz(tmp_path / "b.npz", arrays)
    paths = [tmp_path / "a.pkl", tmp_path / "b.npz"]
    if protocol in (0, 2):
        paths.append(bodies.write_chumpy_pkl(tmp_path / "c.pkl", arrays, protocol))
    for path in paths:
        body = load_body(path)
        assert (body.kind, body.gender, body.num_joints, body.num_vertices, body.num_betas) == (
            "smpl",
            "unknown",
            24,
            SMALL,
            10,
        )
        assert np.array_equal(body.arrays.joint_regressor, arrays["J_regressor"])
        assert np.array_equal(body.arrays.shapedirs, arrays["shapedirs"])
        assert body.parents.tolist() == bodies.SMPL_PARENTS
        assert body.faces.dtype == np.int64
        assert len(body.source.sha256) == 64
        assert body.joint_names[16] == "left_shoulder"


@pytest.mark.parametrize("kind", bodies.PARENTS)
def test_kinds(kind, tmp_path):
    body = load_body(bodies.write_npz(tmp_path / "x.npz", bodies.body_arrays(kind, vertices=SMALL)))
    assert body.kind == kind
    assert len(body.joint_names) == len(set(body.joint_names)) == body.num_joints


def test_a_tree_of_64_joints(tmp_path, arrays, monkeypatch):
    rng = np.random.default_rng(0)
    parents = [-1, *(int(rng.integers(0, joint)) for joint in range(1, 64))]
    monkeypatch.setitem(bodies.PARENTS, "tree", parents)
    made = bodies.body_arrays("tree", vertices=SMALL)
    body = load_body(bodies.write_npz(tmp_path / "x.npz", made))
    assert (body.kind, body.num_joints) == ("other", 64)
    assert body.layout.parts == (("global_orient", 1), ("body_pose", 63))
    monkeypatch.setitem(bodies.PARENTS, "tree65", [*parents, 0])
    with pytest.raises(BodyFileError, match=r"kintree_table: wanted 1 to 64 joints, got 65"):
        load_body(bodies.write_npz(tmp_path / "y.npz", bodies.body_arrays("tree65", vertices=SMALL)))


def test_shape_columns(tmp_path):
    many = bodies.write_npz(tmp_path / "many.npz", bodies.body_arrays("smpl", vertices=SMALL, shapes=300))
    assert load_body(many).num_betas == 10
    assert load_body(many, num_betas=300).num_betas == 300
    with pytest.raises(ValueError, match=r"num_betas: .*many\.npz has 300 such coefficients, 301 were asked for"):
        load_body(many, num_betas=301)
    full = bodies.body_arrays("smplx", vertices=SMALL, shapes=400)
    body = load_body(bodies.write_npz(tmp_path / "x.npz", full), num_betas=16, num_expression=50)
    assert (body.num_betas, body.num_expression) == (16, 50)
    assert np.array_equal(body.arrays.shapedirs[..., 16:], full["shapedirs"][..., 300:350])
    small = load_body(bodies.write_npz(tmp_path / "s.npz", bodies.body_arrays("smplx", vertices=SMALL, shapes=20)))
    assert (small.num_betas, small.num_expression) == (10, 10)


@pytest.mark.parametrize(
    ("file", "gender"),
    [
        ("SMPL_MALE.pkl", "male"),
        ("SMPL_FEMALE.pkl", "female"),
        ("basicModel_neutral_lbs_10_207_0_v1.0.0.pkl", "neutral"),
        ("basicModel_f_lbs_10_207_0_v1.0.0.pkl", "female"),
        ("basicmodel_m_lbs_10_207_0_v1.1.0.pkl", "male"),
        ("form.pkl", "unknown"),
    ],
)
def test_gender_from_the_file_name(arrays, tmp_path, file, gender):
    path = bodies.write_pkl(tmp_path / file, arrays)
    assert load_body(path).gender == gender
    if gender == "unknown":
        assert load_body(path, gender="female").gender == "female"
    elif gender == "male":
        with pytest.raises(ValueError, match="is a male body, 'female' was asked for"):
            load_body(path, gender="female")
    with pytest.raises(ValueError, match="gender: wanted one of neutral, male, female, got 'x'"):
        load_body(path, gender="x")


def test_names_are_found_in_folders(arrays, tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "smpl").mkdir(parents=True)
    (second / "smplh" / "male").mkdir(parents=True)
    bodies.write_chumpy_pkl(first / "smpl" / "basicModel_neutral_lbs_10_207_0_v1.0.0.pkl", arrays)
    bodies.write_npz(second / "smplh" / "male" / "model.npz", bodies.body_arrays("smplh", vertices=SMALL))
    bodies.write_npz(second / "SMPLX_FEMALE.npz", bodies.body_arrays("smplx", vertices=SMALL, shapes=20))
    monkeypatch.setenv("PGTFAST_BODY_MODELS", f"{first}:{second}")
    for name, gender, kind in (
        ("smpl", None, "smpl"),
        ("smpl-neutral", None, "smpl"),
        ("smplh", "male", "smplh"),
        ("smplx-female", None, "smplx"),
    ):
        body = load_body(name, gender=gender)
        assert (body.kind, body.gender) == (kind, gender or ("female" if kind == "smplx" else "neutral"))
    with pytest.raises(
        PgtfastError,
        match=r"smpl-male: body file not found; looked in .*first, .*first/smpl, .*second for SMPL_MALE\.npz",
    ):
        load_body("smpl-male")
    with pytest.raises(PgtfastError, match="smplx-male: body file not found"):
        load_body("smplx-male")
    monkeypatch.delenv("PGTFAST_BODY_MODELS")
    with pytest.raises(PgtfastError, match=r"no folder: PGTFAST_BODY_MODELS is not set.*Set PGTFAST_BODY_MODELS"):
        load_body("mano-left")


def test_what_is_no_file(tmp_path):
    with pytest.raises(
        PgtfastError, match="smpl_neutral: no such body file and no known name; names are free, free-full, smpl-neutral"
    ):
        load_body("smpl_neutral")
    with pytest.raises(PgtfastError, match="a folder; name the body file in it"):
        load_body(tmp_path)
    path = tmp_path / "body.obj"
    path.write_text("v 0 0 0")
    with pytest.raises(BodyFileError, match=r"body\.obj: a body file ends in \.pkl or \.npz"):
        load_body(path)


def broken(key: str, change) -> dict:
    arrays = dict(bodies.body_arrays("smpl", vertices=SMALL))
    arrays[key] = change(arrays[key])
    return arrays


def put(at, value):
    def change(array):
        array = array.copy()
        array[at] = value
        return array

    return change


BROKEN = [
    ("v_template", lambda a: a[:-1], r"shapedirs: wanted shape \(119, 3, 10\), got \(120, 3, 10\)"),
    ("v_template", put((3, 1), np.nan), r"v_template: wanted finite numbers, got 1 that are not"),
    ("v_template", lambda a: "hello", r"v_template: wanted an array of numbers, got an array of <U5"),
    ("posedirs", lambda a: a[..., :200], r"posedirs: wanted shape \(120, 3, 207\), got \(120, 3, 200\)"),
    ("posedirs", put((0, 0, 0), np.inf), r"posedirs: wanted finite"),
    ("shapedirs", lambda a: a[..., 0], r"shapedirs: wanted \(V, 3, S\), got \(120, 3\)"),
    ("weights", lambda a: a * 1.01, r"weights: wanted rows that sum to one, got 1.01 at vertex"),
    ("weights", put((5, 0), -0.5), r"weights: wanted no negative weights, got -0.5"),
    ("weights", lambda a: a[:, :23], r"weights: wanted shape \(120, 24\), got \(120, 23\)"),
    ("J_regressor", lambda a: a[:, :-1], r"joint_regressor: wanted shape \(24, 120\), got \(24, 119\)"),
    ("kintree_table", put((0, 5), 9), r"kintree_table: wanted a parent before joint 5, got 9"),
    ("kintree_table", put((0, 5), 77), r"kintree_table: wanted a parent before joint 5"),
    ("kintree_table", put((0, 5), 4294967295), r"kintree_table: wanted a parent before joint 5, got -1"),
    ("kintree_table", put((0, 0), 0), r"kintree_table: wanted a root marker \(-1 or 4294967295\) at joint 0, got 0"),
    ("kintree_table", lambda a: a[:, ::-1], r"kintree_table: wanted joints 0 to 23 in order"),
    ("kintree_table", lambda a: a[0], r"kintree_table: wanted \(2, J\) whole numbers"),
    ("f", put((0, 0), 120), r"faces: wanted vertex indices below 120"),
    ("f", lambda a: a + 0.5, r"f: wanted whole numbers"),
    ("bs_type", lambda a: "quaternions", r"bs_type: wanted 'lrotmin' \(linear blend skinning\), got 'quaternions'"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "change", "message"), BROKEN, ids=[f"{i}-{row[0]}" for i, row in enumerate(BROKEN)])
def test_contradictions_are_named(key, change, message, tmp_path):
    path = bodies.write_npz(tmp_path / "bad.npz", broken(key, change))
    with pytest.raises(BodyFileError, match=r"bad\.npz: " + message):
        load_body(path)


def test_missing_keys_and_other_contents_are_named(tmp_path, arrays):
    del arrays["weights"], arrays["f"]
    with pytest.raises(BodyFileError, match=r"not a body file: it lacks weights, f \(it has v_template"):
        load_body(bodies.write_npz(tmp_path / "x.npz", arrays))
    (tmp_path / "x.pkl").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(BodyFileError, match=r"x\.pkl: wanted a dictionary of arrays, got a list"):
        load_body(tmp_path / "x.pkl")
    (tmp_path / "y.pkl").write_bytes(b"cos\nsystem\n(S'touch /tmp/never'\ntR.")
    with pytest.raises(RefusedPickle, match=r"y\.pkl: refused 'os\.system'"):
        load_body(tmp_path / "y.pkl")


def test_a_file_of_zeros_loads_and_says_so(tmp_path):
    zeros = {
        key: np.zeros_like(value) if key != "kintree_table" and not isinstance(value, str) else value
        for key, value in bodies.body_arrays("smpl", vertices=SMALL).items()
    }
    path = bodies.write_npz(tmp_path / "zeros.npz", zeros)
    with pytest.warns(
        UserWarning, match=r"zeros\.npz: v_template, weights, joint_regressor all zero: a placeholder file"
    ) as seen:
        body = load_body(path)
    assert seen[0].filename == __file__
    assert not body(transl=torch.zeros(2, 3)).vertices.any()


def test_signed_root_marker_and_no_pose_blend_shapes(tmp_path, arrays):
    arrays["kintree_table"] = np.stack([bodies.SMPL_PARENTS, np.arange(24)])
    del arrays["posedirs"]
    body = load_body(bodies.write_npz(tmp_path / "x.npz", arrays))
    assert body.terms.basis.shape == (SMALL, 3, 11)
    assert body.landmarks([3]).terms.moments.shape[-1] == 11


def test_weights_are_divided_by_their_sum(tmp_path, arrays):
    weights = arrays["weights"].astype(np.float64)
    arrays["weights"] = weights * 1.0009
    body = load_body(bodies.write_npz(tmp_path / "x.npz", arrays))
    assert np.abs(body.arrays.weights - weights).max() < 1e-15


def test_loading_is_silent_and_arrays_are_frozen(tmp_path, arrays):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        body = load_body(bodies.write_npz(tmp_path / "x.npz", arrays))
    with pytest.raises(ValueError, match="read-only"):
        body.arrays.v_template[0] = 1
