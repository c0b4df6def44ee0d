"""The crops of a batch, shared out among CPU threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from ..networks import Prediction


class CropThreads:
    """As many threads as torch has, each of which takes crops of its own through all layers by itself.

    Threads that share a layer wait for each other at the end of every layer.
    """

    def __init__(self) -> None:
        self.count = torch.get_num_threads()
        # the number is the thread's own: the one that makes these keeps its
        self._pool = ThreadPoolExecutor(self.count, "pgtfast-crops", torch.set_num_threads, (1,))

    def __call__(self, run: Callable[[Tensor], Prediction], image: Tensor) -> Prediction:
        """What `run` says of crops (B, 3, H, W), B at least 1; it is called by several threads at once."""
        found = list(self._pool.map(run, image.tensor_split(min(self.count, len(image)))))
        return Prediction(*map(torch.cat, zip(*found, strict=True)))
