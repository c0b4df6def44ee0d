"""The demo runs from end to end, twice, and says where its pictures are."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.fixture(scope="module")
def demo():
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_runs_twice(tmp_path):
    command = [sys.executable, str(DEMO), "--out", str(tmp_path / "demo"), "--quick"]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    result = json.loads((tmp_path / "demo/result.json").read_text())
    assert result["people"]["compared"] > 0
    assert set(result["runs"]) == {"annotated", "refined", "fitted"}
    standing = result["one standing body for all"]["pa_mpjpe_mm"]
    assert result["runs"]["fitted"]["errors"]["pa_mpjpe_mm"] < standing
    for name in ("world/wild/contact_sheet.jpg", "refined/contact_sheet.jpg", "against_truth.jpg"):
        assert (tmp_path / "demo" / name).is_file()
        assert name in first.stdout
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    assert "wild: found, finished before" in second.stdout
    assert second.stdout.count("is a finished run") == 2  # of the trainings
    for done in ("annotated", "fitted"):
        assert f"nothing is {done} again" in second.stdout
    assert json.loads((tmp_path / "demo/result.json").read_text()) == result


def test_stops_where_a_command_stops(demo, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as end:
        demo.command("pgtfast.synth", tmp_path / "file")
    assert end.value.code == 2
