"""People are told by id, or by image name and box; never by their row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.formats.camsmplify import CAMSMPLIFY
from pgtfast.people.table import objects
from tests.convert.conftest import same_rows
from tests.formats.synthetic import by_id, people, with_keypoints, write
from tests.helpers.writers3d import shared


def unnamed(world, bodies, name="s.npz"):
    """The people in SPIN's npz, without their ids."""
    world.run(world.store(f"run-{name}", bodies), world.root / name, "--to", "spin", "--body-model", "free")
    held = dict(np.load(world.root / name))
    del held["annot_id"]
    np.savez(world.root / name, **held)
    return world.root / name


def test_rows_in_another_order_find_their_people(world):
    bodies = people(20, an_image=4)
    order = np.random.default_rng(5).permutation(20)
    source = unnamed(world, bodies.rows(order))
    out = world.run(
        source, world.root / "back", "--to", "parquet", "--people", world.coco(bodies), "--body-model", "free"
    )
    assert world.code == 0
    assert "not matched" not in out
    back = world.read(world.root / "back")
    np.testing.assert_allclose(back.pose, by_id(bodies).pose, rtol=1e-6)


def test_who_is_not_annotated_is_named_and_left_out(world):
    bodies = people(12, an_image=2)
    moved = bodies.bbox.copy()
    moved[3, :2] += 400  # nobody is there
    theirs = replace(
        bodies,
        bbox=moved,
        image_path=objects(["other/name.jpg" if row == 7 else path for row, path in enumerate(bodies.image_path)]),
    )
    source = unnamed(world, theirs)
    twice = world.coco(bodies)
    out = world.run(source, world.root / "back", "--to", "parquet", "--people", twice, "--body-model", "free")
    assert world.code == 1
    assert (
        "not matched: 1 people are not written: the image is not in coco.json; first: annotation 7 of other/name.jpg"
        in out
    )
    assert (
        "not matched: 1 people are not written: no annotated box of the image is about theirs; first: annotation 3 "
        "of photos/000001.jpg" in out
    )
    back = world.read(world.root / "back")
    assert len(back) == 10
    np.testing.assert_allclose(back.pose, same_rows(bodies, back.annotation_id).pose, rtol=1e-6)


def test_two_boxes_that_cannot_be_told_apart(world):
    bodies = people(4, an_image=2)
    close = bodies.bbox.copy()
    close[1] = close[0] + [1, 0, 0, 0]
    bodies = replace(bodies, bbox=close)
    out = world.run(
        unnamed(world, bodies),
        world.root / "back",
        "--to",
        "parquet",
        "--people",
        world.coco(bodies),
        "--body-model",
        "free",
    )
    assert "not matched: 2 people are not written: two annotated boxes of the image are as near to theirs" in out
    assert len(world.read(world.root / "back")) == 2


def test_one_name_in_two_folders(world):
    bodies = people(4, an_image=1)
    both = replace(
        bodies, image_path=objects(["a/img.jpg", "b/img.jpg", "c/one.jpg", "COCO_train2014_000000000009.jpg"])
    )
    bare = replace(both, image_path=objects(["img.jpg", "x/b/img.jpg", "one.jpg", "train2017/000000000009.jpg"]))
    out = world.run(
        unnamed(world, bare),
        world.root / "back",
        "--to",
        "parquet",
        "--people",
        world.coco(both),
        "--body-model",
        "free",
    )
    assert "1 people are not written: several images have that name in coco.json; first: annotation 0 of img.jpg" in out
    back = world.read(world.root / "back")
    assert sorted(back.image_path) == ["COCO_train2014_000000000009.jpg", "b/img.jpg", "c/one.jpg"]


def test_ids_of_other_images_and_unknown_ids(world):
    bodies = people(6, an_image=1)
    world.run(world.store("run", bodies), world.root / "e.json", "--to", "eft", "--body-model", "free")
    annotated = replace(bodies, annotation_id=np.where(np.arange(6) == 2, 999, bodies.annotation_id))
    swapped = annotated.image_path.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    people_file = world.coco(replace(annotated, image_path=swapped))
    out = world.run(
        world.root / "e.json", world.root / "back", "--to", "parquet", "--people", people_file, "--body-model", "free"
    )
    assert world.code == 1
    assert (
        f"not matched: 1 people are not written: their ids are not in coco.json; first: annotation "
        f"{bodies.annotation_id[2]} of 000002.jpg" in out
    )
    assert "not matched: 2 people are not written: their ids are of other images in coco.json" in out
    assert len(world.read(world.root / "back")) == 3


def test_one_id_twice_is_refused(world):
    bodies = people(4, an_image=1)
    twice = replace(bodies, annotation_id=np.array([1, 2, 2, 3]))
    for to, name in (("neuralannot", "n.json"), ("camsmplify", "c.npz")):
        source = world.root / f"{name}.npz"
        write(CAMSMPLIFY, source, replace(twice, image_path=objects(["a.jpg"] * 4)))
        target = "neuralannot" if to == "neuralannot" else "parquet"
        with pytest.raises(PgtfastError, match=r"nnotation (id )?2 (of one image )?is there (twice|2 times)"):
            world.run(source, world.root / name, "--to", target, "--body-model", "free")
        assert not (world.root / name).exists()


# ---- fits beside a data set npz: they hold no names at all
def test_real_fits_are_checked_by_their_keypoints(world):
    npz, fits = shared("spin_npz/lsp_dataset_original_train.npz"), shared("spin_npz/lsp-orig_fits.npy")
    out = world.run(fits, world.root / "run", "--to", "parquet", "--people", npz)
    assert world.code == 0
    assert "fits hold no names; 1000 rows were checked by their keypoints" in out
    back = world.read(world.root / "run")
    assert len(back) == 1000
    held = np.load(fits)
    np.testing.assert_allclose(back.pose, held[:, :72], rtol=1e-6)
    out = world.run(world.root / "run", world.root / "again.npy", "--to", "spin", "--people", npz)
    np.testing.assert_allclose(np.load(world.root / "again.npy"), held, rtol=1e-6)
    assert "not held by spin: keypoints of 1000 people" in out


@pytest.mark.parametrize("start", [0, 600])
def test_real_fits_that_slip_by_a_row_are_refused(world, start):
    npz, fits = shared("spin_npz/lsp_dataset_original_train.npz"), shared("spin_npz/lsp-orig_fits.npy")
    held = np.load(fits)
    held[start:] = np.roll(held[start:], 1, 0)
    np.save(world.root / "slipped.npy", held)
    with pytest.raises(
        PgtfastError,
        match=f"between rows {start} and .* its rows are not those|its rows are not those of .*between rows "
        f"{start} and",
    ):
        world.run(world.root / "slipped.npy", world.root / "run", "--to", "parquet", "--people", npz)
    np.save(world.root / "short.npy", held[:-1])
    with pytest.raises(PgtfastError, match=r"holds 999 fits, .* 1000 people"):
        world.run(world.root / "short.npy", world.root / "run", "--to", "parquet", "--people", npz)
    with pytest.raises(PgtfastError, match="hold neither names nor boxes"):
        world.run(world.root / "slipped.npy", world.root / "run", "--to", "parquet")
    assert not (world.root / "run").exists()


def test_fits_go_to_the_rows_of_their_people(world):
    """Into the rows of a data set npz in another order, of which one has no body."""
    bodies = with_keypoints(people(12, an_image=2))
    npz = unnamed(world, bodies.rows(np.arange(12)[::-1]), "data.npz")
    fewer = bodies.rows(np.arange(11))
    source = world.store("run", fewer)
    world.run(source, world.root / "ids.npz", "--to", "spin", "--body-model", "free")
    held = dict(np.load(world.root / "ids.npz"))
    del held["annot_id"]
    np.savez(world.root / "mine.npz", **held)
    with pytest.raises(PgtfastError, match=r"1 of 12 rows have no body \(the first is row 0\)"):
        world.run(
            world.root / "mine.npz", world.root / "f.npy", "--to", "spin", "--people", npz, "--body-model", "free"
        )
    full = unnamed(world, bodies, "full.npz")
    out = world.run(full, world.root / "f.npy", "--to", "spin", "--people", npz, "--body-model", "free")
    assert "12 written" in out
    np.testing.assert_allclose(np.load(world.root / "f.npy")[::-1, :72], bodies.pose, rtol=1e-6)
