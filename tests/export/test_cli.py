"""``python -m pgtfast.export`` as a user runs it, and what `pgtfast.annotate` does with its files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pgtfast._cli import main as cli_main
from pgtfast.annotate import AnnotateConfig
from pgtfast.annotate import annotate as run_annotate
from pgtfast.engines import open_engine, read_engine_file
from pgtfast.engines._open import file_sha256
from pgtfast.engines.tensorrt_engine import FLAVOURS
from pgtfast.export import ExportConfig
from pgtfast.export import _run as export_run
from pgtfast.export import export as run_export
from pgtfast.export._tensorrt import build
from pgtfast.formats import read_records
from tests.engines.networks import CONFIG, crops, onnx_graphs, write_checkpoint


def call(main, *arguments: object, check: int = 0) -> None:
    assert main([str(a) for a in arguments]) == check


def export(arguments: list[str]) -> int:
    return cli_main("export", ExportConfig, run_export, arguments, extra="export")


def annotate(arguments: list[str]) -> int:
    return cli_main("annotate", AnnotateConfig, run_annotate, arguments)


@pytest.fixture
def ready_graphs(monkeypatch):
    """The graphs of the one network, which are made once: writing them again takes seconds."""
    monkeypatch.setattr(export_run, "write_onnx", lambda network, precision, opset: onnx_graphs()[precision])


@pytest.fixture(scope="session")
def on_photos(photos) -> tuple[str, ...]:
    return ("--coco", str(photos[0]), "--images", str(photos[1]), "--crops", "6")


@pytest.fixture(scope="session")
def exported(tmp_path_factory, checkpoint, on_photos) -> Path:
    """An export with nothing in its stead."""
    out = tmp_path_factory.mktemp("export") / "deep" / "f.onnx"
    call(export, "--checkpoint", checkpoint, "--engine", "onnxruntime", "--out", out, *on_photos)
    return out


def test_the_file_is_one_and_stands_for_the_network(exported, checkpoint):
    assert sorted(p.name for p in exported.parent.iterdir()) == ["f.onnx", "f.onnx.parity.json", "f.onnx.parity.txt"]
    file, _ = read_engine_file(exported)
    assert (file.engine, file.precision, file.opset, file.architectures) == ("onnxruntime", "fp32", 18, ())
    assert file.weights_sha256 == file_sha256(checkpoint)
    assert file.about.config == CONFIG
    assert file.about.sets == ("p2p25", "coco17")


def test_the_report_holds_what_the_file_does(exported, checkpoint, on_photos):
    told = json.loads((exported.parent / "f.onnx.parity.json").read_text())
    assert told["passed"] is True
    assert told["engine_ran"] is True
    assert told["synthetic"] is False
    assert told["count"] == 6
    reference, own = told["compared"]
    assert reference["joints_mm"]["max"] == 0
    assert 0 < own["joints_mm"]["p99"] <= told["bound"] == 0.01
    assert 0 < own["pixels"]["p99"] <= 0.01
    assert own["crops_per_second"] > 0
    assert "kept" in (exported.parent / "f.onnx.parity.txt").read_text()
    found, wanted = open_engine("onnxruntime", exported)(crops(3)), open_engine("torch", checkpoint)(crops(3))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-5)


def test_annotate_needs_the_file_alone(exported, checkpoint, photos, tmp_path):
    """The same records as torch's, from the engine file moved elsewhere by itself."""
    moved = shutil.copy(exported, tmp_path / "moved.onnx")
    given = ("--coco", photos[0], "--images", photos[1], "--flip-test", "--threads", 1)
    call(annotate, "--checkpoint", moved, "--engine", "onnxruntime", "--out", tmp_path / "a", *given)
    call(annotate, "--checkpoint", checkpoint, "--out", tmp_path / "b", *given)
    a, b = ({r["annotation_id"]: r for r in read_records(tmp_path / name).to_pylist()} for name in ("a", "b"))
    assert a.keys() == b.keys()
    assert sum(r["valid"] for r in a.values()) >= 4
    far = {
        "global_orient": 2e-4,
        "body_pose": 2e-4,
        "betas": 2e-4,
        "transl": 2e-3,
        "latent": 2e-4,
        "reprojection_px": 1e-2,
        "focal": 0,
        "center": 0,
        "flip_disagreement_mm": 1e-2,
        "prior_energy": 1e-3,
    }
    for number, row in a.items():
        for name, tolerance in far.items():
            np.testing.assert_allclose(row[name], b[number][name], rtol=0, atol=tolerance, err_msg=name)
        for name in ("body_model", "gender", "prior", "weights_sha256", "valid", "reason", "visible_keypoints"):
            assert row[name] == b[number][name], name
    assert json.loads((tmp_path / "a" / "run.json").read_text())["config"]["engine"] == "onnxruntime"


def test_precision_is_part_of_a_run_s_config(checkpoint, exported, photos, ready_graphs, on_photos, tmp_path, capsys):
    half = tmp_path / "h.onnx"
    call(
        export,
        "--checkpoint",
        checkpoint,
        "--engine",
        "onnxruntime",
        "--precision",
        "fp16",
        "--opset",
        17,
        "--out",
        half,
        *on_photos,
    )
    told = json.loads((tmp_path / "h.onnx.parity.json").read_text())
    assert told["bound"] == 1.0
    assert [c["what"].split()[0] for c in told["compared"]] == ["torch", "onnxruntime", "torch"]
    assert all(1e-5 < c["joints_mm"]["p99"] <= 1 for c in told["compared"][1:])
    given = (
        "--engine",
        "onnxruntime",
        "--coco",
        photos[0],
        "--images",
        photos[1],
        "--out",
        tmp_path / "run",
        "--limit",
        2,
    )
    call(annotate, "--checkpoint", exported, *given)
    capsys.readouterr()
    call(annotate, "--checkpoint", half, *given, check=2)
    assert "another config (engine: 'onnxruntime' there, 'onnxruntime fp16' now" in capsys.readouterr().err


def test_a_finished_export_is_recognised_and_another_refused(exported, checkpoint, on_photos, tmp_path, capsys):
    before = exported.read_bytes()
    given = ("--engine", "onnxruntime", "--out", exported, *on_photos)
    call(export, "--checkpoint", checkpoint, *given)
    assert "finished already" in capsys.readouterr().out
    other = write_checkpoint(tmp_path / "other.ckpt", seed=1)
    for arguments in (("--checkpoint", other, *given), ("--checkpoint", checkpoint, *given, "--precision", "fp16")):
        call(export, *arguments, check=2)
        assert "f.onnx: holds another export; name another file" in capsys.readouterr().err
    assert exported.read_bytes() == before


def test_a_tensorrt_rtx_engine_is_built_and_said_to_be_not_run(checkpoint, ready_graphs, on_photos, tmp_path, capsys):
    trt = pytest.importorskip("tensorrt_rtx", reason="the extra `rtx` is not installed")
    out = tmp_path / "f.rtx"
    arguments = (
        "--engine",
        "tensorrt-rtx",
        "--opset",
        17,
        "--arch",
        "sm75,SM89",
        "--batch",
        "1,4,8",
        "--out",
        out,
        "--device",
        "cpu",
    )
    call(export, "--checkpoint", checkpoint, *arguments, *on_photos)
    file, plan = read_engine_file(out)
    assert (file.engine, file.precision, file.library_version) == ("tensorrt-rtx", "fp16", trt.__version__)
    assert (file.architectures, file.batch, file.gpu) == (("sm75", "sm89"), (1, 4, 8), "")
    assert plan[:4] == b"vtrt"
    told = json.loads((tmp_path / "f.rtx.parity.json").read_text())
    assert told["passed"] is True
    assert told["engine_ran"] is False
    assert [c["ran"] for c in told["compared"]] == [True, True, True, False]
    assert "NOT RUN: no GPU here, or --device cpu" in capsys.readouterr().out
    call(annotate, "--checkpoint", out, "--engine", "tensorrt-rtx", "--coco", on_photos[1], "--images", on_photos[3],
         "--out", tmp_path / "run", check=2)  # fmt: skip
    assert "an engine for GPUs (sm75, sm89), and the device is none" in capsys.readouterr().err


def test_a_graph_that_says_something_else_ends_with_code_1(checkpoint, on_photos, tmp_path, capsys):
    """Of another network, by --onnx: nothing but the numbers can tell."""
    torch.manual_seed(0)
    other = write_checkpoint(tmp_path / "other.ckpt", seed=1)
    (tmp_path / "g.onnx").write_bytes(onnx_graphs()["fp32"])
    out = tmp_path / "f.onnx"
    arguments = (
        "--checkpoint",
        other,
        "--engine",
        "onnxruntime",
        "--onnx",
        tmp_path / "g.onnx",
        "--out",
        out,
        *on_photos,
    )
    call(export, *arguments, check=1)
    assert not out.exists()
    told = json.loads((tmp_path / "f.onnx.parity.json").read_text())
    assert told["passed"] is False
    assert told["compared"][1]["joints_mm"]["p99"] > 1
    assert "FAILED: the bound is broken; no engine file was written" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "f.onnx.parity.json", "f.onnx.parity.txt", "g.onnx", "other.ckpt",
    ]  # fmt: skip


def test_a_quantised_graph_is_measured(checkpoint, on_photos, tmp_path, capsys):
    """INT8 by ONNX Runtime's quantiser, which writes the same Q/DQ nodes as NVIDIA Model Optimizer."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = [{"image": crops(2, seed=seed).numpy()} for seed in range(2)]

        def get_next(self):
            return self.left.pop() if self.left else None

    (tmp_path / "g.onnx").write_bytes(onnx_graphs()["fp32"])
    quantize_static(
        tmp_path / "g.onnx",
        tmp_path / "q.onnx",
        Reader(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["Conv"],
        extra_options={"ActivationSymmetric": True, "QuantizeBias": False},
    )
    given = ("--checkpoint", checkpoint, "--engine", "onnxruntime", "--onnx", tmp_path / "q.onnx", *on_photos)
    call(export, *given, "--out", tmp_path / "f.onnx")
    assert read_engine_file(tmp_path / "f.onnx")[0].precision == "int8"
    told = json.loads((tmp_path / "f.onnx.parity.json").read_text())
    assert told["bound"] is None
    assert told["compared"][1]["joints_mm"]["p99"] > 0.1
    assert "no bound" in capsys.readouterr().out
    call(export, *given, "--out", tmp_path / "h.onnx", "--bound", "0.05", check=1)
    assert not (tmp_path / "h.onnx").exists()
    pytest.importorskip("tensorrt_rtx", reason="the extra `rtx` is not installed")
    built = build(
        (tmp_path / "q.onnx").read_bytes(),
        FLAVOURS["tensorrt-rtx"],
        CONFIG.input_size,
        batch=(1, 2, 4),
        architectures=("sm89",),
    )
    assert len(built.plan) > 1e6


BAD = {
    "no checkpoint": (["--checkpoint", "{d}/none"], "none: no such file"),
    "no engine": (["--engine", "steam"], "invalid choice: 'steam'"),
    "torch": (["--engine", "torch"], "invalid choice: 'torch'"),
    "opset": (["--opset", "20"], "--opset: wanted 16 to 19, got 20"),
    "arch": (["--arch", "ada"], "wanted names such as sm80,sm89"),
    "arch of onnx": (["--arch", "sm89"], "an ONNX file is built for no GPU"),
    "arch of tensorrt": (
        ["--engine", "tensorrt", "--arch", "sm89"],
        "tensorrt builds for the GPU of this machine alone",
    ),
    "timing cache": (["--engine", "tensorrt-rtx", "--timing-cache", "{d}/c"], "tensorrt-rtx measures nothing"),
    "batch": (["--engine", "tensorrt-rtx", "--batch", "4,2,8"], "wanted fewest,usual,most crops"),
    "bound": (["--bound", "3"], "--bound: only with --onnx"),
    "coco alone": (["--coco", "{d}/a.json"], "--coco, --images: give both or none"),
    "no onnx": (["--onnx", "{d}/none.onnx"], "none.onnx: No such file"),
    "not onnx": (["--onnx", "{d}/junk"], "junk: no valid ONNX model"),
    "other things there": (["--out", "{d}/junk"], "junk: no engine file of pgtfast"),
    "device": (["--device", "abacus"], "--device abacus: wanted cpu, cuda"),
    "other body": (["--body", "{d}/junk"], "junk"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_code_2(case, checkpoint, on_photos, tmp_path, capsys, monkeypatch):
    arguments, message = BAD[case]
    monkeypatch.setattr(export_run, "given_crops", lambda *a: pytest.fail("it went on to compare"))
    (tmp_path / "junk").write_bytes(b"junk")
    given = [text.format(d=tmp_path) for text in arguments]
    rest = {"--checkpoint": checkpoint, "--engine": "onnxruntime", "--out": tmp_path / "out" / "f"}
    for name, value in rest.items():
        if name not in given:
            given += [name, str(value)]
    if "--coco" not in given:
        given += on_photos[:4]
    call(export, *given, check=2)
    told = capsys.readouterr().err.strip().splitlines()
    assert message in told[-1]
    assert len(told) == 1
    assert not (tmp_path / "out").exists()


def test_help_names_units_and_loads_nothing_big():
    code = "import sys; sys.argv = ['export', '--help']\nimport runpy\n"
    code += "try: runpy.run_module('pgtfast.export', run_name='__main__')\nexcept SystemExit: pass\n"
    code += "print([m for m in ('onnx', 'onnxruntime', 'onnxscript', 'tensorrt_rtx', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
    for word in ("millimetres", "pixels", "--arch", "sm120", "crops", "default"):
        assert word in done.stdout
