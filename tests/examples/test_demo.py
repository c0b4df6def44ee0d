"""The demo runs from end to end, twice, and its errors are small where they must be."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import pgtfast

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.fixture(scope="module")
def demo():
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_runs_twice(tmp_path):
    command = [sys.executable, str(DEMO), "--out", str(tmp_path / "demo"), "--images", "3", "--overlays", "1"]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    result = json.loads((tmp_path / "demo/result.json").read_text())
    assert result["people"] > 0
    assert result["fit"]["pa_mpjpe_mm"] < result["one standing body for all"]["pa_mpjpe_mm"]
    for name in ("world/contact_sheet.jpg", "run/contact_sheet.jpg", "against_truth.jpg"):
        assert (tmp_path / "demo" / name).is_file()
        assert name in first.stdout
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    assert second.stdout.count("finished") == 2
    assert json.loads((tmp_path / "demo/result.json").read_text()) == result


def test_stops_where_a_command_stops(demo, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as end:
        demo.command("pgtfast.synth", tmp_path / "file")
    assert end.value.code == 2


def test_errors_of_the_truth_are_zero_and_moving_or_turning_is_seen(demo):
    body = pgtfast.load_body("free")
    torch.manual_seed(0)
    true = {
        "global_orient": torch.randn(4, 3),
        "body_pose": 0.3 * torch.randn(4, 69),
        "betas": torch.randn(4, 10),
        "transl": torch.tensor([0.1, 0.2, 3.0]).expand(4, 3),
    }
    assert max(demo.errors(body, true, true).values()) < 1e-2
    away = demo.errors(body, {**true, "transl": true["transl"] + 1}, true)
    assert away["mpjpe_mm"] < 1e-2  # the pelvis is laid on the pelvis
    turned = {
        **true,
        "global_orient": true["global_orient"] * (1 + torch.pi / true["global_orient"].norm(dim=1, keepdim=True)),
    }
    errors = demo.errors(body, turned, true)
    assert errors["mpjpe_mm"] > 50
    assert errors["pa_mpjpe_mm"] < 0.1
    assert demo.facing_angle(true, true).max() < 0.1
