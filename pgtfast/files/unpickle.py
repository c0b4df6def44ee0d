"""Reads pickles, .npy and .npz files of values without running anything.

Body-model files of the field are pickles, and an ordinary unpickler runs whatever a pickle names. Here can come out:
numbers, text, bytes, builtin containers, numpy arrays and scalars of plain dtypes, sparse matrices (`SparseMatrix`),
and for
a `chumpy.ch.Ch` the array that it held. All else is refused by name (`RefusedPickle`). Neither scipy nor chumpy is
imported.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pgtfast._errors import PgtfastError
from pgtfast.files._pickle_machine import Damaged, Reader
from pgtfast.files._pickle_names import Global, Held, RefusedPickle

__all__ = ["MalformedPickle", "RefusedPickle", "SparseMatrix", "load_npy", "load_npz", "load_pickle", "loads"]

_PLAIN_DTYPE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|f16|c8|c16|[SU]\d{0,6})")
_DAMAGE = (
    Damaged, ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, RecursionError, TypeError, ValueError,
)  # fmt: skip


class MalformedPickle(PgtfastError):
    """The bytes are not a whole file of values: truncated, damaged, or another format."""


@dataclass(frozen=True, eq=False)
class SparseMatrix:
    """Sparse matrix read from a pickle, as coordinates.

    Attributes:
        rows: (N,) int64.
        cols: (N,) int64.
        values: (N,) in the dtype of the file.
        shape: (rows, columns).
    """

    rows: np.ndarray
    cols: np.ndarray
    values: np.ndarray
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        rows, cols, values = self.rows, self.cols, self.values
        if (
            values.ndim != 1
            or values.dtype.kind not in "biufc"
            or rows.shape != values.shape
            or cols.shape != values.shape
        ):
            raise ValueError("sparse matrix whose arrays differ in length")
        for name, size in (("rows", self.shape[0]), ("cols", self.shape[1])):
            index = getattr(self, name)
            if index.dtype.kind not in "iu" or (index.size and not 0 <= int(index.min()) <= int(index.max()) < size):
                raise ValueError("sparse matrix with an index outside its shape")
            object.__setattr__(self, name, index.astype(np.int64))

    @classmethod
    def compressed(
        cls, kind: str, values: np.ndarray, indices: np.ndarray, indptr: np.ndarray, shape: tuple[int, int]
    ) -> SparseMatrix:
        """From scipy's "csc" (indices are rows) or "csr" (indices are columns) arrays."""
        major = shape[1] if kind == "csc" else shape[0]
        if (
            indptr.shape != (major + 1,)
            or indptr.dtype.kind not in "iu"
            or indptr[0] != 0
            or indptr[-1] != len(indices)
        ):
            raise ValueError("sparse matrix with inconsistent indptr")
        ends = indptr.astype(np.int64)
        outer = np.repeat(np.arange(major), ends[1:] - ends[:-1])
        return cls(indices, outer, values, shape) if kind == "csc" else cls(outer, indices, values, shape)

    def toarray(self) -> np.ndarray:
        """Returns the dense (rows, columns) array; entries given twice are added, as scipy does."""
        dense = np.zeros(self.shape, dtype=self.values.dtype)
        np.add.at(dense, (self.rows, self.cols), self.values)
        return dense


def load_pickle(path: str | Path, *, encoding: str = "latin1") -> Any:
    """Reads a pickle file of values.

    Args:
        path: the file.
        encoding: how 8-bit text written by Python 2 becomes text.

    Returns:
        The value, with arrays as numpy arrays and sparse matrices as `SparseMatrix`.

    Raises:
        RefusedPickle: the pickle names anything but containers, arrays, sparse matrices and chumpy.ch.Ch.
        MalformedPickle: the file is truncated, damaged or no pickle.
    """
    return loads(Path(path).read_bytes(), str(path), encoding=encoding)


def loads(data: bytes, file: str, *, encoding: str = "latin1", start: int = 0) -> Any:
    """Reads a pickle of values held in memory; `file` names it in messages. See `load_pickle`."""
    reader = Reader(data, file, encoding, start)
    try:
        return _Finisher(file).value(reader.run())
    except RefusedPickle:
        raise
    except _DAMAGE as error:
        detail = str(error) if isinstance(error, Damaged) else f"{type(error).__name__}: {error}"
        raise MalformedPickle(
            f"{file}: not a readable pickle of values; at byte {reader.pos} of {len(data)}: {detail}. "
            "Copy or download the file again"
        ) from error


def load_npy(path: str | Path) -> Any:
    """Reads a .npy file; an object array in it goes through the restricted pickle reader."""
    return _npy(Path(path).read_bytes(), str(path))


def load_npz(path: str | Path, keys: Callable[[str], bool] | None = None) -> dict[str, Any]:
    """Reads a .npz file into a dict.

    Args:
        path: the file.
        keys: says of a name whether to read it; all others are left untouched. None reads everything.

    Returns:
        name -> array; a 0-d object array (how numpy stores a sparse matrix or a dict) is replaced by what it holds.
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                names = {name.removesuffix(".npy"): name for name in archive.namelist()}
                wanted = [key for key in names if keys is None or keys(key)]
                return {key: _npy(archive.read(names[key]), f"{path}[{key}]") for key in wanted}
        except PgtfastError:
            raise
        except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, RuntimeError, *_DAMAGE) as error:
            detail = f"{type(error).__name__}: {error}"
            raise MalformedPickle(
                f"{path}: not a readable .npz archive ({detail}). Copy or download the file again"
            ) from error


def _npy(data: bytes, file: str) -> Any:
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, fortran, dtype = read_header[version](stream)
        if not dtype.hasobject:
            count = int(np.prod(shape, dtype=np.float64)) * dtype.itemsize
            if count != len(data) - stream.tell():
                raise Damaged(f"the array needs {count} bytes, the file holds {len(data) - stream.tell()}")
            flat = np.frombuffer(data, dtype, offset=stream.tell()) if count else np.empty(0, dtype)
            return flat.reshape(shape, order="F" if fortran else "C").copy()
    except _DAMAGE as error:
        raise MalformedPickle(
            f"{file}: not a readable .npy array ({error}). Copy or download the file again"
        ) from error
    value = loads(data, file, start=stream.tell())
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


class _Finisher:
    """Turns what the machine left (containers, tokens, `Held` records) into values; each shared object once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.done: dict[int, Any] = {}
        self.keep: list[Any] = []

    def value(self, item: Any) -> Any:
        if item is None or isinstance(item, (bool, int, float, complex, str, bytes)):
            return item
        if id(item) in self.done:
            return self.done[id(item)]
        self.keep.append(item)
        if isinstance(item, Global):
            if item.builds in ("object", "ndarray"):
                return None
            raise RefusedPickle(self.file, item.label, "a name where a value belongs")
        if isinstance(item, (list, dict, set)):
            return self._mutable(item)
        if isinstance(item, (tuple, frozenset)):
            made: Any = type(item)(self.value(part) for part in item)
        elif isinstance(item, Held):
            self.done[id(item)] = None
            made = getattr(self, "_" + item.builds.split("_")[0])(item)
        else:
            raise Damaged(f"a {type(item).__name__} is no value")
        self.done[id(item)] = made
        return made

    def _mutable(self, item: Any) -> Any:
        made: Any = OrderedDict() if isinstance(item, OrderedDict) else type(item)()
        self.done[id(item)] = made
        if isinstance(item, dict):
            made.update((self.value(key), self.value(part)) for key, part in item.items())
        elif isinstance(item, list):
            made.extend(self.value(part) for part in item)
        else:
            made.update(self.value(part) for part in item)
        return made

    def _raw(self, data: Any) -> bytes:
        if isinstance(data, str):
            return data.encode("latin1")
        if isinstance(data, bytes):
            return data
        raise Damaged("array bytes are missing")

    def _dtype(self, item: Any) -> np.dtype:
        """A dtype of numbers, text or objects; a structured one would need trust in its offsets, so it is refused."""
        if not isinstance(item, Held) or item.builds != "dtype" or not item.args:
            raise Damaged("an array without a dtype")
        code = item.args[0].decode("ascii") if isinstance(item.args[0], bytes) else item.args[0]
        if code in ("O", "O8", "|O"):
            return np.dtype(object)
        if not isinstance(code, str) or not _PLAIN_DTYPE.fullmatch(code):
            raise RefusedPickle(self.file, f"numpy.dtype({code!r})", "only plain numbers and text are read")
        dtype = np.dtype(code)
        if item.state is not None:
            order = item.state[1].decode("ascii") if isinstance(item.state[1], bytes) else item.state[1]
            if any(part is not None for part in item.state[2:5]):
                raise RefusedPickle(self.file, f"numpy.dtype({code!r})", "structured dtypes are not read")
            if order == ">":
                dtype = dtype.newbyteorder(">")
            elif order not in ("<", "=", "|"):
                raise Damaged(f"byte order {order!r}")
        return dtype

    def _array(self, shape: Any, dtype: np.dtype, data: Any, fortran: bool) -> np.ndarray:
        if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise Damaged(f"array shape {shape!r}")
        order: Any = "F" if fortran else "C"
        count = 1
        for n in shape:
            count *= n
        if dtype.hasobject:
            if not isinstance(data, list) or len(data) != count:
                raise Damaged("an object array with a wrong number of items")
            flat = np.empty(count, dtype=object)
            for at, part in enumerate(data):
                flat[at] = self.value(part)
            return flat.reshape(shape, order=order)
        raw = self._raw(data)
        if len(raw) != count * dtype.itemsize:
            raise Damaged(f"array of shape {shape} and {dtype} needs {count * dtype.itemsize} bytes, has {len(raw)}")
        if not raw:
            return np.empty(shape, dtype)
        native = np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="))
        return native.reshape(shape, order=order)

    def _ndarray(self, item: Held) -> np.ndarray:
        if not isinstance(item.state, tuple) or len(item.state) not in (4, 5):
            raise Damaged("an array without its contents")
        shape, dtype, fortran, data = item.state[-4:]
        return self._array(shape, self._dtype(dtype), data, bool(fortran))

    def _frombuffer(self, item: Held) -> np.ndarray:
        data, dtype, shape, order = item.args
        return self._array(shape, self._dtype(dtype), data, order == "F")

    def _scalar(self, item: Held) -> Any:
        dtype = self._dtype(item.args[0])
        if dtype.hasobject:
            raise RefusedPickle(self.file, "numpy scalar of dtype object", "only plain numbers and text are read")
        return self._array((), dtype, item.args[1], False)[()]

    def _chumpy(self, item: Held) -> Any:
        held = item.state.get("x") if isinstance(item.state, dict) else None
        value = self.value(held)
        if not isinstance(value, (np.ndarray, np.number, int, float)):
            raise Damaged("a chumpy.ch.Ch without its array `x`")
        return np.asarray(value)

    def _sparse(self, item: Held) -> SparseMatrix:
        kind = item.builds.split("_")[1]
        if not isinstance(item.state, dict):
            raise Damaged("a sparse matrix without its contents")
        state = {key: self.value(part) for key, part in item.state.items()}
        shape = state.get("_shape", state.get("shape"))
        if not isinstance(shape, tuple) or len(shape) != 2 or not all(0 <= int(n) < 2**31 for n in shape):
            raise Damaged(f"sparse matrix of shape {shape!r}")
        shape = (int(shape[0]), int(shape[1]))
        values = np.asarray(state["data"])
        if kind != "coo":
            indices, indptr = np.asarray(state["indices"]), np.asarray(state["indptr"])
            return SparseMatrix.compressed(kind, values, indices, indptr, shape)
        rows, cols = state["coords"] if "coords" in state else (state["row"], state["col"])
        return SparseMatrix(np.asarray(rows), np.asarray(cols), values, shape)
