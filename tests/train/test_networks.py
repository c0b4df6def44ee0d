"""Runs of the 2D pose network and of the annotator: what they leave, how they stop, go on and fail."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("lightning", reason="the extra `train` is not installed")
pytest.importorskip("nvidia.dali", reason="the extra `train` is not installed")

from pgtfast._errors import PgtfastError
from pgtfast.networks import Annotator, NetworkConfig
from pgtfast.networks.files import load_annotator, load_pose_network, save_annotator
from pgtfast.train import Datasets, _fabric, train_annotator, train_pose2d
from pgtfast.train import annotator as annotator_loop
from pgtfast.train import pose2d as pose2d_loop
from pgtfast.train._datasets import Datasets as _Datasets
from pgtfast.train._recipes import load_recipe, override
from pgtfast.train._schedule import rate_factor
from tests.train import small

KINDS = {"pose2d": (small.pose2d, train_pose2d, pose2d_loop), "annotator": (small.annotator, train_annotator, annotator_loop)}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def readings(out, group="train"):
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    skipped = ("images_per_second", "group")
    return [{k: v for k, v in row.items() if k not in skipped} for row in rows if row["group"] == group]


def weights(path):
    return torch.load(path, weights_only=True)["network"]


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_leaves_its_network_and_its_figures(kind, world, tmp_path, capsys):
    config_of, train, _ = KINDS[kind]
    config = config_of(world, tmp_path / "run")
    path = train(config).file
    rows = readings(config.out)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all(torch.tensor(row["total"]).isfinite() for row in rows)
    assert json.loads((config.out / "result.json").read_text())["skipped"] == []
    assert list((config.out / "tensorboard").iterdir())
    loaded = (load_pose_network if kind == "pose2d" else load_annotator)(config.out)
    assert not loaded.network.training
    stamp = path.stat().st_mtime_ns
    train(config)
    assert path.stat().st_mtime_ns == stamp
    assert "finished run" in capsys.readouterr().out
    with pytest.raises(PgtfastError, match="seed was 0, now 3"):
        train(dataclasses.replace(config, seed=3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_at_any_step_it_goes_on_to_the_bit(kind, number, world, tmp_path, monkeypatch, capsys):
    config_of, train, loop = KINDS[kind]
    whole, broken = config_of(world, tmp_path / "whole"), config_of(world, tmp_path / "broken")
    train(whole)
    genuine, calls = loop.crop_targets, iter(range(100))

    def signalling(*args):
        if next(calls) == 2:
            os.kill(os.getpid(), number)
        return genuine(*args)

    before = signal.getsignal(number)
    monkeypatch.setattr(loop, "crop_targets", signalling)
    with pytest.raises(KeyboardInterrupt):
        train(broken)
    assert signal.getsignal(number) is before
    assert "stopped after step 3 of 6; the same command goes on" in capsys.readouterr().out
    monkeypatch.setattr(loop, "crop_targets", genuine)
    torch.manual_seed(77)
    train(broken)
    assert readings(broken.out) == readings(whole.out)
    state, other = (torch.load(c.out / "last.ckpt", weights_only=True) for c in (whole, broken))
    assert_same(state["network"], other["network"])
    assert state["scheduler"] == other["scheduler"]
    assert state["loader"] == other["loader"]
    for key, moments in state["optimizer"]["state"].items():
        assert_same(moments, other["optimizer"]["state"][key])


def test_a_signal_that_comes_twice_stops_with_a_checkpoint_all_the_same(world, tmp_path, monkeypatch):
    config = small.pose2d(world, tmp_path / "run", overlay_every=0)
    genuine = pose2d_loop.crop_targets

    def signalling(*args):
        for number in (signal.SIGTERM, signal.SIGINT):  # the second would end a process that had its handlers back
            os.kill(os.getpid(), number)
        return genuine(*args)

    monkeypatch.setattr(pose2d_loop, "crop_targets", signalling)
    with pytest.raises(KeyboardInterrupt):
        train_pose2d(config)
    assert torch.load(config.out / "last.ckpt", weights_only=True)["step"] == 1


def test_a_second_wish_ends_the_process_at_once(monkeypatch):
    monkeypatch.setattr(_fabric, "SAME_WISH", -1.0)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with _fabric.Stop() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.asked()
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_a_step_add_up_to_the_step(kind, world, tmp_path):
    config_of, train, _ = KINDS[kind]
    outs = []
    for accumulate in (1, 4):
        outs.append(tmp_path / str(accumulate))
        train(config_of(world, outs[-1], accumulate=accumulate, batchnorm="frozen", steps=3, overlay_every=0))
    for one, other in zip(readings(outs[0]), readings(outs[1]), strict=True):
        assert one.keys() == other.keys()
        for name in one:
            close = {"abs": 0.2} if name == "error_px" else {"rel": 2e-5, "abs": 1e-7}  # peaks of maps jump by a cell
            assert other[name] == pytest.approx(one[name], **close), (one["step"], name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_that_is_not_finite_names_the_batch(kind, world, tmp_path):
    config_of, train, _ = KINDS[kind]
    config = config_of(world, tmp_path / "run", learning_rate=1e30, steps=20, overlay_every=0, batchnorm="frozen")
    with pytest.raises(
        PgtfastError,
        match=r"step \d+: the loss is not finite \(.*total .*\)\. Annotations of the batch: .*free_wild \d+",
    ):
        train(config)
    report = json.loads((config.out / "not_finite.json").read_text())
    assert sum(len(ids) for ids in report["people"].values()) == config.batch_size
    assert not (config.out / "last.ckpt").exists()
    assert not (config.out / "result.json").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_not_finite_are_never_written(kind, world, tmp_path, monkeypatch):
    config_of, train, loop = KINDS[kind]
    name = "heatmap_loss" if kind == "pose2d" else "place"
    genuine = getattr(loop, name)

    def slope_of_a_root_at_zero(value):
        return value + (value.sum() * 0).sqrt()  # adds nothing, and its gradient is not a number

    def changed(found, *rest):
        if kind == "pose2d":
            return genuine(slope_of_a_root_at_zero(found), *rest)
        return genuine(found._replace(betas=slope_of_a_root_at_zero(found.betas)), *rest)

    monkeypatch.setattr(loop, name, changed)
    config = config_of(world, tmp_path / "run", checkpoint_every=1, overlay_every=0)
    with pytest.raises(PgtfastError, match=r"^step 1: the loss is finite, but its gradient was not"):
        train(config)
    assert not (config.out / "last.ckpt").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_validation_keeps_the_best(kind, world, tmp_path):
    config_of, train, _ = KINDS[kind]
    config = config_of(world, tmp_path / "run", held_out_every=2, validate_every=2)
    path = train(config).file
    scores = [row["error_px" if kind == "pose2d" else "pa_mpjpe_mm"] for row in readings(config.out, "validation")]
    assert len(scores) == 3
    best = torch.load(config.out / "best.ckpt", weights_only=True)
    assert best["best"] == min(scores)
    assert best["step"] == 2 * (scores.index(min(scores)) + 1)
    assert_same(best["network"], weights(path))


def laid(image_set, folders):
    """The set with its pictures spread over folders; people of one picture stay together."""
    names = sorted(set(image_set.people.image_path))
    path = [f"{names.index(name) % folders:02d}/{name}" for name in image_set.people.image_path]
    people = dataclasses.replace(image_set.people, image_path=np.array(path, dtype=object))
    return dataclasses.replace(image_set, people=people)


@pytest.mark.parametrize(("folders", "every", "whole"), [(12, 8, True), (12, 12, True), (1, 3, False), (2, 3, False)])
def test_nothing_is_learned_from_what_is_held_out(folders, every, whole, world, tmp_path):
    (image_set,) = annotator_loop.open_all(small.pose2d(world, tmp_path).datasets)
    image_set = laid(image_set, folders)
    (kept,), (held,) = annotator_loop.part([image_set], every)
    assert len(kept.people) + len(held.people) == len(image_set.people)
    names = [{str(p) for p in s.people.image_path} for s in (kept, held)]
    assert all(names)
    assert not names[0] & names[1]
    if whole:  # no frame of a sequence beside another frame of it
        assert not {n.split("/")[0] for n in names[0]} & {n.split("/")[0] for n in names[1]}
    else:
        assert len(names[1]) == (len(names[0]) + len(names[1])) // every
    again = annotator_loop.part([image_set], every)[1][0]
    assert list(again.people.image_path) == list(held.people.image_path)


def test_bf16_and_faithful_and_every_switch_train(world, tmp_path):
    base = small.annotator(world, tmp_path / "a", steps=2, overlay_every=0)
    faithful = dataclasses.replace(base.network, mode="faithful", normalize="unit")
    for name, changes in {
        "bf16": {"precision": "bf16-mixed"},
        "faithful": {"network": faithful},
        "no 1": {"recipe_1": False},
        "bridge in 2D": {"bridge_3d": False},
        "no 3": {"recipe_3": False},
    }.items():
        config = dataclasses.replace(base, out=tmp_path / name, **changes)
        train_annotator(config)
        loaded = load_annotator(config.out)
        assert loaded.about.recipes == (config.recipe_1, False, config.recipe_3)
        assert loaded.config.head == ("vposer" if config.recipe_3 else "rotations")


@pytest.mark.parametrize("kind", KINDS)
def test_a_compiled_network_learns_the_same_and_is_saved_under_plain_names(kind, world, tmp_path, monkeypatch):
    config_of, train, _ = KINDS[kind]
    outs, graphs = {}, []

    def counting(module, example_inputs):  # stands in for the C++ compiler, which takes minutes
        graphs.append(module)
        return module.forward

    genuine = torch.compile
    monkeypatch.setattr(torch, "compile", lambda module, **_: genuine(module, backend=counting))
    for compiled in (False, True):
        config = config_of(
            world, tmp_path / str(compiled), compile=compiled, steps=3, overlay_every=2, checkpoint_every=1
        )
        outs[compiled] = train(config).file
        assert bool(graphs) == compiled
    for one, other in zip(*(readings(path.parent) for path in outs.values()), strict=True):
        assert other["total"] == pytest.approx(one["total"], rel=1e-4)
    assert weights(outs[True]).keys() == weights(outs[False]).keys()


@pytest.mark.parametrize(("fast", "taken"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_precision_follows_the_processor_and_says_so(fast, taken, world, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("pgtfast.train._fabric.multiplies_bfloat16", lambda: fast)
    config = small.annotator(world, tmp_path / "a", steps=1, overlay_every=0, precision="auto", accelerator="cpu")
    train_annotator(config)
    assert f"precision: {taken}" in capsys.readouterr().out


def test_recipe_2_starts_from_the_pose_network(world, tmp_path, monkeypatch, capsys):
    pose = small.pose2d(world, tmp_path / "pose", steps=2)
    train_pose2d(pose)
    started = {}
    genuine = annotator_loop.import_backbone

    def watching(network, path):
        report = genuine(network, path)
        started.update({k: v.clone() for k, v in network.backbone.state_dict().items()})
        return report

    monkeypatch.setattr(annotator_loop, "import_backbone", watching)
    train_annotator(small.annotator(world, tmp_path / "f", steps=1, recipe_2=True, pose_network=pose.out))
    theirs = weights(pose.out / "pose2d.ckpt")
    assert started
    for name, value in started.items():
        assert torch.equal(value, theirs[name]), name


def test_an_annotator_is_no_pose_network(tmp_path):
    config = small.annotator(tmp_path, tmp_path).network
    save_annotator(tmp_path / "f.ckpt", Annotator(config))
    with pytest.raises(
        PgtfastError, match=r"^pose_network: .*f\.ckpt is an annotator; recipe 2 starts from a 2D pose network"
    ):
        annotator_loop.import_backbone(Annotator(config), tmp_path / "f.ckpt")


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


def test_every_kind_of_dataset_has_a_field():
    from pgtfast.datasets.roots import KINDS as known

    assert {f.name for f in dataclasses.fields(_Datasets)} == set(known) - {"mupots"}


@pytest.mark.parametrize(
    ("change", "message"),
    [({"batch_size": 7}, "batch_size: wanted an even"), ({"bridge_fraction": 0.5}, "bridge_fraction"), ({"recipe_2": True}, "pose_network: recipe 2"),
     ({"steps": 0}, "steps"), ({"decay_epochs": (6, 4)}, "decay_epochs"), ({"held_out_every": 1}, "held_out_every"),
     ({"clip_gradient": -1.0}, "clip_gradient"), ({"learning_rate": float("nan")}, "learning_rate"), ({"seed": -1}, "seed: wanted 0"),
     ({"seed": 2**32}, "seed: wanted 0"), ({"recipe_2": True, "pose_network": "p", "backbone": "b"}, "backbone: recipe 2 starts from pose_network"),
     ({"network": NetworkConfig(head="rotations")}, r"network\.head: it follows from recipe 3")],
)  # fmt: skip
def test_annotator_config_checks(change, message, tmp_path):
    with pytest.raises(PgtfastError, match=f"^{message}"):
        small.annotator(tmp_path, tmp_path, **change)


@pytest.mark.parametrize(
    ("recipe", "words", "message"),
    [("annotator:tiny", ["--epochs", "2"], r"epochs: .*takes \d+ steps in their place"), ("annotator:tiny", ["--decay-epochs", "2"], "decay_epochs: .*cosine"),
     ("pose2d:tiny", ["--validate-every", "5"], "validate_every: .*--held-out-every"), ("annotator:three_recipes", ["--best-by", "error_px"], "best_by: "),
     ("annotator:tiny_without_recipe_2", ["--pose-network", "p"], "pose_network: .*--recipe-2")],
)  # fmt: skip
def test_overrides_that_would_change_nothing_are_refused(recipe, words, message):
    name = f"python_training.{recipe}"
    with pytest.raises(PgtfastError, match=f"^{message}"):
        override(load_recipe(name)(), name, words)


@pytest.mark.parametrize(
    "words", [["--epochs", "2", "--steps", "None"], ["--epochs", "2", "--steps", "9"], ["--held-out-every", "4", "--best-by", "error_px"],
              ["--schedule", "decay", "--decay-epochs", "2"]],
)  # fmt: skip
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
    [({"supervision": ("p2p33",)}, "supervision: the body free has no landmarks p2p33"), ({"body": "no-such-body"}, "no-such-body"),
     ({"recipe_2": True, "pose_network": "nowhere"}, "nowhere"), ({"batchnorm": "sync"}, "batchnorm: 'sync' needs GPUs"),
     ({"accumulate": 3}, "batch_size: 8 people do not divide into 1 processes with 3 parts")],
)  # fmt: skip
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


def test_on_a_gpu_the_loss_is_looked_at_when_it_is_read(world, tmp_path):
    from pgtfast.train._guard import Guard

    sets = annotator_loop.open_all(small.annotator(world, tmp_path).datasets)
    guard = Guard(sets, tmp_path, torch.device("cpu"))
    guard._at_once = False  # as on a device that is not waited for
    for step, value in ((1, 1.0), (2, float("nan")), (3, float("inf"))):
        people = SimpleNamespace(set_index=torch.tensor([0, 2]), person=torch.tensor([1, step]))
        guard.note(step, {"total": torch.tensor(value)}, people)
    with pytest.raises(
        PgtfastError, match=r"step 2: the loss is not finite \(total nan\).*free_studio .*; free_bridge"
    ):
        guard.check()
    report = json.loads((tmp_path / "not_finite.json").read_text())["people"]
    assert report["free_bridge"] == [int(sets[2].people.annotation_id[2])]
