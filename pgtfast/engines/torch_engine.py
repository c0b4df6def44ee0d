"""The network as PyTorch runs it: CUDA graphs on a GPU, plain calls on a CPU."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..networks import Prediction
from ..networks.files import ANNOTATOR, load_annotator, network_file
from ._threads import CropThreads
from .engine import Engine, Origin
from .lowered import Lowered

MOST_GRAPHS = 8
"""Batch sizes whose graphs are kept; each holds the memory of its activations."""
WARM_UP = 3
"""Calls before a graph is recorded, in which cuDNN and cuBLAS choose and allocate."""


class TorchEngine(Engine):
    """A checkpoint in PyTorch. fp32 is float32 throughout, without TF32.

    Args:
        origin: of the network.
        network: its layers.
        device: where they shall run.
        channels_last: lay images and weights out as (B, H, W, C); None does so on a CPU.
        cuda_graphs: on a GPU, record the calls of each batch size once and replay them.
    """

    kind = "torch"

    def __init__(
        self,
        origin: Origin,
        network: nn.Module,
        device: torch.device,
        *,
        channels_last: bool | None = None,
        cuda_graphs: bool = True,
    ) -> None:
        super().__init__(origin, device)
        if channels_last is None:
            channels_last = device.type == "cpu"
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._network = network.to(device).eval().to(memory_format=self._layout)  # type: ignore[call-overload]
        self._share = CropThreads() if device.type == "cpu" else None
        self._graphs: OrderedDict[int, _Graph] | None = None
        if device.type == "cuda" and cuda_graphs:
            self._graphs = OrderedDict()

    @classmethod
    def open(
        cls, path: str | os.PathLike, device: torch.device, *, precision: str, sha256: Callable[[os.PathLike], str],
        channels_last: bool | None = None, cuda_graphs: bool = True,
    ) -> TorchEngine:  # fmt: skip
        """From a checkpoint or the folder of a run."""
        loaded = load_annotator(path)
        origin = Origin(loaded.about, sha256(network_file(path, ANNOTATOR)), precision)
        return cls(
            origin, Lowered(loaded.network, precision), device, channels_last=channels_last, cuda_graphs=cuda_graphs
        )

    def _run(self, image: Tensor) -> Prediction:
        if self._share is not None:
            return self._share(self._forward_plain, image)
        if self._graphs is None:
            return self._forward(image)
        with torch.cuda.device(image.device):
            graph = self._graphs.pop(len(image), None) or _Graph(self._forward, image)
            self._graphs[len(image)] = graph
            if len(self._graphs) > MOST_GRAPHS:
                self._graphs.popitem(last=False)
            return graph(image)

    def _forward(self, image: Tensor) -> Prediction:
        with torch.backends.cudnn.flags(enabled=True, benchmark=self._graphs is not None, allow_tf32=False):
            return self._forward_plain(image)

    def _forward_plain(self, image: Tensor) -> Prediction:
        with torch.inference_mode():  # each thread's own
            return self._network(image.contiguous(memory_format=self._layout))


class _Graph:
    """The calls of one batch size, recorded on the current device; `copy_`, replay and `clone` follow one another on
    the current stream.
    """

    def __init__(self, forward: Callable[[Tensor], Prediction], image: Tensor) -> None:
        self._image = image.clone()
        stream = torch.cuda.Stream(image.device)
        stream.wait_stream(torch.cuda.current_stream(image.device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                forward(self._image)
        torch.cuda.current_stream(image.device).wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._prediction = forward(self._image)

    def __call__(self, image: Tensor) -> Prediction:
        self._image.copy_(image)
        self._graph.replay()
        return Prediction(*(values.clone() for values in self._prediction))
