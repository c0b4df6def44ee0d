"""ONNX Runtime, with the one provider that was asked for."""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import Tensor

from .._errors import PgtfastError
from .._options import needing
from ..networks import Prediction
from ._file import EngineFile
from ._threads import CropThreads
from .engine import INPUT, OUTPUTS, Engine, Origin, output_shapes

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxEngine(Engine):
    """An ONNX model in ONNX Runtime.

    Args:
        path: the engine file; a plain ONNX model to the library.
        file: what it says of itself.
        device: cpu, where as many threads as torch has take crops of a batch each, or cuda for ONNX Runtime's CUDA
            provider; no other provider takes its place.
    """

    kind = "onnxruntime"

    def __init__(self, path: str | os.PathLike, file: EngineFile, device: torch.device) -> None:
        with needing("export", "--engine onnxruntime"):
            import onnxruntime
        super().__init__(Origin(file.about, file.weights_sha256, file.precision), device)
        wanted = PROVIDERS[device.type]
        if wanted not in onnxruntime.get_available_providers():
            raise PgtfastError(
                f"--engine onnxruntime --device {device}: the installed onnxruntime {onnxruntime.__version__} has no "
                f"{wanted}: pip install onnxruntime-gpu"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        if (
            file.precision == "fp8"
        ):  # its optimiser drops a Relu before an FP8 QuantizeLinear, and makes biases integers
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        place = {} if device.type == "cpu" else {"device_id": str(device.index or 0), "use_tf32": "0"}
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=[(wanted, place)])
        except Exception as error:  # onnxruntime raises a dozen kinds of its own
            raise PgtfastError(
                f"{path}: onnxruntime {onnxruntime.__version__} cannot load it; it was made with {file.library} "
                f"{file.library_version} "
                f"({str(error).splitlines()[0]})"
            ) from error
        if self._session.get_providers()[0] != wanted:
            raise PgtfastError(
                f"--engine onnxruntime --device {device}: onnxruntime could not start {wanted} and offers "
                f"{self._session.get_providers()[0]}; "
                "mend its CUDA and cuDNN libraries, or say --device cpu"
            )
        self.provider = wanted
        self._share = CropThreads() if device.type == "cpu" else None

    def _run(self, image: Tensor) -> Prediction:
        return self._run_bound(image) if self._share is None else self._share(self._run_plain, image)

    def _run_plain(self, image: Tensor) -> Prediction:
        return Prediction(*map(torch.from_numpy, self._session.run(OUTPUTS, {INPUT: image.numpy()})))

    def _run_bound(self, image: Tensor) -> Prediction:
        """On the tensors' own memory. ONNX Runtime has a stream of its own, so both sides wait."""
        place = (image.device.type, image.device.index or 0)
        found = [image.new_empty((len(image), *shape)) for shape in output_shapes(self.config).values()]
        binding = self._session.io_binding()
        binding.bind_input(INPUT, *place, np.float32, tuple(image.shape), image.data_ptr())
        for name, values in zip(OUTPUTS, found, strict=True):
            binding.bind_output(name, *place, np.float32, tuple(values.shape), values.data_ptr())
        if image.device.type == "cuda":
            torch.cuda.current_stream(image.device).synchronize()
        binding.synchronize_inputs()
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return Prediction(*found)
