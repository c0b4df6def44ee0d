"""A data set that is registered from outside the package trains."""

from __future__ import annotations

import json

import pytest
import torch

pytest.importorskip("lightning", reason="the extra `train` is not installed")
pytest.importorskip("nvidia.dali", reason="the extra `train` is not installed")

from pgtfast._errors import PgtfastError
from pgtfast.datasets import open_dataset, register, unregister
from pgtfast.train import Datasets, train
from pgtfast.train.__main__ import main
from tests.helpers import toy_dataset
from tests.train import small


@pytest.fixture
def root(world, tmp_path):
    wild = open_dataset("coco", world / "wild")
    toy_dataset.write(tmp_path / "toy", wild.people.rows(wild.people.usable), wild.images)
    return tmp_path / "toy"


@pytest.fixture
def registered():
    register(toy_dataset.TOY)
    yield
    unregister(toy_dataset.TOY)


def test_a_toy_data_set_trains_as_the_set_that_it_was_made_of(world, root, registered, tmp_path):
    """The same people, images and order: the same losses to the last bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    toy = small.pose2d(world, tmp_path / "a", datasets=Datasets(toy=root), steps=2, overlay_every=0)
    coco = small.pose2d(world, tmp_path / "b", datasets=Datasets(coco=world / "wild"), steps=2, overlay_every=0)
    first, second = (torch.load(train(c).file, weights_only=True)["network"] for c in (toy, coco))
    torch.set_num_threads(threads)
    assert all(torch.equal(first[name], second[name]) for name in second)
    assert json.loads((toy.out / "run.json").read_text())["config"]["datasets"] == {"toy": [str(root)]}


def test_it_has_an_option_on_the_command_line(root, registered, tmp_path, capsys):
    words = [
        "python_training.pose2d:tiny",
        "--datasets.coco",
        "--datasets.toy",
        str(root),
        "--width",
        "8",
        "--steps",
        "1",
    ]
    words += ["--batch-size", "4", "--deconv-channels", "8", "--precision", "32-true", "--overlay-every", "0"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    assert "learning coco17 from toy" in capsys.readouterr().out


def test_names_are_checked(root, registered, tmp_path):
    with pytest.raises(ValueError, match="data set 'toy': there is one of that name"):
        register(toy_dataset.TOY)
    with pytest.raises(PgtfastError, match=r"datasets\.toy: no folder .*nowhere"):
        train(small.pose2d(tmp_path, tmp_path / "run", datasets=Datasets(toy=tmp_path / "nowhere")))


def test_it_is_unknown_before(root):
    with pytest.raises(PgtfastError, match=r"^datasets: no data set toy; registered are h36m, "):
        Datasets(toy=root)
