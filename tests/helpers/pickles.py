"""Pickles as they are met in the wild: old protocols, chumpy holders without chumpy, and hostile ones."""

from __future__ import annotations

import pickle
import struct
import sys
import types
from contextlib import contextmanager

import numpy as np


@contextmanager
def chumpy_stub():
    """A module `chumpy.ch` with a class `Ch`, there only while a file is written."""

    class Ch:
        def __init__(self, x):
            self.x = x
            self._dirty_vars = set()
            self._itr = None

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    package, module = types.ModuleType("chumpy"), types.ModuleType("chumpy.ch")
    module.Ch, package.ch = Ch, module
    sys.modules.update({"chumpy": package, "chumpy.ch": module})
    try:
        yield Ch
    finally:
        del sys.modules["chumpy"], sys.modules["chumpy.ch"]


class Python2Writer:
    """Writes protocol-0 and protocol-2 pickles the way Python 2 with old numpy and scipy did (8-bit text, old module
    paths).
    """

    def __init__(self, protocol: int) -> None:
        self.protocol = protocol

    def dump(self, value) -> bytes:
        head = b"\x80\x02" if self.protocol == 2 else b""
        return head + self._value(value) + b"."

    def _text(self, raw: bytes) -> bytes:
        if self.protocol == 2:
            return b"U" + bytes([len(raw)]) + raw if len(raw) < 256 else b"T" + struct.pack("<i", len(raw)) + raw
        escaped = raw.decode("latin1").encode("unicode_escape").replace(b"'", b"\\'")
        return b"S'" + escaped + b"'\n"

    def _int(self, value: int) -> bytes:
        return b"I%d\n" % value if self.protocol == 0 else b"J" + struct.pack("<i", value)

    def _value(self, value) -> bytes:
        if value is None:
            return b"N"
        if isinstance(value, bool):
            return b"I01\n" if value else b"I00\n"
        if isinstance(value, int):
            return self._int(value)
        if isinstance(value, float):
            return b"F%r\n" % value if self.protocol == 0 else b"G" + struct.pack(">d", value)
        if isinstance(value, str):
            return self._text(value.encode("latin1"))
        if isinstance(value, tuple):
            return b"(" + b"".join(map(self._value, value)) + b"t"
        if isinstance(value, list):
            return b"(" + b"".join(map(self._value, value)) + b"l"
        if isinstance(value, dict):
            body = b"".join(self._value(key) + self._value(part) for key, part in value.items())
            return b"(" + body + b"d"
        if isinstance(value, np.ndarray):
            return self._array(value)
        if type(value).__name__ == "Ch":
            return self._instance("chumpy.ch", "Ch", {"x": value.x, "_dirty_vars": [], "_itr": None})
        if type(value).__name__ in ("csc_matrix", "csr_matrix"):
            kind = value.format
            state = {
                "_shape": tuple(map(int, value.shape)), "maxprint": 50, "data": value.data, "indices": value.indices,
                "indptr": value.indptr,
            }  # fmt: skip
            return self._instance(f"scipy.sparse.{kind}", f"{kind}_matrix", state)
        raise TypeError(type(value))

    def _instance(self, module: str, name: str, state: dict) -> bytes:
        head = f"c{module}\n{name}\n".encode()
        if self.protocol == 2:
            return head + b")\x81" + self._value(state) + b"b"
        return b"ccopy_reg\n_reconstructor\n(" + head + b"c__builtin__\nobject\nNtR" + self._value(state) + b"b"

    def _array(self, array: np.ndarray) -> bytes:
        fortran = array.flags.f_contiguous and not array.flags.c_contiguous
        raw = array.tobytes(order="F" if fortran else "C")
        code = array.dtype.str
        dtype = (
            b"cnumpy\ndtype\n(" + self._text(code[1:].encode()) + self._int(0) + self._int(1) + b"tR"
            + self._value((3, code[0], None, None, None, -1, -1, 0)) + b"b"
        )  # fmt: skip
        made = (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + self._value((0,)) + self._text(b"b") + b"tR"
        )
        state = b"(" + self._int(1) + self._value(tuple(map(int, array.shape))) + dtype
        return made + state + self._value(bool(fortran)) + self._text(raw) + b"tb"


class _Calls:
    def __init__(self, function, *args) -> None:
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


def hostile(marker: str) -> dict[str, tuple[bytes, str]]:
    """Hostile pickles: name -> (bytes, part of the name that must be refused). Each would make the file `marker` if it
    ran.
    """
    import builtins
    import functools
    import operator
    import os
    import subprocess

    command = f"touch {marker}"
    text = f"open({marker!r}, 'w').close()"
    encoded = command.encode()
    short = b"\x8c" + bytes([len(encoded)]) + encoded
    found = {
        f"reduce-{name}-{protocol}": (pickle.dumps(_Calls(function, *args), protocol), refused)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        for name, function, args, refused in (
            ("system", os.system, (command,), "system"),
            ("eval", builtins.eval, (text,), "eval"),
            ("exec", builtins.exec, (text,), "exec"),
            ("getattr", builtins.getattr, ("x", "upper"), "getattr"),
            ("import", builtins.__import__, ("os",), "__import__"),
            ("open", builtins.open, (marker, "w"), "open"),
            ("popen", subprocess.Popen, (["touch", marker],), "Popen"),
            ("attrgetter", operator.attrgetter, ("__class__",), "attrgetter"),
            ("partial", functools.partial, (os.system, command), "partial"),
            ("fromfile", np.fromfile, (marker,), "fromfile"),
            ("map", builtins.map, (os.system, [command]), "map"),
        )
    }
    raw = {
        "global-posix": (b"cposix\nsystem\n(S'" + encoded + b"'\ntR.", "posix.system"),
        "global-nt": (b"cnt\nsystem\n(S'" + encoded + b"'\ntR.", "nt.system"),
        "global-builtin-py2": (b"c__builtin__\neval\n(S'1'\ntR.", "__builtin__.eval"),
        "inst": (b"(S'" + encoded + b"'\nios\nsystem\n.", "os.system"),
        "obj": (b"(cos\nsystem\nS'" + encoded + b"'\no.", "os.system"),
        "stack-global": (b"\x80\x04\x8c\x02os\x8c\x06system\x93" + short + b"\x85R.", "os.system"),
        "newobj": (b"\x80\x02csubprocess\nPopen\n(S'" + encoded + b"'\nt\x81.", "subprocess.Popen"),
        "newobj-ex": (b"\x80\x04\x8c\x0asubprocess\x8c\x05Popen\x93)}\x92.", "subprocess.Popen"),
        "newobj-ex-allowed": (b"\x80\x04\x8c\x05numpy\x8c\x07ndarray\x93)}\x92.", "NEWOBJ_EX"),
        "ext": (b"\x80\x02\x82\x01.", "EXT1"),
        "persid": (b"Psome-id\n.", "PERSID"),
        "binpersid": (b"\x80\x02Nq\x00Q.", "BINPERSID"),
        "nested-name": (b"\x80\x04\x8c\x05numpy\x8c\x0dos.system\x00\x00\x00\x00\x93.", "numpy.os.system"),
        "module-attribute": (b"cnumpy\ncore\n.", "numpy.core"),
        "numpy-load": (b"cnumpy\nload\n(S'x'\nI00\nI01\ntR.", "numpy.load"),
        "build-on-a-list": (b"](dS'__class__'\nN\x86b.", "BUILD"),
        "build-on-a-global": (b"cnumpy\nndarray\n}S'__reduce__'\nNsb.", "BUILD"),
        "reconstructor-base": (b"ccopy_reg\n_reconstructor\n(cchumpy.ch\nCh\nc__builtin__\nlist\n]tR.",
            "_reconstructor"),
        "ndarray-subclass": (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR.", "_reconstruct"),
        "call-ndarray": (b"cnumpy\nndarray\n((I9\nttR.", "numpy.ndarray"),
        "encode-rot13": (b"c_codecs\nencode\n(Vabc\nVrot13\ntR.", "_codecs.encode"),
        "structured-dtype": (b"(cnumpy\ndtype\n(S'V8'\nI0\nI1\ntRl.", "numpy.dtype('V8')"),
        "object-dtype-scalar": (
            b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O8'\nI0\nI1\ntRS'AAAAAAAA'\ntR.", "dtype object",
        ),
        "chumpy-other": (b"cchumpy.reordering\nSelect\n)\x81.", "chumpy.reordering.Select"),
        "a-class-as-value": (b"c__builtin__\nset\n.", "__builtin__.set"),
    }  # fmt: skip
    raw["nested-name"] = (b"\x80\x04\x8c\x05numpy\x8c\x09os.system\x93.", "numpy.os.system")
    return found | raw
