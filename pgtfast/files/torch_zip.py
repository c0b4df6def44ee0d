"""Tensors of a ``torch.save`` zip file without running anything, whatever else the file holds.

Lightning checkpoints keep their hyper-parameters beside the weights, as objects of whatever library the training used.
``torch.load(
weights_only=True)`` refuses the whole file for one such object. Here an object of a known configuration library becomes
an empty mark, and
all other names are refused.
"""

from __future__ import annotations

import pickletools
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .._errors import PgtfastError
from ._pickle_machine import STEPS, Damaged, Reader
from ._pickle_names import Global

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_REBUILD = ("_rebuild_tensor_v2", "_rebuild_parameter")
_CONTAINERS = {"set": set, "frozenset": frozenset, "list": list, "dict": dict, "tuple": tuple}
_LEFT_ASIDE = frozenset(
    (
        "argparse",
        "attrdict",
        "collections",
        "configer",
        "copy_reg",
        "copyreg",
        "datetime",
        "dotmap",
        "easydict",
        "enum",
        "human_body_prior",
        "lightning",
        "lightning_fabric",
        "numpy",
        "omegaconf",
        "pathlib",
        "pytorch_lightning",
        "torch",
        "torchmetrics",
        "typing",
        "yacs",
    )
)
"""Packages whose objects may lie beside the weights. Nothing of them is imported or run; the list serves to refuse
files that want more."""


class LeftAside:
    """Stands for an object that is neither a tensor nor a plain value."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class _Storage:
    """A storage of the archive, not yet read."""

    __slots__ = ("dtype", "key", "numel")

    def __init__(self, dtype: torch.dtype, key: str, numel: int) -> None:
        self.dtype, self.key, self.numel = dtype, key, numel


def read_torch_zip(path: Path) -> tuple[Any, tuple[str, ...]]:
    """The value of a ``torch.save`` file.

    Args:
        path: written by torch 1.6 or later (a zip archive).

    Returns:
        The value, with tensors on the CPU and a :class:`LeftAside` for every other object; and the names of those
        objects.

    Raises:
        RefusedPickle: the file names something outside the known libraries.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise PgtfastError(f"{path}: not a torch file; wanted one data.pkl in the archive, got {len(pickles)}")
            reader = _TorchReader(archive, pickles[0], str(path))
            return reader.run(), tuple(sorted(reader.left_aside))
    except PgtfastError:
        raise
    except (
        Damaged,
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise PgtfastError(
            f"{path}: not a readable torch file ({type(error).__name__}: {error}). Copy or download it again"
        ) from error


class _TorchReader(Reader):
    """The pickle machine with tensors: storages by persistent id, and the two functions that view them."""

    def __init__(self, archive: zipfile.ZipFile, pickle: str, file: str) -> None:
        super().__init__(archive.read(pickle), file, "utf-8", 0)
        self.archive = archive
        self.folder = pickle.removesuffix("data.pkl")
        self.left_aside: set[str] = set()
        order = f"{self.folder}byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise PgtfastError(f"{file}: written on a big-endian machine, which is not read")

    def run(self) -> Any:
        while (code := self.take(1)) != b".":
            if code == b"Q":
                self.stack.append(self.storage(self.pop()))
            elif code in STEPS:
                STEPS[code](self)
            else:
                names = {op.code: op.name for op in pickletools.opcodes}
                self.refuse(f"opcode {names.get(code.decode('latin1'), code)}", "not used by torch files")
        return self.pop()

    def push_global(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise Damaged("a global without a name")
        package = module.split(".")[0]
        if module == "torch" and name in _DTYPES:
            builds = "storage"
        elif module == "torch._utils" and name in _REBUILD:
            builds = name
        elif (module, name) == ("collections", "OrderedDict"):
            builds = "OrderedDict"
        elif package in ("builtins", "__builtin__") and name in _CONTAINERS:
            builds = name
        elif package in _LEFT_ASIDE or (
            package in ("builtins", "__builtin__")
            and name in ("object", "int", "float", "str", "bool", "bytes", "complex")
        ):
            builds = "aside"
        else:
            self.refuse(f"{module}.{name}", "a file of weights has no need of it")
        self.stack.append(Global(module, name, builds))

    def reduce(self, target: Any, args: Any) -> Any:
        if isinstance(target, LeftAside):
            return target
        if not isinstance(target, Global) or not isinstance(args, tuple):
            raise Damaged("a call of something that is not a name")
        if target.builds == "_rebuild_tensor_v2":
            return self.tensor(*args[:4])
        if target.builds == "_rebuild_parameter":
            return args[0]
        if target.builds == "OrderedDict":
            return OrderedDict(*args)
        if target.builds in _CONTAINERS:
            return _CONTAINERS[target.builds](*args)
        return self.aside(target)

    def new(self, cls: Any, args: Any) -> Any:
        return self.reduce(cls, args)

    def build(self, target: Any, state: Any) -> None:
        # the attributes of a state dict (its _metadata) and of objects left aside are of no use here
        if not isinstance(target, (LeftAside, OrderedDict)):
            self.refuse("BUILD", "state for something that takes none")

    def aside(self, target: Global) -> LeftAside:
        if target.builds != "aside":
            self.refuse(target.label, "is not called in a file of weights")
        self.left_aside.add(target.label)
        return LeftAside(target.label)

    def storage(self, key: Any) -> _Storage:
        if not isinstance(key, tuple) or len(key) != 5 or key[0] != "storage" or not isinstance(key[1], Global):
            raise Damaged("a storage of an unknown form")
        if key[1].builds != "storage" or not isinstance(key[2], str) or not isinstance(key[4], int):
            raise Damaged(f"a storage of {key[1].label}")
        return _Storage(_DTYPES[key[1].name], key[2], key[4])

    def tensor(self, storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
        if not isinstance(storage, _Storage):
            raise Damaged("a tensor without its storage")
        whole = (offset, *size, *stride)
        if len(size) != len(stride) or not all(isinstance(n, int) and n >= 0 for n in whole):
            raise Damaged(f"a tensor of size {size} and stride {stride}")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        raw = self.archive.read(f"{self.folder}data/{storage.key}")
        if len(raw) != storage.numel * storage.dtype.itemsize or (0 not in size and last >= storage.numel):
            raise Damaged(f"a tensor of size {tuple(size)} reaches beyond its {len(raw)} bytes")
        if not raw or 0 in size:
            return torch.empty(tuple(size), dtype=storage.dtype)
        flat = torch.frombuffer(bytearray(raw), dtype=storage.dtype)
        return flat.as_strided(tuple(size), tuple(stride), offset).clone()
