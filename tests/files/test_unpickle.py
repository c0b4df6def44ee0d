"""The restricted pickle reader: right values from honest files, a named refusal or a clear error from all others."""

from __future__ import annotations

import collections
import io
import pickle
import sys
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgtfast._errors import PgtfastError
from pgtfast.files.unpickle import MalformedPickle, RefusedPickle, SparseMatrix, load_npy, load_npz, load_pickle, loads
from tests.helpers.pickles import Python2Writer, chumpy_stub, hostile

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def same(left, right) -> bool:
    if isinstance(right, np.ndarray):
        if right.dtype == object:
            return left.shape == right.shape and all(same(a, b) for a, b in zip(left.flat, right.flat, strict=True))
        return left.shape == right.shape and left.dtype == right.dtype and np.array_equal(left, right)
    if isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in right)
    if isinstance(right, (list, tuple)):
        return type(left) is type(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return type(left) is type(right) and left == right


HONEST = {
    "empty": {},
    "numbers": [0, 1, -1, 255, 256, 70000, -(2**31), 2**40, -(2**70), True, False, None, 1.5, -0.0, 1e308],
    "complex": [2 + 3j],
    "text": ["", "abc", "é", "日本", "a\nb'\"\\", "x" * 300],
    "bytes": [b"", b"abc", bytes(range(256)) * 2],
    "containers": {
        "t": (),
        "t1": (1,),
        "t2": (1, 2),
        "t4": (1, 2, 3, 4),
        "s": {1, 2},
        "f": frozenset((3,)),
        "n": [[[]]],
    },
    "float32": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "strided": np.arange(20)[::2],
    "zero-size": np.empty((0, 3)),
    "zero-d": np.array(3.0),
    "uint32": np.array([[4294967295, 0], [0, 1]], dtype=np.uint32),
    "bool": np.array([True, False]),
    "text-array": np.array(["left", "right_hip"]),
    "byte-text-array": np.array([b"abc", b"d"]),
    "complex-array": np.array([1 + 2j]),
    "object-array": np.array([np.arange(3), None, "a"], dtype=object),
    "scalars": [np.float32(1.5), np.int64(-3), np.bool_(True), np.str_("ab"), np.float64(2.0)],
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", HONEST)
def test_reads_what_pickle_writes(name, protocol):
    assert same(loads(pickle.dumps(HONEST[name], protocol), name), HONEST[name])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_big_endian_arrays_become_native(protocol):
    array = np.arange(5, dtype=">f4")
    back = loads(pickle.dumps(array, protocol), "x")
    assert np.array_equal(back, array)
    assert back.dtype == np.float32
    assert back.dtype.isnative


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_ordered_dict_and_shared_objects(protocol):
    shared = [1, 2]
    value = collections.OrderedDict([("b", shared), ("a", shared)])
    back = loads(pickle.dumps(value, protocol), "x")
    assert list(back) == ["b", "a"]
    assert back["a"] is back["b"]
    loop: list = []
    loop.append(loop)
    back = loads(pickle.dumps(loop, protocol), "x")
    assert back[0] is back


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", ["csc_matrix", "csr_matrix", "coo_matrix", "csc_array", "csr_array", "coo_array"])
def test_sparse_matrices(kind, protocol):
    scipy_sparse = pytest.importorskip("scipy.sparse")
    dense = np.zeros((4, 7))
    dense[[0, 0, 2, 3], [1, 6, 3, 0]] = [0.25, 0.75, 1.0, 1.0]
    back = loads(pickle.dumps(getattr(scipy_sparse, kind)(dense), protocol), "x")
    assert isinstance(back, SparseMatrix)
    assert np.array_equal(back.toarray(), dense)


@pytest.mark.parametrize("protocol", [0, 2])
def test_files_of_python_2(protocol):
    scipy_sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    dense = rng.random((4, 9)) * (rng.random((4, 9)) < 0.4)
    with chumpy_stub() as ch:
        value = {
            "shapedirs": ch(rng.random((5, 3, 2))),
            "weights": np.asfortranarray(rng.random((5, 4))),
            "J_regressor": scipy_sparse.csc_matrix(dense),
            "f": np.arange(6, dtype=np.uint32).reshape(2, 3),
            "bs_type": "lrotmin",
            "raw": "".join(map(chr, range(256))),
        }
        data = Python2Writer(protocol).dump(value)
        assert b"scipy.sparse.csc\n" in data
        assert b"numpy.core.multiarray" in data
    assert "chumpy" not in sys.modules
    back = loads(data, "old.pkl")
    assert np.array_equal(back["shapedirs"], value["shapedirs"].x)
    assert np.array_equal(back["J_regressor"].toarray(), dense)
    for key in ("weights", "f", "bs_type", "raw"):
        assert same(back[key], value[key])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_chumpy_holder_gives_its_array(protocol):
    with chumpy_stub() as ch:
        data = pickle.dumps({"x": ch(np.arange(4.0))}, protocol)
    assert np.array_equal(loads(data, "x")["x"], np.arange(4.0))


@pytest.mark.parametrize("name", hostile(""))
def test_hostile_pickles_are_refused_by_name(name, tmp_path):
    marker = tmp_path / "ran"
    data, refused = hostile(str(marker))[name]
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    with pytest.raises(RefusedPickle) as caught:
        load_pickle(path)
    assert refused in str(caught.value)
    assert str(path) in str(caught.value)
    assert "nothing was executed" in str(caught.value)
    assert isinstance(caught.value, PgtfastError)
    assert not marker.exists()


def test_hostile_object_arrays_in_npy_and_npz(tmp_path):
    class Calls:
        def __reduce__(self):
            return eval, ("1",)

    np.save(tmp_path / "x.npy", np.array([Calls()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "x.npz", good=np.arange(3), bad=np.array([Calls()], dtype=object))
    with pytest.raises(RefusedPickle, match=r"x\.npy.*eval"):
        load_npy(tmp_path / "x.npy")
    with pytest.raises(RefusedPickle, match=r"x\.npz\[bad\].*eval"):
        load_npz(tmp_path / "x.npz")
    assert np.array_equal(load_npz(tmp_path / "x.npz", keys=lambda key: key == "good")["good"], np.arange(3))


def test_npz_with_a_sparse_matrix_and_a_dict(tmp_path):
    scipy_sparse = pytest.importorskip("scipy.sparse")
    np.savez(
        tmp_path / "x.npz",
        a=np.asfortranarray(np.ones((2, 3))),
        r=scipy_sparse.csc_matrix(np.eye(3)),
        d={"k": 1},
        e=np.empty((0, 2)),
    )
    back = load_npz(tmp_path / "x.npz")
    assert back["d"] == {"k": 1}
    assert np.array_equal(back["r"].toarray(), np.eye(3))
    assert np.array_equal(back["a"], np.ones((2, 3)))
    assert back["e"].shape == (0, 2)


@contextmanager
def clear_error_or_none(file: str):
    """Lets an error of the reader pass if it names the file; any other error fails the test."""
    message = file
    try:
        yield
    except (MalformedPickle, RefusedPickle) as error:
        message = str(error)
    assert file in message


def _sample() -> bytes:
    with chumpy_stub() as ch:
        return Python2Writer(2).dump(
            {"x": ch(np.arange(6.0)), "y": np.arange(4, dtype=np.uint32), "z": ["a", 1, 2.5, None]}
        )


SAMPLES = [_sample(), *(pickle.dumps(HONEST, protocol) for protocol in PROTOCOLS)]


@pytest.mark.parametrize("data", SAMPLES, ids=range(len(SAMPLES)))
def test_truncation_is_always_named(data):
    step = max(1, len(data) // 400)
    for end in range(0, len(data), step):
        with pytest.raises((MalformedPickle, RefusedPickle), match=r"cut\.pkl"):
            loads(data[:end], "cut.pkl")


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_mutations_give_a_value_or_a_clear_error(data):
    raw = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    with clear_error_or_none("mutated.pkl"):
        loads(bytes(raw), "mutated.pkl")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_give_a_value_or_a_clear_error(raw):
    with clear_error_or_none("random.pkl"):
        loads(raw, "random.pkl")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutated_npz_gives_an_array_or_a_clear_error(tmp_path_factory, data):
    stream = io.BytesIO()
    np.savez(stream, a=np.arange(6.0).reshape(2, 3), b=np.array({"k": [1]}, dtype=object))
    raw = bytearray(stream.getvalue())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("npz") / "m.npz"
    path.write_bytes(bytes(raw))
    with clear_error_or_none("m.npz"):
        load_npz(path)


def test_other_files_are_named(tmp_path):
    path = tmp_path / "photo.npz"
    path.write_bytes(b"\xff\xd8\xff not an archive")
    with pytest.raises(MalformedPickle, match=r"photo\.npz: not a readable \.npz"):
        load_npz(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"nothing")
    with pytest.raises(MalformedPickle, match=r"photo\.npz\[a\]: not a readable \.npy"):
        load_npz(path)


def test_escapes_of_protocol_0():
    assert loads(rb"S'a\\\x41\101\'\n\\ '" + b"\n.", "x") == "a\\AA'\n\\ "
    for raw in (rb"\ ", rb"\\\ ", rb"\400", rb"\xg0"):
        with pytest.raises(MalformedPickle, match="x: not a readable pickle"):
            loads(b"S'" + raw + b"'\n.", "x")


def test_deep_nesting_is_an_error_not_a_crash():
    with pytest.raises(MalformedPickle, match=r"deep\.pkl"):
        loads(b"]" * 100000 + b"a" * 99999 + b".", "deep.pkl")
