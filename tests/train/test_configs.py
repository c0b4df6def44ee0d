"""What is decided before the first batch of a network: configs, recipes, overrides, data sets, schedule."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

pytest.importorskip("lightning", reason="the extra `train` is not installed")
pytest.importorskip("nvidia.dali", reason="the extra `train` is not installed")

from pgtfast._errors import PgtfastError
from pgtfast.datasets import DATASETS
from pgtfast.networks import NetworkConfig
from pgtfast.train import Datasets, train_annotator, train_pose2d
from pgtfast.train import annotator as annotator_loop
from pgtfast.train._recipes import load_recipe, override
from pgtfast.train._schedule import rate_factor
from tests.train import small


def spread(image_set, folders):
    """The set with its images spread over folders; people of one image stay together."""
    names = sorted(set(image_set.people.image_path))
    path = [f"{names.index(name) % folders:02d}/{name}" for name in image_set.people.image_path]
    people = dataclasses.replace(image_set.people, image_path=np.array(path, dtype=object))
    return dataclasses.replace(image_set, people=people)


@pytest.mark.parametrize(("folders", "every", "whole"), [(12, 8, True), (12, 12, True), (1, 3, False), (2, 3, False)])
def test_nothing_is_learned_from_what_is_held_out(folders, every, whole, world, tmp_path):
    (image_set,) = annotator_loop.open_all(small.pose2d(world, tmp_path).datasets)
    image_set = spread(image_set, folders)
    (kept,), (held_out,) = annotator_loop.hold_out([image_set], every)
    assert len(kept.people) + len(held_out.people) == len(image_set.people)
    names = [{str(p) for p in s.people.image_path} for s in (kept, held_out)]
    assert all(names)
    assert not names[0] & names[1]
    if whole:  # no frame of a sequence beside another frame of it
        assert not {n.split("/")[0] for n in names[0]} & {n.split("/")[0] for n in names[1]}
    else:
        assert len(names[1]) == (len(names[0]) + len(names[1])) // every
    again = annotator_loop.hold_out([image_set], every)[1][0]
    assert list(again.people.image_path) == list(held_out.people.image_path)


def test_fractions_of_a_batch(world, tmp_path):
    sets = annotator_loop.open_all(small.annotator(world, tmp_path).datasets)

    def counts(**changes):
        config = small.annotator(world, tmp_path, batch_size=192, **changes)
        chosen = [s for s in sets if config.recipe_1 or s.role != "bridge"]
        return {s.sets[0].role: s.count for s in annotator_loop.mixture(chosen, config)}

    assert counts() == {"mocap": 72, "wild": 96, "bridge": 24}
    assert counts(bridge_3d=False) == {"mocap": 96, "wild": 72, "bridge": 24}
    assert counts(recipe_1=False) == {"mocap": 96, "wild": 96}
    assert counts(bridge_fraction=0.25) == {"mocap": 48, "wild": 96, "bridge": 48}


def test_the_schedule(world, tmp_path):
    config = small.annotator(world, tmp_path, epochs=7, decay_epochs=(4, 6), steps=None)
    assert config.total_steps(100) == 700
    factors = [rate_factor(step, 700, config) for step in range(700)]
    assert factors[399] == 1
    assert factors[400] == pytest.approx(0.1)
    assert factors[599] == pytest.approx(0.1)
    assert factors[600] == factors[699] == pytest.approx(0.01)
    shorter = dataclasses.replace(config, steps=70)
    assert [rate_factor(s, 70, shorter) for s in (39, 40, 60)] == pytest.approx([1, 0.1, 0.01])
    cosine = dataclasses.replace(config, schedule="cosine", warmup_steps=9)
    factors = [rate_factor(step, 700, cosine) for step in range(700)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == pytest.approx(1, abs=1e-3)
    assert factors[-1] == pytest.approx(0.01, abs=1e-3)


def test_data_sets_are_the_registered_ones_in_their_order(tmp_path, capsys):
    chosen = Datasets(**{name: tmp_path / name for name in reversed(DATASETS)})
    assert list(chosen) == list(DATASETS)
    assert list(chosen.of("wild", "bridge")) == [name for name, one in DATASETS.items() if one.role != "mocap"]
    assert Datasets(coco=(tmp_path,)) == Datasets(coco=tmp_path, h36m=())
    with pytest.raises(PgtfastError, match=r"^datasets: no data set nowhere; registered are h36m, "):
        Datasets(nowhere=tmp_path)
    with pytest.raises(SystemExit):
        override(load_recipe("python_training.annotator:tiny")(), "python_training.annotator:tiny", ["--help"])
    output = capsys.readouterr().out
    assert all(f"--datasets.{name.replace('_', '-')} [PATH" in output for name in DATASETS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 7}, "batch_size: wanted an even"),
        ({"bridge_fraction": 0.5}, "bridge_fraction"),
        ({"recipe_2": True}, "pose_network: recipe 2"),
        ({"steps": 0}, "steps"),
        ({"decay_epochs": (6, 4)}, "decay_epochs"),
        ({"held_out_every": 1}, "held_out_every"),
        ({"clip_gradient": -1.0}, "clip_gradient"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"seed": -1}, "seed: wanted 0"),
        ({"seed": 2**32}, "seed: wanted 0"),
        ({"recipe_2": True, "pose_network": "p", "backbone": "b"}, "backbone: recipe 2 starts from pose_network"),
        ({"network": NetworkConfig(head="rotations")}, r"network\.head: it follows from recipe 3"),
    ],
)
def test_annotator_config_checks(change, message, tmp_path):
    with pytest.raises(PgtfastError, match=f"^{message}"):
        small.annotator(tmp_path, tmp_path, **change)


@pytest.mark.parametrize(
    ("recipe", "words", "message"),
    [
        ("annotator:tiny", ["--epochs", "2"], r"epochs: .*takes \d+ steps in their place"),
        ("annotator:tiny", ["--decay-epochs", "2"], "decay_epochs: .*cosine"),
        ("pose2d:tiny", ["--validate-every", "5"], "validate_every: .*--held-out-every"),
        ("annotator:three_recipes", ["--best-by", "error_px"], "best_by: "),
        ("annotator:tiny_without_recipe_2", ["--pose-network", "p"], "pose_network: .*--recipe-2"),
    ],
)
def test_overrides_that_would_change_nothing_are_refused(recipe, words, message):
    name = f"python_training.{recipe}"
    with pytest.raises(PgtfastError, match=f"^{message}"):
        override(load_recipe(name)(), name, words)


@pytest.mark.parametrize(
    "words",
    [
        ["--epochs", "2", "--steps", "None"],
        ["--epochs", "2", "--steps", "9"],
        ["--held-out-every", "4", "--best-by", "error_px"],
        ["--schedule", "decay", "--decay-epochs", "2"],
    ],
)
def test_overrides_that_change_something_are_taken(words):
    name = "python_training.annotator:tiny"
    override(load_recipe(name)(), name, words)


def test_sets_that_are_missing_are_named(world, tmp_path):
    with pytest.raises(PgtfastError, match=r"^datasets\.pw3d: recipe 1 learns from a bridge set"):
        small.annotator(world, tmp_path, datasets=Datasets(h36m=(world / "studio",), coco=(world / "wild",)))
    with pytest.raises(PgtfastError, match=r"role mocap.*--datasets\.h36m DIR"):
        small.annotator(world, tmp_path, recipe_1=False, datasets=Datasets(coco=(world / "wild",)))
    with pytest.raises(PgtfastError, match="datasets: none given"):
        small.pose2d(world, tmp_path, datasets=Datasets())
    with pytest.raises(PgtfastError, match=r"datasets\.coco: no folder .*nowhere"):
        train_pose2d(small.pose2d(world, tmp_path / "o", datasets=Datasets(coco=(world / "nowhere",))))
    with pytest.raises(PgtfastError, match="crop_size: wanted width and height in multiples of 32"):
        small.pose2d(world, tmp_path, crop_size=(60, 96))


def test_nobody_left_is_an_error(world, tmp_path):
    root = tmp_path / "empty"
    (root / "annotations").mkdir(parents=True)
    (root / "train2017").mkdir()
    file = "annotations/person_keypoints_train2017.json"
    found = json.loads((world / "wild" / file).read_text())
    for entry in found["annotations"]:
        entry["keypoints"], entry["num_keypoints"] = [0] * 51, 0
    (root / file).write_text(json.dumps(found))
    with pytest.raises(PgtfastError, match=r"none of \d+ people of coco can be used|no person left of \d+ in"):
        train_pose2d(small.pose2d(world, tmp_path / "run", datasets=Datasets(coco=(root,))))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"supervision": ("p2p33",)}, "supervision: the body free has no landmarks p2p33"),
        ({"body": "no-such-body"}, "no-such-body"),
        ({"recipe_2": True, "pose_network": "nowhere"}, "nowhere"),
        ({"batchnorm": "sync"}, "batchnorm: 'sync' needs GPUs"),
        ({"accumulate": 3}, "batch_size: 8 people do not divide into 1 processes with 3 parts"),
    ],
)
def test_mistakes_are_seen_before_the_first_batch(change, message, world, tmp_path):
    with pytest.raises(PgtfastError, match=message):
        train_annotator(small.annotator(world, tmp_path / "run", **change))
    assert not (tmp_path / "run").exists()


def test_parameters_of_another_body_are_refused(world, tmp_path):
    import shutil

    studio = tmp_path / "studio"
    shutil.copytree(world / "studio", studio)
    (studio / "pgtfast_world.json").unlink()  # now a real Human3.6M, whose bodies are SMPL's
    datasets = Datasets(h36m=(studio,), coco=(world / "wild",), pw3d=(world / "bridge",))
    with pytest.raises(PgtfastError, match="its body parameters are of smpl, the network's body is free"):
        train_annotator(small.annotator(world, tmp_path / "run", datasets=datasets))
