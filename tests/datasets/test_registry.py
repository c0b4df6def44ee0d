"""A data set from outside the package: one declaration, opened, annotated from and loaded."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pgtfast._errors import PgtfastError
from pgtfast.datasets import DATASETS, Dataset, Found, Search, open_dataset, register, unregister
from pgtfast.people import Reason, Skip, empty_people
from tests.helpers import writers2d as write


def read_toy(search: Search) -> Found:
    """A JSON list of [image, x, y, width, height], everybody with shoulders in the corners of the box."""
    entries = json.loads(search.need(f"toy_{search.split}.json").read_text())
    people = empty_people("toy", range(len(entries)), landmark_set="coco17")
    for row, (name, *box) in enumerate(entries):
        people.image_path[row] = name
        people.image_size[row] = 60, 40
        people.bbox[row] = box
        people.keypoints[row, 5:7] = [(box[0], box[1], 1), (box[0] + box[2], box[1] + box[3], 1)]
        if box[2] > 50:
            people.reason[row] = Skip(Reason.CROWD, "wider than one person")
    return Found(people, ("images",))


TOY = Dataset(name="toy", role="wild", layouts="toy_{split}.json; images/", read=read_toy)


@pytest.fixture
def root(tmp_path):
    """The folder of a registered toy data set of three people, one of them a crowd."""
    register(TOY)
    write.write_json(
        tmp_path / "toy_train.json", [["a.jpg", 5, 5, 20, 30], ["a.jpg", 30, 5, 20, 30], ["b.jpg", 0, 0, 55, 40]]
    )
    for name in ("a.jpg", "b.jpg"):
        write.write_picture(tmp_path / "images" / name)
    yield tmp_path
    unregister(TOY)


def test_is_opened_by_name(root):
    opened = open_dataset("toy", root)
    assert (opened.images, opened.role, opened.people.dataset) == (root / "images", "wild", "toy")
    assert [reason and reason.code for reason in opened.people.reason] == [None, None, Reason.CROWD]
    with pytest.raises(PgtfastError, match=r"no annotations of kind toy, split val; looked for: toy_val\.json"):
        open_dataset("toy", root, split="val")


def test_is_an_input_of_annotation(root, tmp_path):
    from pgtfast.annotate import AnnotateConfig
    from pgtfast.annotate._inputs import open_input

    config = AnnotateConfig(checkpoint=tmp_path / "none", out=tmp_path / "run", root=root, dataset="toy")
    people = [people for people, _ in open_input(config).chunks()]
    assert [len(some) for some in people] == [3]
    assert people[0].usable.tolist() == [True, True, False]


def test_is_loaded_in_batches(root):
    from pgtfast.loading import Supervision
    from pgtfast.loading.loader import LoaderConfig, MixedLoader, Stream

    config = LoaderConfig(crop_size=(32, 48), threads=1)
    stream = Stream((open_dataset("toy", root),), 2)
    loader = MixedLoader([stream], Supervision(("p2p33",)), config, body_kind="free")
    batches = list(loader.batches())
    assert [len(batch) for batch in batches] == [2]
    assert sorted(batches[0].person.tolist()) == [0, 1]
    assert (batches[0].keypoints[..., 2] > 0).sum(1).tolist() == [2, 2]


def test_has_a_name_of_its_own(root):
    assert DATASETS["toy"] is TOY
    with pytest.raises(PgtfastError, match="data set 'toy': there is one of that name"):
        register(replace(TOY, role="bridge"))
    for name in ("Toy", "to-y", ""):
        with pytest.raises(PgtfastError, match="wanted a name of lower-case letters"):
            register(replace(TOY, name=name))


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_says_where_its_files_are(name):
    assert DATASETS[name].name == name
    assert ";" in DATASETS[name].layouts
