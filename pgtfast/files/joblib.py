"""Reads what joblib.dump wrote, without running anything: a pickle with the bytes of its arrays in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from . import unpickle as _unpickle
from ._pickle_machine import Damaged, Reader
from ._pickle_names import Global, Held, RefusedPickle

_COMPRESSED = {b"\x78": "zlib", b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "xz", b"\x04\x22\x4d\x18": "lz4"}


def load_joblib(path: str | Path) -> Any:
    """Read an uncompressed joblib file of values.

    Raises:
        RefusedPickle: it is compressed, or names anything but containers and arrays.
        MalformedPickle: it is truncated, damaged or no such file.
    """
    data, file = Path(path).read_bytes(), str(path)
    for magic, name in _COMPRESSED.items():
        if data.startswith(magic):
            raise RefusedPickle(file, f"{name} compression", "write it again with joblib.dump(..., compress=0)")
    reader = _JoblibReader(data, file, "latin1", 0)
    try:
        return _JoblibFinisher(file).value(reader.run())
    except RefusedPickle:
        raise
    except _unpickle._DAMAGE as error:
        detail = str(error) if isinstance(error, Damaged) else f"{type(error).__name__}: {error}"
        raise _unpickle.MalformedPickle(
            f"{file}: not a readable joblib file of values; at byte {reader.pos} of {len(data)}: {detail}. Copy or "
            f"download the file again"
        ) from error


class _JoblibReader(Reader):
    """As `Reader`; after the description of an array come the array's bytes, perhaps behind some padding."""

    def push_global(self, module: Any, name: Any) -> None:
        if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
            self.stack.append(Global(module, name, "joblib"))
        else:
            super().push_global(module, name)

    def new(self, cls: Any, args: Any) -> Any:
        if isinstance(cls, Global) and cls.builds == "joblib":
            return Held("joblib")
        return super().new(cls, args)

    def build(self, target: Any, state: Any) -> None:
        super().build(target, state)
        if isinstance(target, Held) and target.builds == "joblib":
            target.args = (self._array_after(state),)

    def _array_after(self, state: Any) -> Any:
        if not isinstance(state, dict) or not isinstance(state.get("shape"), tuple):
            raise Damaged("an array without its description")
        subclass = state.get("subclass")
        if not isinstance(subclass, Global) or subclass.builds != "ndarray":
            self.refuse(getattr(subclass, "label", repr(subclass)), "only plain arrays are read")
        dtype = _JoblibFinisher(self.file)._dtype(state.get("dtype"))
        if dtype.hasobject:
            inner = _JoblibReader(b"", self.file, self.encoding, self.pos)
            inner.data = self.data
            value = inner.run()
            self.pos = inner.pos
            return value
        if state.get("numpy_array_alignment_bytes") is not None:
            self.take(self.take(1)[0])
        count = dtype.itemsize
        for n in state["shape"]:
            if not isinstance(n, int) or n < 0:
                raise Damaged(f"array shape {state['shape']!r}")
            count *= n
        return self.take(count)


class _JoblibFinisher(_unpickle._Finisher):
    def _joblib(self, item: Held) -> np.ndarray:
        held = item.args[0]
        if not isinstance(held, bytes):
            return self.value(held)
        state = item.state
        return self._array(state["shape"], self._dtype(state["dtype"]), held, state.get("order") == "F")
