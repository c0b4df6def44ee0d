"""Model objects of the smplx package as bodies: the same keywords, vertices and joints."""

from __future__ import annotations

import contextlib
import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pgtfast.body import BodyModel, from_smplx, load_body
from tests.body.test_against_smplx import KEYWORDS, TOLERANCE, arguments, as_matrices
from tests.helpers import bodies

smplx = pytest.importorskip("smplx")
MODELS = {"smpl": smplx.SMPL, "smplh": smplx.SMPLH, "smplx": smplx.SMPLX, "mano": smplx.MANO}
LAYERS = {"smpl": smplx.SMPLLayer, "smplh": smplx.SMPLHLayer, "smplx": smplx.SMPLXLayer, "mano": smplx.MANOLayer}
HANDED = ("smplh", "smplx", "mano")


@pytest.fixture(scope="module")
def with_mean_hands(tmp_path_factory):
    """kind -> file of a random body whose mean hands are not flat."""
    folder, made = tmp_path_factory.mktemp("mean_hands"), {}

    def path_of(kind: str):
        if kind not in made:
            rng = np.random.default_rng(5)
            arrays = dict(bodies.body_arrays(kind, shapes=20 if kind == "smplx" else 10))
            for key in arrays:
                if key.startswith("hands_mean"):
                    arrays[key] = (0.3 * rng.normal(size=45)).astype(np.float32)
            made[kind] = bodies.write_pkl(folder / f"{kind.upper()}_NEUTRAL.pkl", arrays)
        return made[kind]

    return path_of


def made(maker, path, **options):
    if maker.__name__.startswith(("SMPLH", "SMPLX", "MANO")):
        options = {"use_pca": False, "num_pca_comps": 45, **options}
    if maker.__name__.startswith("MANO"):
        options["is_rhand"] = True
    with contextlib.redirect_stdout(io.StringIO()):
        return maker(str(path), ext="pkl", **options)


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("kind", MODELS)
def test_a_model_and_its_body_agree(kind, flat, with_mean_hands):
    model = made(
        MODELS[kind], with_mean_hands(kind), batch_size=3, **({"flat_hand_mean": flat} if kind in HANDED else {})
    )
    body = load_body(model)
    assert isinstance(body, BodyModel)
    assert (body.kind, body.num_betas) == (kind, 10)
    assert body.num_expression == (10 if kind == "smplx" else 0)
    assert body.flat_hand_mean is (flat or kind not in HANDED)
    pose, shape, transl = arguments(kind, torch.float32)
    with torch.no_grad():
        theirs = model(**{k: v.clone() for k, v in pose.items()}, **shape, transl=transl)
    ours = body(**pose, **shape, transl=transl)
    assert (ours.vertices - theirs.vertices).abs().max() < TOLERANCE
    points = body.landmarks("smplx")(**pose, **shape, transl=transl)
    assert points.shape == theirs.joints.shape
    assert (points - theirs.joints).abs().max() < TOLERANCE
    double = body.landmarks("smplx").to(dtype=torch.float64)
    exact = double(**{k: v.double() for k, v in {**pose, **shape, "transl": transl}.items()})
    assert (exact - theirs.joints).abs().max() < TOLERANCE


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_measures_from_flat_hands(kind, with_mean_hands):
    layer = made(LAYERS[kind], with_mean_hands(kind))
    body = from_smplx(layer)
    assert body.flat_hand_mean
    pose, shape, transl = arguments(kind, torch.float32)
    matrices = as_matrices(pose)
    with torch.no_grad():
        theirs = layer(**matrices, **shape, transl=transl)
    for given in (pose, matrices):
        assert (body(**given, **shape, transl=transl).vertices - theirs.vertices).abs().max() < TOLERANCE
        assert (body.landmarks("smplx")(**given, **shape, transl=transl) - theirs.joints).abs().max() < TOLERANCE


@pytest.mark.parametrize("kind", HANDED)
def test_a_file_and_a_model_know_the_same_mean_hands(kind, with_mean_hands):
    path = with_mean_hands(kind)
    file = load_body(path, flat_hand_mean=False)
    body = from_smplx(made(MODELS[kind], path, flat_hand_mean=False))
    assert list(file.hands_mean) == list(body.hands_mean) == [name for name in KEYWORDS[kind] if "hand" in name]
    pose, shape, transl = arguments(kind, torch.float32)
    assert (
        file(**pose, **shape, transl=transl).vertices - body(**pose, **shape, transl=transl).vertices
    ).abs().max() < 1e-6
    # nothing given is the mean hand, and a rotation vector on the mean is the sum of both on a flat hand
    flat = load_body(path)
    resting = {name: torch.tensor(mean, dtype=torch.float32) for name, mean in file.hands_mean.items()}
    assert (file().vertices - flat(**resting).vertices).abs().max() < 1e-6
    summed = {name: value + resting.get(name, 0) for name, value in pose.items()}
    assert (file(**pose).vertices - flat(**summed).vertices).abs().max() < 1e-6


def test_what_cannot_be_told_apart_is_refused(with_mean_hands, body_file):
    with pytest.raises(TypeError, match=r"wanted a body's name, a path or a model.*SimpleNamespace lacks v_template"):
        load_body(SimpleNamespace(faces=0))
    flame = SimpleNamespace(
        v_template=0,
        shapedirs=0,
        posedirs=0,
        J_regressor=0,
        lbs_weights=0,
        faces=0,
        parents=torch.tensor([-1, 0, 1, 1, 1]),
    )
    with pytest.raises(TypeError, match="got one of 5 joints"):
        load_body(flame)
    with pytest.raises(ValueError, match="use_pca=False"):
        load_body(made(smplx.SMPLH, with_mean_hands("smplh"), use_pca=True, num_pca_comps=6))
    with pytest.raises(ValueError, match="give none"):
        load_body(made(smplx.SMPL, body_file("smpl")), num_betas=4)
    with pytest.raises(ValueError, match="has no mean hand"):
        load_body(body_file("smpl"), flat_hand_mean=False)
    contour = made(smplx.SMPLX, with_mean_hands("smplx"))
    contour.use_face_contour = True
    with pytest.raises(ValueError, match="use_face_contour=False"):
        load_body(contour)


@pytest.mark.parametrize("kind", ["smpl", "smplx"])
def test_a_joint_mapper_chooses_the_joints(kind, with_mean_hands):
    chosen = [3, 50, 1] if kind == "smplx" else [3, 30, 1]

    def keep(joints, vertices=None):
        return joints[:, chosen]

    model = made(MODELS[kind], with_mean_hands(kind), joint_mapper=keep)
    body = from_smplx(model)
    pose, shape, transl = arguments(kind, torch.float32, batch=1)
    theirs = model(**{k: v.clone() for k, v in pose.items()}, **shape, transl=transl).joints
    assert (body.landmarks("smplx")(**pose, **shape, transl=transl) - theirs).abs().max() < TOLERANCE
    model.joint_mapper = lambda joints, vertices=None: joints[:, chosen] + 0.5
    with pytest.raises(ValueError, match="more than choose joints"):
        from_smplx(model)


def test_the_source_names_the_arrays(body_file):
    model = made(smplx.SMPL, body_file("smpl"))
    first, second = from_smplx(model), from_smplx(made(smplx.SMPLLayer, body_file("smpl")))
    assert first.source.file == "smplx.SMPL"
    assert first.source.sha256 == second.source.sha256
    model.v_template[0, 0] += 1
    assert from_smplx(model).source.sha256 != first.source.sha256
