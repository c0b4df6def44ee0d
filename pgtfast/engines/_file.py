"""Engine files: what a library runs, and behind it everything that one must know to use it.

A file is the library's own bytes, then JSON, then one line of fixed length that says how long the JSON is and what its
hash is; the JSON tells length and hash of what stands before it. In an ONNX file the tail is the last entry of the
model's `metadata_props`, so that the file stays a plain ONNX model to every other tool.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .._errors import PgtfastError
from ..networks import NetworkConfig
from ..networks.files import AnnotatorFile

MARK = "pgtfast engine 1"
"""What a file's last line begins with."""
_TAIL = re.compile(rb"\npgtfast engine (\d) (\d{12}) ([0-9a-f]{64})")
_TAIL_LENGTH = len(f"\n{MARK} {0:012d} {'':64}")
KEY = "pgtfast"
"""Of the entry in an ONNX model's `metadata_props`."""


@dataclass(frozen=True, kw_only=True)
class EngineFile:
    """What an engine file says of itself."""

    engine: str
    """Name of the engine that runs it: "onnxruntime", "tensorrt" or "tensorrt-rtx"."""
    about: AnnotatorFile
    """The network's config, body, prior and landmark sets."""
    weights_sha256: str
    """Of the checkpoint that it was exported from."""
    precision: str
    """"fp32"; "fp16": backbone in float16, heads in float32; else what a quantised graph holds."""
    opset: int
    """Of the ONNX graph."""
    library: str
    """That made the engine."""
    library_version: str
    """TensorRT's engines run with this very version; an ONNX file with any that reads its opset."""
    architectures: tuple[str, ...] = ()
    """Of GPUs that it was built for, such as "sm89"; none for an ONNX file."""
    gpu: str = ""
    """The GPU that it was built on; "" where none was needed."""
    batch: tuple[int, int, int] | None = None
    """Fewest, usual and most crops at once (TensorRT's optimisation profile); None for any number. More crops run in
    several goes.
    """
    request: str = ""
    """Hash of what the export was asked for, by which it is recognised."""
    pgtfast_version: str = ""
    """That wrote the file."""

    @property
    def input(self) -> dict[str, Any]:
        """The one input, for people and other programs."""
        width, height = self.about.config.input_size
        return {
            "name": "image",
            "shape": ["batch", 3, height, width],
            "dtype": "float32",
            "channels": "RGB",
            "normalize": self.about.config.normalize,
        }


def write_engine_file(path: str | os.PathLike, payload: bytes, file: EngineFile) -> None:
    """Write an engine file; a kill leaves the former file or none.

    Args:
        path: of the file.
        payload: the library's bytes: an ONNX model without `metadata_props`, or a serialised engine.
        file: what belongs to it.
    """
    about = json.loads(json.dumps(asdict(file)))
    told = {**about, "input": file.input, "payload_bytes": len(payload), "payload_sha256": _sha256(payload)}
    text = json.dumps(told, indent=1)
    tail = f"{text}\n{MARK} {len(text):012d} {_sha256(text.encode())}".encode()
    if file.engine == "onnxruntime":
        tail = _protobuf(14, _protobuf(1, KEY.encode()) + _protobuf(2, tail))  # ModelProto.metadata_props: key, value
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as out:
            out.write(payload)
            out.write(tail)
            out.flush()
            os.fsync(out.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_engine_file(path: str | os.PathLike) -> tuple[EngineFile, bytes]:
    """Read an engine file and check that it is whole.

    Returns:
        What it says of itself, and the library's bytes.

    Raises:
        PgtfastError: it is no engine file, is damaged, or of a later format.
    """
    path = Path(path)
    if not path.is_file():
        raise PgtfastError(f"{path}: no such file; wanted an engine file (python -m pgtfast.export makes them)")
    content = path.read_bytes()
    tail = _TAIL.fullmatch(content[-_TAIL_LENGTH:])
    if tail is None:
        if content[:4] == b"PK\x03\x04":
            raise PgtfastError(
                f"{path}: a checkpoint, no engine file; use --engine torch, or export it first: python -m "
                "pgtfast.export"
            )
        raise PgtfastError(f"{path}: no engine file of pgtfast, or one that was cut off; export or copy it again")
    if tail[1] != MARK[-1:].encode():
        raise PgtfastError(f"{path}: an engine file of format {int(tail[1])}, this pgtfast reads 1; export it again")
    end = len(content) - _TAIL_LENGTH
    text = content[max(end - int(tail[2]), 0) : end]
    if _sha256(text) != tail[3].decode():
        raise PgtfastError(f"{path}: the description at its end is damaged; export or copy it again")
    told = json.loads(text)
    payload = content[: told.pop("payload_bytes")]
    if _sha256(payload) != told.pop("payload_sha256"):
        raise PgtfastError(
            f"{path}: damaged: its hash is not the one that it was written with; export or copy it again"
        )
    told.pop("input")
    try:
        about = dict(told.pop("about"))
        config = NetworkConfig(**_tuples(about.pop("config")))
        return EngineFile(about=AnnotatorFile(config=config, **_tuples(about)), **_tuples(told)), payload
    except (KeyError, TypeError) as error:
        raise PgtfastError(f"{path}: made by another version of pgtfast ({error}); export it again") from error


def looks_like_engine(path: str | os.PathLike) -> bool:
    """Whether a file ends as engine files do."""
    path = Path(path)
    if not path.is_file() or path.stat().st_size < _TAIL_LENGTH:
        return False
    with open(path, "rb") as file:
        file.seek(-_TAIL_LENGTH, os.SEEK_END)
        return _TAIL.fullmatch(file.read()) is not None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _protobuf(field: int, content: bytes) -> bytes:
    """A field of bytes as protobuf writes it: tag, length, content. Two messages behind one another are one message
    with the fields of both.
    """
    length, size = bytearray(), len(content)
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return bytes([field << 3 | 2]) + bytes(length) + content
