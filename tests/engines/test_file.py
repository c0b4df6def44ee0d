"""Engine files: what is read is what was written, and nothing else passes for one."""

from __future__ import annotations

import dataclasses

import pytest

from pgtfast._errors import PgtfastError
from pgtfast.engines import EngineFile, open_engine, read_engine_file, write_engine_file

PLAN = bytes(range(256)) * 40


@pytest.fixture
def rtx(about) -> EngineFile:
    return dataclasses.replace(
        about, engine="tensorrt-rtx", library="tensorrt-rtx", library_version="1.2.3", architectures=("sm80", "sm89"),
        batch=(1, 4, 8),
        gpu="x",
    )  # fmt: skip


def test_what_is_written_is_read(rtx, tmp_path):
    write_engine_file(tmp_path / "e.rtx", PLAN, rtx)
    file, payload = read_engine_file(tmp_path / "e.rtx")
    assert file == rtx
    assert payload == PLAN
    assert file.about.config.input_size == (96, 128)
    assert file.input["shape"] == ["batch", 3, 128, 96]
    assert [p.name for p in tmp_path.iterdir()] == ["e.rtx"]


def test_an_onnx_engine_is_a_plain_onnx_model(onnx_files, graphs):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(onnx_files["fp32"])
    onnx.checker.check_model(model, full_check=True)
    (entry,) = model.metadata_props
    assert entry.key == "pgtfast"
    assert '"weights_sha256"' in entry.value
    model.ClearField("metadata_props")
    assert model.SerializeToString(deterministic=True) == graphs["fp32"]
    assert read_engine_file(onnx_files["fp32"])[1] == graphs["fp32"]


@pytest.mark.parametrize("where", [0, 5000, len(PLAN) - 1, len(PLAN) + 20, -120, -80, -70, -1])
def test_one_wrong_byte_is_noticed(where, rtx, tmp_path):
    path = tmp_path / "e.rtx"
    write_engine_file(path, PLAN, rtx)
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    with pytest.raises(PgtfastError, match=r"e\.rtx: .*(export|copy) it again"):
        read_engine_file(path)


@pytest.mark.parametrize("kept", [0, 1, 50, 5000, len(PLAN), -1])
def test_a_file_that_was_cut_off_is_noticed(kept, rtx, tmp_path):
    path = tmp_path / "e.rtx"
    write_engine_file(path, PLAN, rtx)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(PgtfastError, match="cut off"):
        read_engine_file(path)


def test_bytes_in_the_middle_that_are_lost_or_added_are_noticed(rtx, tmp_path):
    path = tmp_path / "e.rtx"
    write_engine_file(path, PLAN, rtx)
    content = path.read_bytes()
    for damaged in (content[:100] + content[101:], content[:100] + b"x" + content[100:]):
        path.write_bytes(damaged)
        with pytest.raises(PgtfastError, match="damaged"):
            read_engine_file(path)


def test_a_later_format_is_refused(rtx, tmp_path):
    path = tmp_path / "e.rtx"
    write_engine_file(path, PLAN, rtx)
    path.write_bytes(path.read_bytes().replace(b"\npgtfast engine 1 ", b"\npgtfast engine 2 "))
    with pytest.raises(PgtfastError, match="format 2, this pgtfast reads 1"):
        read_engine_file(path)


def test_each_engine_names_the_right_one_for_a_file(rtx, checkpoint, onnx_files, tmp_path):
    write_engine_file(tmp_path / "e.rtx", PLAN, rtx)
    for name, path, message in (
        ("torch", onnx_files["fp32"], "say --engine onnxruntime"),
        ("tensorrt", onnx_files["fp32"], "an engine for onnxruntime; say --engine onnxruntime"),
        ("onnxruntime", tmp_path / "e.rtx", "an engine for tensorrt-rtx"),
        ("onnxruntime", checkpoint, "a checkpoint, no engine file; use --engine torch"),
        ("tensorrt-rtx", tmp_path / "none", "no such file"),
        ("steam", checkpoint, "wanted one of torch, onnxruntime"),
    ):
        with pytest.raises(PgtfastError, match=message):
            open_engine(name, path)
