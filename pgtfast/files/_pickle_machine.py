"""Interpreter of pickle opcodes that never holds a callable.

A global is a (module, name) token, checked against a short list when it is read; REDUCE, NEWOBJ and BUILD on such a
token
fill a plain record (`Held`) which `pgtfast.files.unpickle` turns into an array afterwards. There is no getattr, no call
and no
import anywhere on the way, so nothing that a file says can run.
"""

from __future__ import annotations

import codecs
import pickletools
import re
import struct
from collections import OrderedDict
from typing import Any, NoReturn

from ._pickle_names import GLOBALS, Global, Held, RefusedPickle

_MARK = object()

# A backslash (after an even run of them) before what starts no escape of Python 2, or before an octal above 0o377.
_NO_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\(?:(?![\\'\"abfnrtv\nx0-7])|(?=[4-7][0-7]{2}))")


class Damaged(Exception):
    """The bytes make no sense; the caller names the file and the place."""


class Reader:
    """Interprets one pickle (protocols 0 to 5) held in memory.

    Args:
        data: the file's bytes.
        file: its name, for messages.
        encoding: how 8-bit text of Python 2 becomes text; "bytes" leaves it.
        start: where the pickle begins.
    """

    def __init__(self, data: bytes, file: str, encoding: str, start: int) -> None:
        self.data = memoryview(data)
        self.file = file
        self.encoding = encoding
        self.pos = start
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    # ---- bytes
    def take(self, count: int) -> bytes:
        if count < 0 or self.pos + count > len(self.data):
            raise Damaged("the file ends in the middle of a value (truncated?)")
        chunk = bytes(self.data[self.pos : self.pos + count])
        self.pos += count
        return chunk

    def number(self, code: str) -> int:
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def line(self) -> bytes:
        start = self.pos
        step = 4096
        while True:
            chunk = bytes(self.data[start : start + step])
            at = chunk.find(b"\n")
            if at >= 0:
                self.pos = start + at + 1
                return chunk[:at]
            if start + step >= len(self.data):
                raise Damaged("the file ends in the middle of a line (truncated?)")
            step *= 8

    def text(self, raw: bytes) -> str | bytes:
        return raw if self.encoding == "bytes" else raw.decode(self.encoding)

    # ---- stack
    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise Damaged("an opcode finds nothing to work on")
        return self.stack.pop()

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise Damaged(f"expected a {kind.__name__} on the stack")
        return self.stack[-1]

    def pop_mark(self) -> list[Any]:
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is _MARK:
                items = self.stack[at + 1 :]
                del self.stack[at:]
                return items
        raise Damaged("an opcode looks for a mark that is not there")

    # ---- globals and the objects they build
    def refuse(self, label: str, reason: str) -> NoReturn:
        raise RefusedPickle(self.file, label, reason)

    def push_global(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise Damaged("a global without a name")
        builds = GLOBALS.get((module, name))
        if builds is None:
            cure = "only numpy arrays, sparse matrices, chumpy.ch.Ch and builtin containers are read"
            if module.split(".")[0] == "chumpy":
                cure += "; this is another chumpy object: resave the file with plain arrays"
            self.refuse(f"{module}.{name}", cure)
        self.stack.append(Global(module, name, builds))

    def reduce(self, target: Any, args: Any) -> Any:
        if not isinstance(target, Global):
            raise Damaged("a call of something that is not a name")
        if not isinstance(args, tuple):
            raise Damaged(f"the arguments of {target.label} are not a tuple")
        builds = target.builds
        if builds == "reconstructor":
            cls, base, state = args
            if not isinstance(cls, Global) or not isinstance(base, Global):
                raise Damaged("_reconstructor without a class")
            if base.builds != "object" or state is not None:
                self.refuse(f"{target.label}({cls.label}, {base.label})", "only plain objects are rebuilt")
            return self.new(cls, ())
        if builds == "reconstruct":
            if not args or not isinstance(args[0], Global) or args[0].builds != "ndarray":
                self.refuse(target.label, "rebuilds numpy.ndarray alone")
            return Held("ndarray")
        if builds == "encode":
            if len(args) != 2 or not isinstance(args[0], str) or args[1] not in ("latin1", "latin-1"):
                self.refuse(target.label, "serves only to write bytes as latin1 text")
            return args[0].encode("latin1")
        if builds in ("dtype", "scalar", "frombuffer"):
            return Held(builds, args)
        if builds in ("set", "frozenset", "list", "tuple", "bytes", "bytearray", "complex", "dict", "ordereddict"):
            return self.container(builds, args)
        self.refuse(target.label, "is not called in a file of values")

    def container(self, builds: str, args: tuple) -> Any:
        if builds == "complex":
            return complex(*(float(part) for part in args))
        if builds in ("bytes", "bytearray"):
            if not args:
                return b""
            if isinstance(args[0], str) and args[1:] in (("latin1",), ("latin-1",)):
                return args[0].encode("latin1")
            if len(args) == 1 and isinstance(args[0], bytes):
                return args[0]
            raise Damaged("bytes of an unknown form")
        if len(args) > 1 or (args and not isinstance(args[0], (list, tuple, set, frozenset, dict))):
            raise Damaged(f"{builds} of something that is not a container")
        kinds = {"set": set, "frozenset": frozenset, "list": list, "tuple": tuple, "dict": dict}
        return kinds.get(builds, OrderedDict)(*args)

    def new(self, cls: Any, args: Any) -> Any:
        if not isinstance(cls, Global):
            raise Damaged("a new object of something that is not a name")
        if cls.builds == "chumpy" or cls.builds.startswith("sparse_"):
            return Held(cls.builds)
        if cls.builds == "ordereddict" and not args:
            return OrderedDict()
        self.refuse(cls.label, "no object of it is made here")

    def build(self, target: Any, state: Any) -> None:
        if not isinstance(target, Held) or target.builds in ("scalar", "frombuffer"):
            self.refuse("BUILD", "state for something that takes none")
        target.state = state

    # ---- the loop
    def run(self) -> Any:
        while True:
            code = self.take(1)
            if code == b".":
                return self.pop()
            step = STEPS.get(code)
            if step is None:
                known = {op.code: op.name for op in pickletools.opcodes}.get(code.decode("latin1"))
                if known is None:
                    raise Damaged(f"byte {code!r} is no pickle opcode")
                self.refuse(f"opcode {known}", "not used by files of values")
            step(self)


def _push(value_of: Any) -> Any:
    def step(r: Reader) -> None:
        r.stack.append(value_of(r))

    return step


def _get(r: Reader, key: int) -> Any:
    if key not in r.memo:
        raise Damaged(f"memo entry {key} is missing")
    return r.memo[key]


def _put(key_of: Any) -> Any:
    def step(r: Reader) -> None:
        key = key_of(r)
        if not r.stack or r.stack[-1] is _MARK:
            raise Damaged("nothing to remember")
        r.memo[key] = r.stack[-1]

    return step


def _int_line(r: Reader) -> int | bool:
    raw = r.line()
    return raw == b"01" if raw in (b"00", b"01") else int(raw)


def _long_line(r: Reader) -> int:
    return int(r.line().rstrip(b"L"))


def _string_line(r: Reader) -> str | bytes:
    raw = r.line()
    if len(raw) < 2 or raw[:1] != raw[-1:] or raw[:1] not in b"\"'":
        raise Damaged("a text without quotes")
    if _NO_ESCAPE.search(raw):
        raise Damaged("a text with an escape that does not exist")
    return r.text(codecs.escape_decode(raw[1:-1])[0])


def _pairs(items: list[Any]) -> zip:
    if len(items) % 2:
        raise Damaged("a key without a value")
    return zip(items[::2], items[1::2], strict=True)


def _step_reduce(r: Reader) -> None:
    args = r.pop()
    r.stack.append(r.reduce(r.pop(), args))


def _step_newobj(r: Reader) -> None:
    args = r.pop()
    r.stack.append(r.new(r.pop(), args))


def _step_build(r: Reader) -> None:
    state = r.pop()
    r.build(r.stack[-1] if r.stack else None, state)


def _step_append(r: Reader) -> None:
    item = r.pop()
    r.top(list).append(item)


def _step_appends(r: Reader) -> None:
    items = r.pop_mark()
    r.top(list).extend(items)


def _step_setitem(r: Reader) -> None:
    value = r.pop()
    key = r.pop()
    r.top(dict)[key] = value


def _step_setitems(r: Reader) -> None:
    items = r.pop_mark()
    r.top(dict).update(_pairs(items))


def _step_additems(r: Reader) -> None:
    items = r.pop_mark()
    r.top(set).update(items)


def _step_global(r: Reader) -> None:
    module = r.line().decode("utf-8")
    r.push_global(module, r.line().decode("utf-8"))


def _step_stack_global(r: Reader) -> None:
    name = r.pop()
    r.push_global(r.pop(), name)


def _step_inst(r: Reader) -> None:
    module = r.line().decode("utf-8")
    r.push_global(module, r.line().decode("utf-8"))
    target = r.stack.pop()
    r.stack.append(r.new(target, tuple(r.pop_mark())))


def _step_obj(r: Reader) -> None:
    items = r.pop_mark()
    if not items:
        raise Damaged("an object without a class")
    r.stack.append(r.new(items[0], tuple(items[1:])))


def _step_memoize(r: Reader) -> None:
    _put(lambda reader: len(reader.memo))(r)


def _tuple_of(count: int) -> Any:
    def step(r: Reader) -> None:
        items = [r.pop() for _ in range(count)]
        r.stack.append(tuple(reversed(items)))

    return step


def _signed(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


def _skip(code: str) -> Any:
    return lambda r: r.number(code)


STEPS: dict[bytes, Any] = {
    b"\x80": _skip("<B"),
    b"\x95": _skip("<Q"),
    b"(": lambda r: r.stack.append(_MARK),
    b"0": lambda r: r.stack.pop() if r.stack else r.pop(),
    b"1": lambda r: r.pop_mark(),
    b"2": lambda r: r.stack.append(r.top(object)),
    b"N": _push(lambda r: None),
    b"\x88": _push(lambda r: True),
    b"\x89": _push(lambda r: False),
    b"I": _push(_int_line),
    b"L": _push(_long_line),
    b"J": _push(lambda r: r.number("<i")),
    b"K": _push(lambda r: r.number("<B")),
    b"M": _push(lambda r: r.number("<H")),
    b"\x8a": _push(lambda r: _signed(r.take(r.number("<B")))),
    b"\x8b": _push(lambda r: _signed(r.take(r.number("<i")))),
    b"F": _push(lambda r: float(r.line())),
    b"G": _push(lambda r: r.number(">d")),
    b"S": _push(_string_line),
    b"T": _push(lambda r: r.text(r.take(r.number("<i")))),
    b"U": _push(lambda r: r.text(r.take(r.number("<B")))),
    b"B": _push(lambda r: r.take(r.number("<I"))),
    b"C": _push(lambda r: r.take(r.number("<B"))),
    b"\x8e": _push(lambda r: r.take(r.number("<Q"))),
    b"\x96": _push(lambda r: r.take(r.number("<Q"))),
    b"V": _push(lambda r: r.line().decode("raw-unicode-escape")),
    b"X": _push(lambda r: r.take(r.number("<I")).decode("utf-8", "surrogatepass")),
    b"\x8c": _push(lambda r: r.take(r.number("<B")).decode("utf-8", "surrogatepass")),
    b"\x8d": _push(lambda r: r.take(r.number("<Q")).decode("utf-8", "surrogatepass")),
    b"]": _push(lambda r: []),
    b"}": _push(lambda r: {}),
    b")": _push(lambda r: ()),
    b"\x8f": _push(lambda r: set()),
    b"l": _push(lambda r: r.pop_mark()),
    b"t": _push(lambda r: tuple(r.pop_mark())),
    b"d": _push(lambda r: dict(_pairs(r.pop_mark()))),
    b"\x91": _push(lambda r: frozenset(r.pop_mark())),
    b"\x85": _tuple_of(1),
    b"\x86": _tuple_of(2),
    b"\x87": _tuple_of(3),
    b"a": _step_append,
    b"e": _step_appends,
    b"s": _step_setitem,
    b"u": _step_setitems,
    b"\x90": _step_additems,
    b"c": _step_global,
    b"\x93": _step_stack_global,
    b"R": _step_reduce,
    b"\x81": _step_newobj,
    b"i": _step_inst,
    b"o": _step_obj,
    b"b": _step_build,
    b"g": _push(lambda r: _get(r, int(r.line()))),
    b"h": _push(lambda r: _get(r, r.number("<B"))),
    b"j": _push(lambda r: _get(r, r.number("<I"))),
    b"p": _put(lambda r: int(r.line())),
    b"q": _put(lambda r: r.number("<B")),
    b"r": _put(lambda r: r.number("<I")),
    b"\x94": _step_memoize,
}
