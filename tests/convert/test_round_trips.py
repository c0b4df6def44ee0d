"""Through every format and back: the same bodies before the same cameras, and a word on all that was lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgtfast.formats.bedlam import BEDLAM
from pgtfast.formats.camsmplify import CAMSMPLIFY
from pgtfast.formats.humandata import HUMANDATA
from pgtfast.formats.neuralannot import ITW
from pgtfast.people import Reason, Skip
from pgtfast.people.arrow import from_arrow, to_arrow
from pgtfast.people.table import objects
from tests.formats.synthetic import by_id, people, read, seen, turns, with_keypoints, write

EXACT = {"neuralannot": "a.json", "camsmplify": "c.npz", "bedlam": "b.npz", "humandata": "h.npz"}
"""Formats that hold any camera."""
POSES = {"spin": "s.npz", "4dhumans": "d.tar"}
"""Formats without camera."""
MOVED = {"eft": "e.json", "cliff": "l.npz", "smplify-x": "x"}
"""Formats with a camera of their own."""


def there_and_back(world, bodies, to, name, more=()):
    source = world.store("run", bodies)
    out = world.run(source, world.root / name, "--to", to, "--body-model", bodies.body_model, *more)
    assert world.code == 0
    # both steps go through float32 in the store; the format in between must add nothing
    world.run(
        world.root / name,
        world.root / "back",
        "--to",
        "parquet",
        "--body-model",
        bodies.body_model,
        "--people",
        world.coco(bodies),
    )
    assert world.code == 0
    return out, world.read(world.root / "back")


def same_body(bodies, back):
    assert back.annotation_id.tolist() == bodies.annotation_id.tolist()
    assert back.image_path.tolist() == bodies.image_path.tolist()
    np.testing.assert_array_equal(back.image_size, bodies.image_size)
    np.testing.assert_allclose(turns(back.pose), turns(bodies.pose), atol=2e-6)
    np.testing.assert_allclose(back.body["betas"], bodies.body["betas"], rtol=1e-6)


@pytest.mark.parametrize(("to", "name"), EXACT.items())
def test_any_camera(world, to, name):
    bodies = by_id(people(8))
    out, back = there_and_back(world, bodies, to, name)
    same_body(bodies, back)
    assert np.abs(seen(back) - seen(bodies)).max() < 1e-3  # px; float32 of the store, twice
    assert "8 written" in out
    assert "camera:" not in out


@pytest.mark.parametrize(("to", "name"), POSES.items())
def test_no_camera(world, to, name):
    bodies = by_id(with_keypoints(people(8), "openpose25"))
    out, back = there_and_back(
        world, bodies, to, name, ("--images", world.pictures(bodies)) if to == "4dhumans" else ()
    )
    same_body(bodies, back)
    assert "transl" not in back.body
    assert np.isnan(back.focal).all()
    for lost in ("translation", "focal", "center"):
        assert f"not held by {to}: {lost} of 8 people" in out
    np.testing.assert_allclose(back.keypoints, bodies.keypoints, atol=1e-3)
    assert back.landmark_set == "openpose25"


@pytest.mark.parametrize(("to", "name"), MOVED.items())
def test_its_own_camera(world, to, name):
    bodies = by_id(people(8))
    out, back = there_and_back(world, bodies, to, name)
    same_body(bodies, back)
    moved = float(
        next(line for line in out.splitlines() if "moves joints by up to" in line).split("up to ")[1].split(" px")[0]
    )
    off = np.linalg.norm(seen(back) - seen(bodies), axis=2)
    assert 0.5 < moved < 60
    assert off.max() <= moved * 1.1  # px; what it says is what happens
    middle = np.median(off)
    assert middle < moved / 3


@pytest.mark.parametrize("to", ["eft", "cliff"])
def test_the_cameras_of_networks_are_hardly_moved(world, to):
    bodies = by_id(people(8, virtual=True))
    _, back = there_and_back(world, bodies, to, MOVED[to])
    assert np.abs(seen(back) - seen(bodies)).max() < (2.5 if to == "eft" else 20)


def test_a_second_trip_changes_nothing(world):
    """What a format's camera costs is paid once."""
    bodies = by_id(people(6))
    for to, name in MOVED.items():
        _, back = there_and_back(world, bodies, to, name)
        again = world.root / f"again-{name}"
        world.run(world.root / "back", again, "--to", to, "--body-model", "free")
        world.run(
            again, world.root / "third", "--to", "parquet", "--body-model", "free", "--people", world.root / "coco.json"
        )
        third = world.read(world.root / "third")
        assert np.abs(seen(third) - seen(back)).max() < 2e-2
        for folder in ("run", "back", "third"):
            (world.root / folder).rename(world.root / f"{folder}-{name}")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**31), count=st.integers(1, 9), to=st.sampled_from(sorted(EXACT)))
def test_files_add_no_error(tmp_path_factory, capsys, seed, count, to):
    """float64 through a file, without the store between: 1e-4 px."""
    format = {"neuralannot": ITW, "humandata": HUMANDATA, "camsmplify": CAMSMPLIFY, "bedlam": BEDLAM}[to]
    bodies = people(count, seed, an_image=1)
    path = write(format, tmp_path_factory.mktemp("files") / EXACT[to], bodies)
    back = read(format, path, body_model="free")
    assert np.abs(seen(back) - seen(bodies)).max() < 1e-4
    np.testing.assert_array_equal(back.annotation_id, bodies.annotation_id)
    np.testing.assert_array_equal(back.pose, bodies.pose)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), lost=st.lists(st.integers(0, 5), max_size=6, unique=True), points=st.booleans())
def test_the_store_keeps_everything(seed, lost, points):
    bodies = people(6, seed)
    if points:
        bodies = with_keypoints(bodies)
    for row in lost:
        bodies.reason[row] = Skip(Reason.NO_KEYPOINTS, "none")
    table = to_arrow(bodies, method="tests")
    back = from_arrow(table, "a")
    assert to_arrow(back, method="other").equals(table)
    valid = back.has_body
    assert valid.tolist() == [row not in lost for row in range(6)]
    np.testing.assert_allclose(back.pose[valid], bodies.pose[valid], rtol=1e-6)


def test_gender_travels_or_stops(world):
    bodies = by_id(people(4))
    bodies = replace(bodies, gender=objects(["male", "female", "neutral", "male"]))
    source = world.store("run", bodies)
    for to, name in (("spin", "s.npz"), ("bedlam", "b.npz"), ("humandata", "h.npz"), ("neuralannot", "n.json")):
        more = ("--variant", "3dpw") if to == "neuralannot" else ()
        world.run(source, world.root / name, "--to", to, *more)
        world.run(world.root / name, world.root / f"back-{to}", "--to", "parquet", "--body-model", "free")
        assert world.read(world.root / f"back-{to}").gender.tolist() == bodies.gender.tolist()
    for to, name in (
        ("eft", "e.json"),
        ("cliff", "c.npz"),
        ("neuralannot", "n2.json"),
        ("camsmplify", "m.npz"),
        ("smplify-x", "x"),
    ):
        with pytest.raises(ValueError, match=r"3 people .* male or female"):
            world.run(source, world.root / name, "--to", to)
        assert not (world.root / name).exists()
