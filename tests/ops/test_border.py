"""What comes in by DLPack: devices, flags and versions that the kernels cannot take are refused by name."""

from __future__ import annotations

import ctypes
from typing import ClassVar

import numpy as np
import pytest
import torch

from pgtfast import _core, ops
from tests.ops.bodies import body_arguments, landmark_terms, skin_terms


class Tensor(ctypes.Structure):
    _fields_: ClassVar = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.c_void_p),
        ("byte_offset", ctypes.c_uint64),
    ]


class Managed(ctypes.Structure):
    _fields_: ClassVar = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class ManagedVersioned(ctypes.Structure):
    _fields_: ClassVar = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    ]


KEPT: list[object] = []  # what the capsules point to


def capsule(array: np.ndarray, *, device: int = 1, major: int | None = None, flags: int = 0):
    """A DLPack capsule of a float32 array that claims a device, a version and flags."""
    shape = (ctypes.c_int64 * array.ndim)(*array.shape)
    tensor = Tensor(array.ctypes.data, device, 0, array.ndim, 2, 32, 1, shape, None, 0)
    managed = Managed(tensor, None, None) if major is None else ManagedVersioned(major, 0, None, None, flags, tensor)
    name = ctypes.c_char_p(b"dltensor" if major is None else b"dltensor_versioned")
    KEPT.extend((array, shape, managed, name))
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    return new(ctypes.addressof(managed), name, None)


def arrays() -> tuple[np.ndarray, np.ndarray]:
    return np.full((2, 3), 0.5, np.float32), np.zeros((2, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("device", "name"), [(10, "ROCm"), (8, "Metal"), (13, "CUDA managed memory"), (99, "device type 99")]
)
def test_other_devices_are_refused_by_name(device, name):
    rotvec, matrix = arrays()
    with pytest.raises(
        ValueError, match=f"rotvec_to_matrix: rotvec: wanted an array on cpu or cuda, got one on {name}"
    ):
        _core.rotvec_to_matrix(capsule(rotvec, device=device), matrix)


def test_capsules_of_both_layouts_are_read():
    for major in (None, 1):
        rotvec, matrix = arrays()
        _core.rotvec_to_matrix(capsule(rotvec, major=major), capsule(matrix, major=major))
        assert matrix[0, 0, 0] != 0


def test_results_are_not_written_where_nobody_sees_them():
    for flags, what in ((1, "a read-only one"), (2, "a copy of one")):
        rotvec, matrix = arrays()
        with pytest.raises(
            ValueError, match=f"rotvec_to_matrix: matrix: wanted an array that may be written, got {what}"
        ):
            _core.rotvec_to_matrix(rotvec, capsule(matrix, major=1, flags=flags))
        assert not matrix.any()
        _core.rotvec_to_matrix(capsule(rotvec, major=1, flags=flags), matrix)  # what is read may be either
        assert matrix.any()


def test_a_later_layout_is_refused():
    rotvec, matrix = arrays()
    with pytest.raises(TypeError, match="rotvec: wanted DLPack of version 1 at most, got version 2"):
        _core.rotvec_to_matrix(capsule(rotvec, major=2), matrix)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_under_autocast_halves_are_computed_in_float32(half):
    rotvec = torch.linspace(-1, 1, 12).view(4, 3).to(half).requires_grad_()
    with pytest.raises(TypeError, match="wanted float32 or float64"):
        ops.rotvec_to_matrix(rotvec)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        matrix = ops.rotvec_to_matrix(rotvec)
    assert matrix.dtype == torch.float32
    torch.testing.assert_close(matrix, ops.rotvec_to_matrix(rotvec.float()))
    matrix.sum().backward()
    assert rotvec.grad is not None
    assert rotvec.grad.dtype == half
    terms, (pose, betas, transl) = landmark_terms(dtype=torch.float32), body_arguments((2,), dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        points = ops.landmarks(pose.to(half), betas.to(half), transl, terms)
    torch.testing.assert_close(points, ops.landmarks(pose.to(half).float(), betas.to(half).float(), transl, terms))


@pytest.mark.parametrize("name", ["pair_bone", "moment_row", "pair_start", "skin_bone"])
def test_index_tables_are_checked_when_terms_are_made(name):
    import dataclasses

    terms = skin_terms() if name == "skin_bone" else landmark_terms()
    table = getattr(terms, name).clone()
    table.view(-1)[0] = 10_000
    with pytest.raises(ValueError, match=f"^{name}: wanted"):
        dataclasses.replace(terms, **{name: table})
    with pytest.raises(ValueError, match=r"^parents: wanted -1 first"):
        dataclasses.replace(terms, parents=terms.parents.flip(0))
