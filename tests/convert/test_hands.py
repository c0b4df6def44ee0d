"""SMPL-X, SMPL-H and MANO: hands, jaw, eyes and expression go through every format that has them, and hands know what
they are measured from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.formats.bedlam import BEDLAM
from pgtfast.formats.humandata import HUMANDATA
from pgtfast.formats.neuralannot import ITW
from pgtfast.people import layout_of
from pgtfast.people.table import objects
from tests.formats.synthetic import by_id, people, read, with_parameters, write
from tests.helpers.bodies import body_arrays
from tests.helpers.writers3d import shared

HANDS = ("left_hand_pose", "right_hand_pose")
MEANS = {name: np.random.default_rng(at).normal(0, 0.3, 45).astype(np.float32) for at, name in enumerate(HANDS)}
PLACES = {"neuralannot": "b.json", "bedlam": "c.npz", "humandata": "d.npz", "parquet": "e", "smplify-x": "f"}
FLAT = {"neuralannot": False, "bedlam": True}
"""What the hands of a format's files are measured from."""


@pytest.fixture
def body_file(tmp_path):
    arrays = {**body_arrays("smplx"), "hands_meanl": MEANS[HANDS[0]], "hands_meanr": MEANS[HANDS[1]]}
    np.savez(tmp_path / "SMPLX_NEUTRAL.npz", **arrays)
    return tmp_path / "SMPLX_NEUTRAL.npz"


def whole(kind: str, flat: bool | None):
    """Six people with all parameters of a body model."""
    rng = np.random.default_rng(3)
    bodies = by_id(people(6, model=kind, an_image=1))
    layout = layout_of(kind)
    parts = {name: rng.normal(0, 0.2, (6, size)) for name, size in layout.parameters.items() if name not in bodies.body}
    return replace(with_parameters(bodies, **parts), flat_hand_mean=flat)


def same(back, bodies, *, without=(), flat, tolerance=1e-6):
    assert back.body_model == bodies.body_model
    assert back.flat_hand_mean is flat
    for name, value in bodies.body.items():
        if name in without:
            assert name not in back.body or not np.nan_to_num(back.body[name]).any()
            continue
        if name in HANDS and flat is not bodies.flat_hand_mean:
            value = value + (MEANS[name] if flat else -MEANS[name])
        np.testing.assert_allclose(back.body[name], value, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("to", ["neuralannot", "bedlam", "humandata", "parquet"])
def test_smplx_keeps_all_that_a_format_holds(world, body_file, to, flat):
    bodies = whole("smplx", flat)
    source = world.store("run", bodies)
    out = world.run(source, world.root / PLACES[to], "--to", to, "--body", body_file)
    assert world.code == 0
    world.run(world.root / PLACES[to], world.root / "back", "--to", "parquet", "--people", world.coco(bodies))
    without = {"neuralannot": ("leye_pose", "reye_pose"), "bedlam": ("expression",)}.get(to, ())
    same(world.read(world.root / "back"), bodies, without=without, flat=FLAT.get(to, flat))
    for name in without:
        assert f"not held by {to}: {name} of 6 people" in out
    assert ("misc.flat_hand_mean" in out) == (to == "humandata")


def test_faces_go_through_smplify_x_and_hands_are_its_mean(world):
    bodies = whole("smplx", False)
    out = world.run(world.store("run", bodies), world.root / "f", "--to", "smplify-x")
    assert "hands: those of 6 people are written as SMPLify-X's mean hand" in out
    out = world.run(world.root / "f", world.root / "back", "--to", "parquet")
    assert world.code == 0
    assert "ignored: 'left_hand_pose' of 6 results" in out
    back = world.read(world.root / "back")
    bodies = bodies.rows(np.argsort(bodies.image_path))
    for name in ("jaw_pose", "leye_pose", "reye_pose", "expression", "body_pose", "betas"):
        np.testing.assert_allclose(back.body[name], bodies.body[name], atol=1e-6)
    assert not set(HANDS) & set(back.body)


@pytest.mark.parametrize("kind", ["smplh", "mano"])
def test_other_hands_live_in_the_store(world, kind):
    bodies = whole("smplh", True)
    if kind == "mano":
        rng = np.random.default_rng(0)
        body = {name: rng.normal(0, 0.3, (6, size)) for name, size in layout_of("mano").parameters.items()}
        bodies = replace(bodies, body_model="mano", body=body)
    source = world.store("run", bodies)
    world.run(source, world.root / "again", "--to", "parquet")
    same(world.read(world.root / "again"), bodies, flat=True)
    for to in ("neuralannot", "bedlam", "humandata"):
        with pytest.raises(PgtfastError, match=rf"holds '{kind}' parameters and --to {to} holds .* not exchangeable"):
            world.run(source, world.root / PLACES[to], "--to", to)


@pytest.mark.parametrize(("flat", "to"), [(True, "neuralannot"), (False, "bedlam")])
def test_hands_about_another_pose_need_the_body_file(world, flat, to):
    source = world.store("run", whole("smplx", flat))
    with pytest.raises(
        PgtfastError, match=r"hands from .* name the body file .* --body PATH: its mean hand \(left_hand"
    ):
        world.run(source, world.root / PLACES[to], "--to", to)
    assert not (world.root / PLACES[to]).exists()


def test_hands_of_which_nothing_is_known_are_told_by_the_user(world):
    bodies = whole("smplx", None)
    source = write(HUMANDATA, world.root / "a.npz", bodies)
    assert read(HUMANDATA, source).flat_hand_mean is None
    with pytest.raises(
        PgtfastError, match="nothing says what these are measured from; name it with --hands flat or mean"
    ):
        world.run(source, world.root / "b.npz", "--to", "bedlam")
    world.run(source, world.root / "b.npz", "--to", "bedlam", "--hands", "flat")
    same(
        by_id(read(BEDLAM, world.root / "b.npz")),
        replace(bodies, flat_hand_mean=True),
        without=("expression",),
        flat=True,
    )
    with pytest.raises(PgtfastError, match=r"--hands mean: .* says that its hands are measured from a flat hand"):
        world.run(world.root / "b.npz", world.root / "c", "--to", "parquet", "--hands", "mean")


def test_people_without_hands_need_nothing(world):
    bodies = people(4, model="smplx", an_image=1)
    world.run(world.store("run", bodies), world.root / "b.npz", "--to", "bedlam")
    world.run(world.root / "b.npz", world.root / "c", "--to", "parquet")
    assert world.code == 0


def test_relaxed_hands_of_neuralannot_are_not_copied_as_flat_ones(world, body_file):
    source = shared("../cases/convert/na_smplx.json")
    held = read(ITW, source)
    assert held.flat_hand_mean is False
    image = replace(
        held,
        image_path=objects(["a.jpg"] * len(held)),
        image_size=np.tile([640, 480], (len(held), 1)),
        bbox=np.tile([1.0, 2, 30, 40], (len(held), 1)),
    )
    more = ("--people", world.coco(image))
    with pytest.raises(PgtfastError, match="these are measured from the model's mean hand"):
        world.run(source, world.root / "c.npz", "--to", "bedlam", *more)
    world.run(source, world.root / "c.npz", "--to", "bedlam", "--body", body_file, *more)
    flat = read(BEDLAM, world.root / "c.npz")
    assert flat.annotation_id.tolist() == held.annotation_id.tolist()
    for name in HANDS:
        np.testing.assert_allclose(flat.body[name], held.body[name] + MEANS[name], atol=1e-12)
    out = world.run(source, world.root / "d.npz", "--to", "humandata", *more)
    assert f"hands: those of {len(held)} people are measured from the model's mean hand (False)" in out
    assert read(HUMANDATA, world.root / "d.npz").flat_hand_mean is False
