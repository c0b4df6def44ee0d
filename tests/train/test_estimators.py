"""Any estimator trains: one that the package has never heard of, on a file of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import signal

import pytest
import torch

pytest.importorskip("lightning", reason="the extra `train` is not installed")
pytest.importorskip("nvidia.dali", reason="the extra `train` is not installed")

from pgtfast._errors import PgtfastError
from pgtfast.networks import estimator as registry
from pgtfast.networks.files import load_annotator, load_estimator
from pgtfast.train import annotator as loop
from pgtfast.train import train, train_pose2d
from tests.helpers.toy_estimator import ToyConfig, ToyEstimator
from tests.train import small


@pytest.fixture
def config(world, tmp_path):
    network = ToyConfig(input_size=small.SIZE, channels=4)
    return small.annotator(world, tmp_path / "toy", network=network, held_out_every=2, validate_every=3)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_toy_estimator_trains_and_its_file_is_read(config):
    result = train(config)
    rows = [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]
    losses = [row["total"] for row in rows if row["group"] == "train"]
    assert len(losses) == 6
    assert min(losses[1:]) < losses[0]
    assert "joint_img" not in rows[0]
    assert [row["error_px"] > 0 for row in rows if row["group"] == "validation"] == [True, True]
    loaded = load_estimator(result.file)
    assert isinstance(loaded.network, ToyEstimator)
    assert loaded.about.config == config.network
    assert loaded.about.recipes == (True, False, True)
    assert load_estimator(config.out / "last.ckpt").about == loaded.about
    with pytest.raises(PgtfastError, match="wanted an estimator 'pose2pose', got 'toy'"):
        load_annotator(config.out)


def test_a_toy_estimator_stopped_at_any_step_goes_on_to_the_bit(config, tmp_path, monkeypatch):
    broken = dataclasses.replace(config, out=tmp_path / "broken")
    train(config)
    genuine, calls = loop.crop_targets, iter(range(100))

    def signalling(*args):
        if next(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return genuine(*args)

    monkeypatch.setattr(loop, "crop_targets", signalling)
    with pytest.raises(KeyboardInterrupt):
        train(broken)
    monkeypatch.setattr(loop, "crop_targets", genuine)
    torch.manual_seed(77)
    train(broken)
    whole, resumed = (torch.load(c.out / "last.ckpt", weights_only=True) for c in (config, broken))
    for name, value in whole["network"].items():
        assert torch.equal(value, resumed["network"][name]), name
    for key, moments in whole["optimizer"]["state"].items():
        assert all(torch.equal(value, resumed["optimizer"]["state"][key][name]) for name, value in moments.items())
    assert whole["best"] == resumed["best"]
    assert whole["loader"] == resumed["loader"]


def test_an_estimator_without_a_backbone_has_nothing_to_start_from(config, world, tmp_path):
    pose = small.pose2d(world, tmp_path / "pose", steps=1, overlay_every=0)
    train_pose2d(pose)
    with pytest.raises(PgtfastError, match="estimator 'toy' has no backbone to fill; train it with --no-recipe-2"):
        train(dataclasses.replace(config, recipe_2=True, pose_network=pose.out))
    assert not config.out.exists()


def test_a_file_of_an_estimator_that_nobody_registered_is_refused(config, monkeypatch):
    result = train(dataclasses.replace(config, steps=1, overlay_every=0))
    monkeypatch.delitem(registry.ESTIMATORS, "toy")
    with pytest.raises(PgtfastError, match="estimator 'toy' is not known; known are pose2pose"):
        load_estimator(result.file)


def test_one_name_is_of_one_estimator():
    with pytest.raises(PgtfastError, match="estimator 'toy': registered already, by ToyConfig"):
        registry.register("toy")(type("Other", (registry.EstimatorConfig,), {}))


def test_the_command_line_knows_the_options_of_any_estimator(tmp_path, monkeypatch, capsys, world):
    from pgtfast.train.__main__ import main

    (tmp_path / "toy_recipes.py").write_text("""
from pathlib import Path
from tests.helpers.toy_estimator import ToyConfig
from tests.train import small

def toy():
    return small.annotator(Path("nowhere"), Path("toy"), network=ToyConfig(input_size=small.SIZE))
""")
    monkeypatch.syspath_prepend(tmp_path)
    words = ["toy_recipes:toy", "--network.channels", "3", "--steps", "1", "--out", str(tmp_path / "run")]
    for name, folder in (("h36m", "studio"), ("coco", "wild"), ("pw3d", "bridge")):
        words += [f"--datasets.{name}", str(world / folder)]
    assert main(words) == 0
    assert load_estimator(tmp_path / "run").about.config.channels == 3
