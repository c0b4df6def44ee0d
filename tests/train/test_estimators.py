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
from pgtfast.networks import Estimator, PoseResNet, ViT
from pgtfast.networks import estimator as registry
from pgtfast.networks.files import PoseNetworkFile, load_annotator, load_estimator, save_pose_network
from pgtfast.train import annotator as loop
from pgtfast.train import train, train_pose2d
from tests.helpers.toy_estimator import ToyConfig, ToyEstimator, ToyPrediction
from tests.networks import names
from tests.networks.test_backbones import mae, published
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


class SeeingEstimator(Estimator):
    """A linear layer on a ViT's mean."""

    inputs, bodies = ToyEstimator.inputs, ToyEstimator.bodies

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.backbone = ViT(config.input_size, channels=24, depth=2, heads=3, variant=config.variant)
        self.out = torch.nn.Linear(24, 51)

    def forward(self, image, labelled):
        return ToyPrediction(*self.out(self.backbone(image).mean((2, 3)).float()).split((6, 32, 10, 3), 1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeeingConfig(registry.EstimatorConfig):
    variant: str = "vitpose"

    def build(self):
        return SeeingEstimator(self)


@pytest.fixture
def seeing(monkeypatch):
    monkeypatch.setattr(registry, "ESTIMATORS", dict(registry.ESTIMATORS))
    return registry.register("seeing")(SeeingConfig)


def test_a_vit_starts_from_vitpose_or_without_recipe_2_from_plain_weights(config, seeing, tmp_path, capsys):
    torch.save({"state_dict": published(names.vitpose(2), tokens=193)}, tmp_path / "vitpose.pth")
    torch.save({"model": mae()}, tmp_path / "mae.pth")
    for variant, options in (
        ("vitpose", {"recipe_2": True, "pose_network": tmp_path / "vitpose.pth"}),
        ("plain", {"backbone": tmp_path / "mae.pth"}),
    ):
        network = seeing(input_size=small.SIZE, variant=variant)
        out = tmp_path / variant
        result = train(dataclasses.replace(config, network=network, steps=1, out=out, learning_rate=1e-12, **options))
        assert "29 weights loaded" in capsys.readouterr().out
        file = torch.load(tmp_path / ("vitpose.pth" if variant == "vitpose" else "mae.pth"))
        key = "backbone.patch_embed.proj.weight"
        source = file["state_dict"][key] if variant == "vitpose" else file["model"]["patch_embed.proj.weight"]
        torch.testing.assert_close(load_estimator(result.file).network.backbone.state_dict()[key[9:]], source)


def test_a_vit_does_not_start_from_another_backbone(seeing, tmp_path):
    about = PoseNetworkFile(landmark_set="coco17", depth=18, width=8, deconv_channels=8)
    save_pose_network(tmp_path / "pose2d.ckpt", PoseResNet(17, 18, 8, 8), about)
    torch.save({"state_dict": published(names.vitpose(2), tokens=193)}, tmp_path / "vitpose.pth")
    network = seeing(input_size=small.SIZE).build()
    with pytest.raises(PgtfastError, match=r"^pose_network: .*pose2d\.ckpt has a ResNet, the estimator 'seeing' has a"):
        loop.import_backbone(network, tmp_path / "pose2d.ckpt")
    plain = seeing(input_size=small.SIZE, variant="plain").build()
    with pytest.raises(PgtfastError, match="build it with variant='vitpose'"):
        loop.import_backbone(plain, tmp_path / "vitpose.pth")


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
