"""The report of `python -m pgtfast.doctor`."""

from __future__ import annotations

import json
import sys

import pytest

from pgtfast._cli import main
from pgtfast.doctor import DoctorConfig, checks, doctor, examine
from pgtfast.doctor._report import text


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch):
    monkeypatch.setattr(
        checks, "_drawing", lambda: checks.Check(part="extras", name="drawing", status="ok", detail="stub")
    )


def by_name() -> dict[str, checks.Check]:
    return {c.name: c for c in examine()}


def test_every_part_is_reported_and_every_gap_has_its_fix():
    found = examine()
    names = {c.name for c in found}
    assert {
        "python",
        "pgtfast",
        "torch",
        "CPU",
        "CUDA",
        "device",
        "DALI",
        "TensorRT",
        "ONNX Runtime",
        "pyarrow",
        "free",
        "free prior",
    } <= names
    assert all(c.status in ("ok", "gap", "absent") for c in found)
    assert all(c.fix for c in found if c.status == "gap")
    assert by_name()["free"].status == "ok"
    assert by_name()["CPU"].detail.split()[0] in ("base", "avx2", "avx512")


def test_json_and_exit_code(capsys):
    assert main("doctor", DoctorConfig, doctor, ["--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(set(row) == {"part", "name", "status", "detail", "fix"} for row in rows)


def test_a_plain_install_has_its_doctor(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tyro", None)
    assert main("doctor", DoctorConfig, doctor, []) == 0
    assert "optional parts absent" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        main("doctor", DoctorConfig, doctor, ["--help"])
    assert end.value.code == 0
    assert "print a list of checks as JSON" in capsys.readouterr().out
    assert main("doctor", DoctorConfig, doctor, ["--jsom"]) == 2
    assert capsys.readouterr().err == "pgtfast doctor: unknown option --jsom; nearest: --json\n"


def test_text_shows_the_fix_under_the_gap():
    lines = text(
        [checks.Check(part="base", name="torch", status="gap", detail="not installed", fix="pip install torch")]
    ).split("\n")
    assert lines[:3] == ["base", "  GAP  torch  not installed", "              -> pip install torch"]
    assert lines[-1] == "1 gaps, 0 optional parts absent"


def test_licensed_bodies_are_found_by_variable(tmp_path, monkeypatch):
    (tmp_path / "SMPL_NEUTRAL.npz").write_bytes(b"not read by the doctor")
    monkeypatch.setenv("PGTFAST_BODY_MODELS", f"{tmp_path}:{tmp_path / 'gone'}")
    found = by_name()
    assert found["smpl-neutral"].detail == str(tmp_path / "SMPL_NEUTRAL.npz")
    assert found["licensed"].status == "gap"
    monkeypatch.delenv("PGTFAST_BODY_MODELS")
    assert by_name()["SMPL and kin"].status == "absent"


def test_missing_package_is_absent_with_its_command(monkeypatch):
    monkeypatch.setattr(
        checks, "EXTRAS", (("Nothing", "no_such_module.inner", ("no-such",), "nothing", "annotate"), *checks.EXTRAS)
    )
    found = by_name()["Nothing"]
    assert (found.status, found.detail) == ("absent", "not installed; it serves nothing")
    assert found.fix.startswith("pip install 'no-such'")


def test_broken_kernels_are_a_gap(monkeypatch):
    monkeypatch.setattr(checks, "_build_info", lambda: None)
    found = by_name()["CPU"]
    assert found.status == "gap"
    assert "pip install" in found.fix
