from __future__ import annotations

import argparse
import contextlib
import io
import zipfile
from collections import OrderedDict

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgtfast._errors import PgtfastError
from pgtfast.files.torch_zip import LeftAside, read_torch_zip

VALUE = {
    "state_dict": OrderedDict(a=torch.arange(6.0).view(2, 3).T, b=torch.tensor([1, 2]), c=torch.zeros(0, 3),
        d=torch.tensor(1.5)),
    "hyper_parameters": argparse.Namespace(lr=1e-3, names=["x", "y"]),
    "epoch": 3,
    "flags": {True, False},
}  # fmt: skip


@pytest.fixture(scope="module")
def data() -> bytes:
    stream = io.BytesIO()
    torch.save(VALUE, stream)
    return stream.getvalue()


def test_tensors_come_out_and_objects_are_marks(data, tmp_path):
    path = tmp_path / "x.ckpt"
    path.write_bytes(data)
    value, aside = read_torch_zip(path)
    assert aside == ("argparse.Namespace",)
    assert isinstance(value["hyper_parameters"], LeftAside)
    assert value["epoch"] == 3
    assert value["flags"] == {True, False}
    assert list(value["state_dict"]) == ["a", "b", "c", "d"]
    for key, wanted in VALUE["state_dict"].items():
        assert torch.equal(value["state_dict"][key], wanted)
        assert value["state_dict"][key].dtype == wanted.dtype


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.uint8, torch.bool, torch.int64]
)
def test_dtypes(dtype, tmp_path):
    wanted = torch.tensor([0, 1, 1, 0]).to(dtype)
    torch.save({"x": wanted, "p": torch.nn.Parameter(torch.ones(2))}, tmp_path / "x.pt")
    value, _ = read_torch_zip(tmp_path / "x.pt")
    assert torch.equal(value["x"], wanted)
    assert torch.equal(value["p"], torch.ones(2))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_changed_byte_gives_an_answer_or_one_clear_error(data, tmp_path, changes):
    """Bytes of the pickle changed inside an intact archive: nothing but our own error may come out."""
    path = tmp_path / "mutated.pt"
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = bytearray(old.read(name))
            if name.endswith("data.pkl"):
                for place, byte in changes:
                    content[place % len(content)] = byte
            new.writestr(name, bytes(content))
    with contextlib.suppress(PgtfastError):
        read_torch_zip(path)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_damaged_archive_too(data, tmp_path, place, byte):
    path = tmp_path / "mutated.pt"
    content = bytearray(data)
    content[place % len(content)] = byte
    path.write_bytes(content)
    with contextlib.suppress(PgtfastError):
        read_torch_zip(path)
