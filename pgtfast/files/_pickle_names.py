"""Names that a pickle may ask for, and what stands for them: tokens and plain records, never the things themselves."""

from __future__ import annotations

from typing import Any, NamedTuple

from pgtfast._errors import PgtfastError


class RefusedPickle(PgtfastError):
    """A pickle asks for something that a file of values has no need of; nothing of it was run.

    Attributes:
        file: name of the file.
        refused: what was asked for, as ``module.name``.
    """

    def __init__(self, file: str, refused: str, reason: str) -> None:
        self.file = file
        self.refused = refused
        super().__init__(f"{file}: refused {refused!r} ({reason}); nothing was executed")


SPARSE_FORMATS = ("csc", "csr", "coo")
NUMPY_CORES = ("numpy.core", "numpy._core")
BUILTINS = ("builtins", "__builtin__")
GLOBALS: dict[tuple[str, str], str] = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
    ("collections", "OrderedDict"): "ordereddict",
    ("copy_reg", "_reconstructor"): "reconstructor",
    ("copyreg", "_reconstructor"): "reconstructor",
    ("chumpy.ch", "Ch"): "chumpy",
    ("chumpy", "Ch"): "chumpy",
}
"""(module, name) of the few globals that files of values hold -> what is built in their place."""
for _core in NUMPY_CORES:
    GLOBALS[f"{_core}.multiarray", "_reconstruct"] = "reconstruct"
    GLOBALS[f"{_core}.multiarray", "scalar"] = "scalar"
    GLOBALS[f"{_core}.numeric", "_frombuffer"] = "frombuffer"
for _builtin in BUILTINS:
    for _name in ("object", "set", "frozenset", "list", "dict", "tuple", "bytes", "bytearray", "complex"):
        GLOBALS[_builtin, _name] = _name
for _format in SPARSE_FORMATS:
    for _suffix in ("matrix", "array"):
        for _module in ("scipy.sparse", f"scipy.sparse.{_format}", f"scipy.sparse._{_format}"):
            GLOBALS[_module, f"{_format}_{_suffix}"] = f"sparse_{_format}"


class Global(NamedTuple):
    """A name met in the pickle; a token, never the thing itself."""

    module: str
    name: str
    builds: str

    @property
    def label(self) -> str:
        return f"{self.module}.{self.name}"


class Held:
    """An object under construction: what kind, its arguments, and the state that BUILD brought."""

    __slots__ = ("args", "builds", "state")

    def __init__(self, builds: str, args: tuple = ()) -> None:
        self.builds = builds
        self.args = args
        self.state: Any = None
