from __future__ import annotations

import json

import pytest
import torch

pytest.importorskip("lightning", reason="the extra `train` is not installed")
pytest.importorskip("tyro", reason="the extra `train` is not installed")

from pgtfast._errors import PgtfastError
from pgtfast.priors import load_vposer
from pgtfast.runs import RunFolder
from pgtfast.runs.folder import as_json
from pgtfast.train import PriorConfig, train_prior
from pgtfast.train import prior as loop
from pgtfast.train.__main__ import main


@pytest.fixture
def config(poses_file, tmp_path):
    return PriorConfig(
        poses=poses_file,
        held_out=("c",),
        out=tmp_path / "run",
        steps=7,
        batch_size=16,
        encoder_width=16,
        checkpoint_every=2,
        threads=1,
    )


def with_out(config, out, **changes):
    import dataclasses

    return dataclasses.replace(config, out=out, **changes)


def test_a_run_leaves_a_prior_its_config_and_its_figures(config):
    path = train_prior(config).file
    prior = load_vposer(path)
    assert prior.version == "free-1"
    assert prior.decode(torch.zeros(2, 32)).shape == (2, 21, 3, 3)
    result = json.loads((config.out / "run.json").read_text())
    assert result["finished"]
    saved = result["config"]
    assert saved["seed"] == 0
    assert saved["held_out"] == ["c"]
    assert saved["kind"] == "PriorConfig"
    assert result["held_out_poses"] == 30
    assert 0 < result["reconstruction_deg"] < 180


def test_the_seed_decides(config, tmp_path):
    first = train_prior(config).file.read_bytes()
    assert train_prior(with_out(config, tmp_path / "again")).file.read_bytes() == first
    assert train_prior(with_out(config, tmp_path / "other", seed=1)).file.read_bytes() != first


@pytest.mark.parametrize("stop_at", [1, 4, 5])
def test_resumed_as_if_never_stopped(config, tmp_path, monkeypatch, stop_at):
    whole = train_prior(config).file.read_bytes()
    broken = with_out(config, tmp_path / "broken")
    calls = iter(range(100))
    genuine = loop.prior_loss

    def stopping(*args, **kwargs):
        if next(calls) == stop_at:
            raise KeyboardInterrupt
        return genuine(*args, **kwargs)

    monkeypatch.setattr(loop, "prior_loss", stopping)
    with pytest.raises(KeyboardInterrupt):
        train_prior(broken)
    assert (broken.out / "last.ckpt").exists() == (stop_at >= 2)
    monkeypatch.setattr(loop, "prior_loss", genuine)
    assert train_prior(broken).file.read_bytes() == whole


def test_a_finished_run_is_recognised_and_another_config_refused(config, capsys):
    path = train_prior(config).file
    stamp = path.stat().st_mtime_ns
    train_prior(config)
    assert path.stat().st_mtime_ns == stamp
    assert "finished run" in capsys.readouterr().out
    with pytest.raises(PgtfastError, match="seed: 0 there, 3 now"):
        train_prior(with_out(config, config.out, seed=3))


def test_a_strange_folder_is_left_alone(config):
    config.out.mkdir()
    (config.out / "thesis.txt").write_text("mine")
    with pytest.raises(PgtfastError, match=r"holds files but no run\.json, so it is no run"):
        train_prior(config)
    assert [p.name for p in config.out.iterdir()] == ["thesis.txt"]


def test_a_damaged_checkpoint_is_named(config):
    RunFolder(config.out, {"kind": "PriorConfig", **as_json(config)}).close()
    (config.out / "last.ckpt").write_bytes(b"PK nonsense")
    with pytest.raises(PgtfastError, match=r"last\.ckpt: not a readable checkpoint"):
        train_prior(config)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_batch(config):
    with pytest.raises(PgtfastError, match=r"step \d+: the loss is not finite \(rotation "):
        train_prior(with_out(config, config.out, learning_rate=1e20))
    assert not json.loads((config.out / "run.json").read_text())["finished"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"mixed": 1.5}, "mixed"),
        ({"held_out": ()}, "held_out"),
        ({"moment_weight": -1.0}, "moment_weight"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"seed": -1}, "seed"),
    ],
)
def test_config_checks(config, change, message):
    with pytest.raises(PgtfastError, match=f"^{message}: "):
        with_out(config, config.out, **change)


def test_command_line(config, capsys):
    words = [
        "python_training.prior:free",
        "--poses",
        str(config.poses),
        "--out",
        str(config.out),
        "--held-out",
        "c",
        "--steps",
        "3",
        "--batch-size",
        "8",
        "--threads",
        "1",
    ]
    assert main(words) == 0
    assert json.loads((config.out / "run.json").read_text())["config"]["steps"] == 3
    assert main([*words, "--seed", "5"]) == 2
    assert "seed: 0 there, 5 now" in capsys.readouterr().err
    assert main([*words, "--no-such-field", "1"]) == 2
    assert "--no-such-field" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["python_training.prior"], "wanted MODULE:RECIPE"),
        (["no_such_module:free"], "no module no_such_module"),
        (["python_training.prior:nothing"], "no recipe 'nothing'; it has free, amass"),
        (["json:dumps"], "has no recipe"),
        (["python_training.prior:free", "--poses", "nowhere.npz"], "no file nowhere.npz"),
        (["python_training.prior:amass", "--amass", "nowhere"], "no folder nowhere"),
        (["python_training.prior:free", "--held-out"], "held_out"),
        ([], "usage:"),
    ],
)
def test_command_line_mistakes_end_with_one_line(words, message, tmp_path, capsys):
    out = ["--out", str(tmp_path / "o")] if words and words[0].startswith("python_training.prior:") else []
    try:
        code = main([*words, *out])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert message in capsys.readouterr().err
