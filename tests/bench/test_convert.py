"""The benchmark of the converter runs all its cases and writes what it measured. No test asserts a time."""

from __future__ import annotations

import json

import pytest

from benchmarks.convert import CASES, convert, made, main
from pgtfast._errors import PgtfastError

pytest.importorskip("pyarrow")


def test_all_cases_are_measured(tmp_path, capsys):
    out = tmp_path / "result.json"
    assert main(["--people", "30", "--rounds", "1", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [(row["from"], row["out"], row["to"]) for row in rows] == [case[:3] for case in CASES]
    assert [row["people"] for row in rows] == [30, 30, 30, 3, 10, 10]
    assert all(min(row["people_per_s"]) > 0 and min(row["peak_mib"]) > 50 and row["source_mb"] > 0 for row in rows)
    assert "wanted of the JSON formats: 20000 people/s" in capsys.readouterr().out


def test_as_many_people_as_asked_for():
    blocks = list(made(5000))
    assert [len(block) for block in blocks] == [4096, 904]
    assert len({number for block in blocks for number in block.annotation_id}) == 5000


def test_a_conversion_that_fails_is_told(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(PgtfastError, match=r"ended with code 2: .*not JSON"):
        convert(tmp_path / "a.json", tmp_path / "b.json", "neuralannot")
