"""What every training shares: files that outlive a power cut, figures that go on where the checkpoint is."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("lightning", reason="the extra `train` is not installed")

from pgtfast._errors import PgtfastError
from pgtfast.train import PriorConfig, train, train_prior
from pgtfast.train import prior as loop
from pgtfast.train.__main__ import main


@pytest.fixture
def config(poses_file, tmp_path):
    return PriorConfig(
        poses=poses_file,
        held_out=("c",),
        out=tmp_path / "run",
        steps=6,
        batch_size=16,
        encoder_width=16,
        checkpoint_every=2,
        log_every=1,
    )


def readings(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_files_of_a_run_reach_the_disk_before_they_get_their_names(config, monkeypatch):
    flushed, events = os.fsync, []
    named = os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append(os.readlink(f"/proc/self/fd/{fd}")), flushed(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append((str(a), str(b))), named(a, b)))
    train_prior(config)
    for name in ("run.json", "last.ckpt", "prior.npz"):
        at = next(i for i, e in enumerate(events) if isinstance(e, tuple) and e[1] == str(config.out / name))
        assert events[at - 1] == events[at][0], f"{name} was not flushed"
        assert str(config.out) in events[at + 1 :], f"the folder of {name} was not flushed"
    assert not [p.name for p in config.out.iterdir() if p.suffix in (".part", ".tmp")]


def test_checkpoints_of_the_same_state_are_the_same_files(config):
    train_prior(config)
    before = (config.out / "last.ckpt").read_bytes()
    shutil.rmtree(config.out)
    train_prior(config)
    assert (config.out / "last.ckpt").read_bytes() == before


@pytest.mark.parametrize("torn", ['{"step": 5, "gro', '{"step": 4}', "\x00\x00\x00"])
def test_figures_go_on_where_the_checkpoint_is(config, monkeypatch, torn):
    genuine, calls = loop.prior_loss, iter(range(100))

    def stopping(*args):
        if next(calls) == 5:
            raise KeyboardInterrupt
        return genuine(*args)

    monkeypatch.setattr(loop, "prior_loss", stopping)
    with pytest.raises(KeyboardInterrupt):
        train_prior(config)
    assert [row["step"] for row in readings(config.out)] == [1, 2, 3, 4, 5]
    with (config.out / "metrics.jsonl").open("a") as file:  # as a power cut leaves it
        file.write(torn)
    monkeypatch.setattr(loop, "prior_loss", genuine)
    train_prior(config)
    assert [row["step"] for row in readings(config.out)] == [1, 2, 3, 4, 5, 6]
    assert all("poses_per_second" in row for row in readings(config.out))


def test_a_finished_run_tells_what_it_came_to(config):
    first, again = train_prior(config), train_prior(config)
    assert not first.finished_before
    assert again.finished_before
    assert again.summary == json.loads((config.out / "run.json").read_text())
    assert again.summary == json.loads(json.dumps(first.summary))
    assert again.summary["steps"] == 6
    assert str(first) == str(first.file) == str(again.file)


def test_training_is_a_function_of_its_config(config):
    result = train(config)
    assert result.file == config.out / "prior.npz"
    assert result.file.is_file()
    with pytest.raises(PgtfastError, match="wanted an AnnotatorConfig, a Pose2dConfig or a PriorConfig, got dict"):
        train({})


def test_a_recipe_that_returns_no_config_is_refused(tmp_path, monkeypatch, capsys):
    (tmp_path / "strange_recipes.py").write_text("def one():\n    return {}\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["strange_recipes:one"]) == 2
    assert "strange_recipes:one: wanted a recipe that returns a training config, got dict" in capsys.readouterr().err


SLEEPS = """
import sys, time
from pathlib import Path
from pgtfast.train import PriorConfig, prior, train
genuine, calls = prior.prior_loss, iter(range(100))
def slow(*args):
    if next(calls) == int(sys.argv[3]):
        print("training", flush=True)
        time.sleep(600)
    return genuine(*args)
prior.prior_loss = slow
train(PriorConfig(poses=Path(sys.argv[1]), held_out=("c",), out=Path(sys.argv[2]), steps=6, batch_size=16,
                  encoder_width=16, checkpoint_every=2, log_every=1))
"""


def test_one_training_at_a_time_writes_to_a_folder_and_a_killed_one_goes_on_to_the_bit(config, poses_file, tmp_path):
    whole = train(dataclasses.replace(config, out=tmp_path / "whole")).file.read_bytes()
    for calls in ("3", "0"):  # from the start, and from the checkpoint after step 2
        command = [sys.executable, "-c", SLEEPS, str(poses_file), str(config.out), calls]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
            try:
                assert any(line == "training\n" for line in other.stdout)
                with pytest.raises(PgtfastError, match="another process is writing this run"):
                    train(config)
            finally:
                other.kill()
    assert [row["step"] for row in readings(config.out)] == [1, 2]
    assert train(config).file.read_bytes() == whole  # the end of the other gave the lock back


def test_a_prior_trains_in_one_process(config, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(PgtfastError, match="PriorConfig trains in one process, torchrun started 2"):
        train(config)
    assert not config.out.exists()
