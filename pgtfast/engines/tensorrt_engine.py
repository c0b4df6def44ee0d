"""TensorRT and TensorRT-RTX: one code path, whose Python modules mirror one another."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .._errors import PgtfastError
from ..networks import Prediction
from ._file import EngineFile
from .engine import INPUT, OUTPUTS, Engine, Origin, output_shapes


@dataclass(frozen=True)
class Flavour:
    """One of the two libraries."""

    name: str
    """Of the engine."""
    module: str
    """Python module."""
    install: str
    """Command that installs it."""
    ahead_of_time: bool
    """Whether it builds for GPUs that are not there."""

    def load(self) -> ModuleType:
        """The library; some hundred megabytes that nothing else loads.

        Raises:
            PgtfastError: it is not installed.
        """
        try:
            return importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            raise PgtfastError(f"--engine {self.name}: {error.name} is not installed: {self.install}") from error


FLAVOURS = {
    "tensorrt": Flavour("tensorrt", "tensorrt", "pip install tensorrt", ahead_of_time=False),
    "tensorrt-rtx": Flavour("tensorrt-rtx", "tensorrt_rtx", "pip install 'pgtfast[rtx]'", ahead_of_time=True),
}


def logger(library: Any) -> Any:
    """The library's logger, for errors alone: each is followed by a message of ours."""
    return library.Logger(library.Logger.ERROR)


def refuse_misfit(path: str | os.PathLike, file: EngineFile, version: str, gpu: str | None) -> None:
    """Refuse an engine that this machine's library or GPU does not run.

    Args:
        path: of the engine file, for the message.
        file: what it says of itself.
        version: of the installed library.
        gpu: architecture such as "sm89"; None where there is no GPU.

    Raises:
        PgtfastError: of which the message says what is there, what is wanted and how to mend it.
    """
    if file.library_version != version:
        raise PgtfastError(
            f"{path}: built by {file.library} {file.library_version}, installed is {version}; engines run with the "
            "version that built them: "
            "export it again, or install that version"
        )
    built = ", ".join(file.architectures)
    if gpu is None:
        raise PgtfastError(
            f"{path}: an engine for GPUs ({built}), and the device is none: say --device cuda, or export for "
            "--engine onnxruntime to run on a CPU"
        )
    if gpu not in file.architectures:
        raise PgtfastError(f"{path}: built for {built}, this GPU is {gpu}; export it again with --arch {gpu}")


class TensorrtEngine(Engine):
    """A serialised engine. It runs on torch's current stream and on the tensors' own memory.

    Args:
        path: of the engine file, for messages.
        file: what it says of itself.
        plan: the library's bytes in it.
        device: a CUDA device.
        flavour: the library.
    """

    def __init__(
        self, path: str | os.PathLike, file: EngineFile, plan: bytes, device: torch.device, flavour: Flavour
    ) -> None:
        self.kind = flavour.name
        library = flavour.load()
        super().__init__(Origin(file.about, file.weights_sha256, file.precision), device)
        refuse_misfit(path, file, library.__version__, architecture(device))
        runtime = library.Runtime(logger(library))
        with torch.cuda.device(device):
            engine = runtime.deserialize_cuda_engine(plan)
            if engine is None:
                raise PgtfastError(
                    f"{path}: {flavour.name} {library.__version__} cannot load it; its own message is above"
                )
            self._runner = Runner(engine, engine.create_execution_context(), file)

    def _run(self, image: Tensor) -> Prediction:
        with torch.cuda.device(image.device):
            return self._runner(image, torch.cuda.current_stream(image.device).cuda_stream)


def architecture(device: torch.device) -> str | None:
    """Such as "sm89"; None for a CPU."""
    if device.type != "cuda":
        return None
    major, minor = torch.cuda.get_device_capability(device)
    return f"sm{major}{minor}"


class Runner:
    """Calls an execution context in goes of as many crops as its profile allows.

    Args:
        engine: the library's; kept, for the context needs it.
        context: the library's.
        file: batch and output shapes.
    """

    def __init__(self, engine: Any, context: Any, file: EngineFile) -> None:
        if file.batch is None:
            raise PgtfastError("a TensorRT engine file names no batch; export it again")
        self._engine, self._context = engine, context
        self._most, self._shapes = file.batch[2], output_shapes(file.about.config)

    def __call__(self, image: Tensor, stream: int) -> Prediction:
        """Crops (B, 3, H, W) -> outputs on the same device, once the stream has come so far."""
        found = [image.new_empty((len(image), *shape)) for shape in self._shapes.values()]
        for start in range(0, len(image), self._most):
            some = slice(start, start + self._most)
            self._context.set_input_shape(INPUT, tuple(image[some].shape))
            self._context.set_tensor_address(INPUT, image[some].data_ptr())
            for name, values in zip(OUTPUTS, found, strict=True):
                self._context.set_tensor_address(name, values[some].data_ptr())
            if not self._context.execute_async_v3(stream):
                raise PgtfastError(f"the engine failed on crops {tuple(image[some].shape)}; its own message is above")
        return Prediction(*found)
