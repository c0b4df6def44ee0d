"""Files whose people are not all alike: some without keypoints, camera or box, ids of any size, names of any shape.
Nothing is lost unsaid."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.files import json_entries
from pgtfast.formats import Store
from pgtfast.formats.columns import joined, known
from pgtfast.formats.humandata import HUMANDATA
from pgtfast.people.arrow import to_arrow
from pgtfast.people.table import objects
from tests.formats.synthetic import by_id, people, with_keypoints, with_parameters, write

LARGE = 9007199254740993
"""One more than a double can tell."""


def store_of(world, *parts):
    with Store(world.root / "run", {"of": "tests"}) as store:
        for part in parts:
            store.write_part(to_arrow(part, method="tests"))
    return world.root / "run"


def eft_of(world, bodies):
    world.run(world.store("run", bodies), world.root / "e.json", "--to", "eft")
    return json.loads((world.root / "e.json").read_text())


def put(path, content):
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("first", [0, 1])
def test_keypoints_in_some_parts(world, first):
    bodies = by_id(people(6, an_image=1))
    parts = [with_keypoints(bodies.rows(slice(0, 3))), bodies.rows(slice(3, 6))]
    run = store_of(world, parts[first], parts[1 - first])
    world.run(run, world.root / "s.npz", "--to", "spin")
    with np.load(world.root / "s.npz") as held:
        has = dict(zip(held["annot_id"].tolist(), (held["part"][..., 2] > 0).any(1).tolist(), strict=True))
    assert [has[number] for number in bodies.annotation_id.tolist()] == [True] * 3 + [False] * 3


@pytest.mark.parametrize("having", [slice(0, 2), slice(4, 6)])
def test_keypoints_of_some_entries(world, having, monkeypatch):
    content = eft_of(world, by_id(people(6, an_image=1)))
    for entry in content["data"][having]:
        entry["gt_keypoint_2d"] = [[3, 4, 1]] * 49
    path = put(world.root / "k.json", content)
    monkeypatch.setattr(json_entries, "BLOCK", 6000)
    out = world.run(path, world.root / "k.npz", "--to", "spin")
    assert "25 of the 49 keypoints of 2 entries" in out
    with np.load(world.root / "k.npz") as held:
        assert (held["part"][..., 2] > 0).any(1).tolist() == [at in range(6)[having] for at in range(6)]


def test_what_parts_lack_is_unknown_there():
    bodies = people(4, an_image=1)
    one = replace(bodies.rows(slice(0, 2)), latent=np.ones((2, 32)), prior="free")
    other = with_parameters(bodies.rows(slice(2, 4)), betas=np.ones((2, 16)))
    whole = joined([one, other])
    assert (whole.prior, whole.latent.shape, whole.body["betas"].shape) == ("free", (4, 32), (4, 16))
    assert np.isnan(whole.latent[2:]).all()
    assert (whole.body["betas"][:2, 10:] == 0).all()
    with pytest.raises(PgtfastError, match="prior: free and vposer-v1 cannot go in one file"):
        joined([one, replace(other, latent=np.ones((2, 32)), prior="vposer-v1")])


@pytest.mark.parametrize(("to", "name"), [("eft", "o.json"), ("cliff", "o.npz"), ("smplify-x", "o")])
def test_people_behind_the_camera(world, to, name):
    bodies = by_id(people(4, an_image=1))
    bodies.body["transl"][:2, 2], bodies.focal[2] = (-3, 0), 0
    out = world.run(world.store("run", bodies), world.root / name, "--to", to)
    assert world.code == 1
    assert "not written: 2 people have no translation in front of the camera" in out
    assert "not written: 1 people have no camera (focal)" in out
    assert "nan" not in out


@pytest.mark.parametrize(
    ("to", "name"),
    [
        ("spin", "i.npz"),
        ("cliff", "i.npz"),
        ("camsmplify", "i.npz"),
        ("bedlam", "i.npz"),
        ("humandata", "i.npz"),
        ("4dhumans", "i.tar"),
        ("eft", "i.json"),
    ],
)
def test_ids_of_any_size(world, to, name):
    bodies = replace(people(3, an_image=1), annotation_id=np.array([LARGE, 900100581904, 5]))
    world.run(world.store("run", bodies), world.root / name, "--to", to, "--images", world.pictures(bodies))
    world.run(world.root / name, world.root / "back", "--to", "parquet")
    assert world.read(world.root / "back").annotation_id.tolist() == [5, 900100581904, LARGE]


@pytest.mark.parametrize("number", [1e30, 18446744073709551615, 1.5, "7", True])
def test_ids_that_are_none(world, number):
    content = eft_of(world, people(2, an_image=1))
    content["data"][1]["annotId"] = number
    with pytest.raises(PgtfastError, match="id data/1: annotId: wanted a whole number"):
        world.run(put(world.root / "n.json", content), world.root / "o", "--to", "parquet")


def test_humandata_of_people_who_lack_something(world):
    bodies = by_id(people(4, an_image=1))
    bodies.bbox[0], bodies.focal[1], bodies.center[1], bodies.image_size[2] = np.nan, np.nan, np.nan, 0
    world.run(world.store("run", bodies), world.root / "h.npz", "--to", "humandata")
    world.run(world.root / "h.npz", world.root / "back", "--to", "parquet")
    back = known(world.read(world.root / "back"))
    for row, name in enumerate(("bbox", "focal", "image_size")):
        assert back[name].tolist() == [at != row for at in range(4)]
    bodies.body["transl"][3] = np.nan
    out = world.run(world.store("run2", bodies), world.root / "h2.npz", "--to", "humandata")
    assert "not held: translation of 3 people, for the file has it for all or for none" in out


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/hostname"])
def test_pictures_outside_the_folder_are_not_packed(world, name):
    bodies = people(2, an_image=1)
    folder = world.pictures(bodies)
    (world.root / "secret.jpg").write_bytes(b"secret")
    run = world.store("run", replace(bodies, image_path=objects([bodies.image_path[0], name])))
    with pytest.raises(PgtfastError, match="leads out of it and is not read"):
        world.run(run, world.root / "o.tar", "--to", "4dhumans", "--images", folder)
    assert not (world.root / "o.tar").exists()


def test_names_of_pictures_in_tars(world):
    names = ["v1.0/a.jpg", "x.jpg", "x.png", "a.b.jpg"]
    bodies = replace(by_id(people(4, an_image=1)), image_path=objects(names))
    out = world.run(
        world.store("run", bodies), world.root / "o.tar", "--to", "4dhumans", "--images", world.pictures(bodies)
    )
    assert "image names: 2 are changed" in out
    with tarfile.open(world.root / "o.tar") as tar:
        assert len({member.name for member in tar}) == 8
    out = world.run(world.root / "o.tar", world.root / "back", "--to", "parquet")
    assert "members" not in out
    assert world.read(world.root / "back").image_path.tolist() == ["v1.0/a.jpg", "x.jpg", "x_png.png", "a_b.jpg"]


def test_an_eft_file_of_objects(world):
    content = eft_of(world, people(2, an_image=1))
    path = put(world.root / "d.json", {"data": {"a": content["data"][0]}})
    with pytest.raises(PgtfastError, match="key 'data': wanted a list of objects"):
        world.run(path, world.root / "o", "--to", "parquet")


def test_people_of_eft_are_counted_from_the_first(world):
    content = eft_of(world, people(2, an_image=1))
    for entry in content["data"]:
        del entry["annotId"]
    path = put(world.root / "d.json", {"about": [{"a": 1}, {"b": 2}], **content})
    world.run(path, world.root / "o", "--to", "parquet", "--from", "eft")
    assert world.read(world.root / "o").annotation_id.tolist() == [0, 1]


def test_shapes_of_fewer_coefficients(world):
    bodies = by_id(people(3, an_image=1))
    fewer = with_parameters(replace(bodies, body_model="smpl"), betas=bodies.body["betas"][:, :8])
    write(HUMANDATA, world.root / "h.npz", fewer)
    world.run(world.root / "h.npz", world.root / "n.json", "--to", "neuralannot")
    world.run(world.root / "n.json", world.root / "back", "--to", "parquet")
    betas = world.read(world.root / "back").body["betas"]
    np.testing.assert_allclose(betas[:, :8], bodies.body["betas"][:, :8], rtol=1e-6)
    assert (betas[:, 8:] == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"focal"', '"focal": [1, 1], "focal"', 1), "key 'focal' is there twice"),
        (
            lambda text: text.replace('"trans": [', '"trans": [1e39, 0, 0], "x": [', 1),
            "smpl_param.trans: wanted 3 finite",
        ),
        (lambda text: text.replace(': {"smpl_param"', ': NaN, "9": {"smpl_param"', 1), "wanted an object, got nan"),
    ],
)
def test_entries_of_neuralannot_that_mean_two_things(world, change, message):
    bodies = people(3, an_image=1)
    world.run(world.store("run", bodies), world.root / "n.json", "--to", "neuralannot")
    text = json.dumps(json.loads((world.root / "n.json").read_text()))
    (world.root / "m.json").write_text(change(text))
    with pytest.raises(PgtfastError, match=message):
        world.run(world.root / "m.json", world.root / "o", "--to", "parquet")
