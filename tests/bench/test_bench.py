"""The timing harness: its inputs, its arithmetic and its command line. No test asserts a time."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from pgtfast._cli import main
from pgtfast.bench import BenchConfig, _body, _floor, _report, _run, _targets, bench
from pgtfast.bench import timing as _timing
from pgtfast.bench._contestants import Ours, TorchContestant
from pgtfast.bench._tasks import FITS, TASKS, make_inputs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("scipy")
    place = tmp_path_factory.mktemp("body")
    _body.write_body(_body.random_body(), place)
    return place


@pytest.fixture(scope="module")
def ours(folder):
    return Ours(folder, _body.random_body().landmarks)


def test_body_has_smpls_shape():
    body = _body.random_body()
    a = body.arrays
    assert a["v_template"].shape == (6890, 3)
    assert a["posedirs"].shape == (6890, 3, 207)
    assert a["f"].max() == 6889
    assert ((a["weights"] > 0).sum(1) <= 4).all()
    np.testing.assert_allclose(a["weights"].sum(1), 1)
    np.testing.assert_allclose(a["J_regressor"].sum(1), 1)
    np.testing.assert_allclose(body.landmarks.sum(1), 1)
    assert 60 <= body.pairs <= 100
    np.testing.assert_array_equal(a["v_template"], _body.random_body().arrays["v_template"])


@pytest.mark.parametrize("task", TASKS)
def test_ours_is_right(ours, task):
    inputs = make_inputs(3)
    errors = _run.mistakes(_run.to_numpy(ours.task(task, inputs)()), _run.reference_results(ours, task, inputs))
    assert _run.is_right(errors), errors


@pytest.mark.parametrize("task", TASKS)
def test_smplx_agrees_with_the_reference(folder, ours, task):
    pytest.importorskip("smplx")
    from pgtfast.bench._rivals import Smplx

    inputs = make_inputs(2)
    errors = _run.mistakes(
        _run.to_numpy(Smplx(folder, ours.regressor).task(task, inputs)()), _run.reference_results(ours, task, inputs)
    )
    assert _run.is_right(errors), errors


@pytest.mark.parametrize("kind", FITS)
def test_our_fit_minimises_the_same_loss_as_plain_torch(ours, kind, monkeypatch):
    """The fused fit and the fit that torch packages run end at the same loss."""
    monkeypatch.setattr("pgtfast.bench._contestants.FIT_STEPS", 10)
    inputs = _run.fit_inputs(ours, kind, 4)
    assert ours.fit(kind, inputs)() == pytest.approx(TorchContestant.fit(ours, kind, inputs)(), rel=1e-3)


def test_a_wrong_result_is_seen():
    truth = {"j": np.zeros((1, 2, 3)), "gp": np.ones((1, 3))}
    assert _run.is_right(_run.mistakes(truth, truth))
    assert not _run.is_right(_run.mistakes({**truth, "j": truth["j"] + 1e-3}, truth))
    assert not _run.is_right(_run.mistakes({**truth, "gp": truth["gp"] * np.nan}, truth))


def test_quiet_samples_count_alone():
    rows = [(1.0, 0.0), (1.2, 0.01), (1.1, 0.02), (9.0, 0.5)]
    timing = _timing.summarise(rows)
    assert (timing.median, timing.samples, timing.quiet) == (1.1, 3, True)
    noisy = _timing.summarise(rows[2:])
    assert (noisy.samples, noisy.quiet) == (2, False)
    assert _timing.summarise(rows[:1]).low == 1.0


def test_samples_are_interleaved_and_stop_at_the_budget():
    order = []
    calls = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    timings = _timing.interleave(calls, rounds=5, window=0.0, budget=-1.0, minimum=2)
    assert order == ["a", "b", "a", "b"]
    assert timings["a"].samples == 2


def test_floors_grow_with_the_work():
    floors = _floor.floors(pairs=79, batch=256, influences=2.5)
    assert set(floors) == {*TASKS, *FITS}
    flops = [floors[t].flops for t in ("fwd_j", "fwd_r", "fwd_vj", "fb_v")]
    assert flops == sorted(flops)
    assert floors["fwd_vj"].flops == pytest.approx(9.5e6, rel=0.05)
    machine = _floor.Machine(gflops=100.0, copy_gbs=10.0)
    assert _floor.Floor(1e8, 1e3).ms(machine) == pytest.approx(1.0)
    assert _floor.Floor(1e3, 1e7).ms(machine) == pytest.approx(1.0)


def test_verdicts_compare_with_the_fastest_rival_and_with_smplx():
    rows = [
        {"suite": "ops", "task": "fwd_r", "batch": 256, "name": n, "ms": ms, "floor_ms": 0.001}
        for n, ms in (("pgtfast", 0.004), ("smplx", 0.4), ("body-models (jax)", 0.04))
    ]
    fastest, smplx = _report.verdicts(_run.Results(rows=rows))
    assert (fastest["rival"], fastest["reached"]) == ("body-models (jax)", True)
    assert fastest["measured"] == pytest.approx(0.1)
    assert (smplx["rival"], smplx["reached"]) == ("smplx", False)
    assert "NOT REACHED" in _report.verdict_table([smplx])
    assert set(_targets.TARGETS) <= {*TASKS, *FITS}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "suite: wanted names of floor, ops, fit, memory, got 'nothing'"),
        (["--against", "smply"], "--against: wanted names of smplx, body-models, smplfitter, got 'smply'"),
        (["--batches", "1,x"], "--batches: wanted positive integers"),
        (["--batches", "0"], "--batches: wanted positive integers"),
        (["--threads", "0"], "--threads: wanted a whole number of threads from 1"),
        (["--json", "/no/such/folder/x.json"], "--json: /no/such/folder is no folder"),
    ],
)
def test_bad_usage_is_one_line(arguments, message, capsys):
    assert main("bench", BenchConfig, bench, arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_command_writes_json(tmp_path, capsys, monkeypatch):
    pytest.importorskip("scipy")
    monkeypatch.setattr("pgtfast.bench._suites.limit_threads", lambda threads: None)
    monkeypatch.setattr("pgtfast.bench._floor.measure_machine", lambda: _floor.Machine(100.0, 10.0))
    file = tmp_path / "out.json"
    threads = torch.get_num_threads()
    code = main(
        "bench",
        BenchConfig,
        bench,
        [
            "ops",
            "--batches",
            "2",
            "--tasks",
            "fwd_j,fb_r",
            "--rounds",
            "2",
            "--window",
            "0",
            "--json",
            str(file),
            "--threads",
            str(threads),
        ],
    )
    assert code == 0
    found = json.loads(file.read_text())
    assert {(r["task"], r["name"]) for r in found["rows"]} == {("fwd_j", "pgtfast"), ("fb_r", "pgtfast")}
    assert found["threads"] == threads
    assert {"commit", "versions", "processor", "build", "machine", "targets"} <= set(found)
    assert found["rows"][0]["flops"] > 0
    assert "24 kinematic joints, forward, batch 2" in capsys.readouterr().out
