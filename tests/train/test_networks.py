"""Runs of the 2D pose network and of the annotator: what they leave, how they stop, go on and fail."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("lightning", reason="the extra `train` is not installed")
pytest.importorskip("nvidia.dali", reason="the extra `train` is not installed")

from pgtfast._errors import PgtfastError
from pgtfast.networks import Annotator
from pgtfast.networks.files import load_annotator, load_pose_network, save_annotator
from pgtfast.runs import Stop
from pgtfast.train import annotator as annotator_loop
from pgtfast.train import pose2d as pose2d_loop
from pgtfast.train import train_annotator, train_pose2d
from tests.train import small

KINDS = {
    "pose2d": (small.pose2d, train_pose2d, pose2d_loop),
    "annotator": (small.annotator, train_annotator, annotator_loop),
}


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
    assert json.loads((config.out / "run.json").read_text())["skipped"] == []
    assert list((config.out / "tensorboard").iterdir())
    loaded = (load_pose_network if kind == "pose2d" else load_annotator)(config.out)
    assert not loaded.network.training
    stamp = path.stat().st_mtime_ns
    train(config)
    assert path.stat().st_mtime_ns == stamp
    assert "finished run" in capsys.readouterr().out
    with pytest.raises(PgtfastError, match="seed: 0 there, 3 now"):
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


def test_a_second_wish_ends_the_process_at_once():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with Stop(settle=-1.0) as stop:
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
    assert not json.loads((config.out / "run.json").read_text())["finished"]


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_not_finite_are_never_written(kind, world, tmp_path, monkeypatch):
    config_of, train, loop = KINDS[kind]
    where, name = (loop, "heatmap_loss") if kind == "pose2d" else (Annotator, "bodies")
    genuine = getattr(where, name)

    def slope_of_a_root_at_zero(value):
        return value + (value.sum() * 0).sqrt()  # adds nothing, and its gradient is not a number

    def heatmap_loss(prediction, *rest):
        return genuine(slope_of_a_root_at_zero(prediction), *rest)

    def bodies(self, prediction, prior):
        return genuine(self, prediction._replace(betas=slope_of_a_root_at_zero(prediction.betas)), prior)

    monkeypatch.setattr(where, name, heatmap_loss if kind == "pose2d" else bodies)
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
