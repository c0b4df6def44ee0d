"""Body files with a few bytes changed or the end cut off: a body that passed its checks, or one clear line."""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgtfast._errors import PgtfastError
from pgtfast.body import load_body
from tests.helpers import bodies


@contextmanager
def clear_error_or_none(path):
    message = str(path)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*all zero: a placeholder")
            yield
    except PgtfastError as error:
        message = str(error)
    assert str(path) in message


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    arrays = bodies.body_arrays("mano", vertices=20)
    return [
        bodies.write_pkl(folder / "plain.pkl", arrays),
        bodies.write_chumpy_pkl(folder / "chumpy0.pkl", arrays, 0),
        bodies.write_chumpy_pkl(folder / "chumpy2.pkl", arrays, 2),
        bodies.write_npz(folder / "dense.npz", arrays),
    ]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_changed_bytes(originals, tmp_path_factory, data):
    original = data.draw(st.sampled_from(originals))
    raw = bytearray(original.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("changed") / original.name
    path.write_bytes(bytes(raw))
    with clear_error_or_none(path):
        out = load_body(path)(betas=torch.zeros(1, 10))
        assert out.vertices.isfinite().all()


@pytest.mark.parametrize("which", range(4))
def test_cut_files(originals, tmp_path, which):
    raw = originals[which].read_bytes()
    path = tmp_path / originals[which].name
    for share in (0, 0.01, 0.1, 0.5, 0.9, 0.999):
        path.write_bytes(raw[: int(share * len(raw))])
        with pytest.raises(PgtfastError, match=path.name):
            load_body(path)
