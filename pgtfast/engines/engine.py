"""What every engine is: crops in, the network's prediction out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import skeletons
from .._errors import PgtfastError
from ..networks import NetworkConfig, Prediction
from ..networks.annotator import BODY_JOINTS, LATENTS
from ..networks.files import AnnotatorFile

INPUT = "image"
"""Name of an exported network's one input."""
OUTPUTS = Prediction._fields
"""Names of its outputs, in order."""


def output_shapes(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each output behind the batch."""
    numbers = LATENTS if config.head == "vposer" else BODY_JOINTS * 6
    shapes = ((len(skeletons.get(config.position_set)), 3), (6,), (numbers,), (10,), (3,))
    return dict(zip(OUTPUTS, shapes, strict=True))


@dataclass(frozen=True)
class Origin:
    """The network that an engine runs."""

    about: AnnotatorFile
    """Config, body, prior and landmark sets."""
    weights_sha256: str
    """Of the checkpoint's file."""
    precision: str
    """"fp32"; "fp16": backbone in float16, heads in float32; else what a quantised graph holds."""


class Engine(ABC):
    """A network that runs on one device.

    Attributes:
        kind: the name that it is chosen by, such as "onnxruntime".
        device: that crops must be on and predictions are on.
        origin: the network's config, hash and precision.
    """

    kind: str

    def __init__(self, origin: Origin, device: torch.device) -> None:
        self.origin, self.device = origin, device

    @property
    def config(self) -> NetworkConfig:
        """Of the network."""
        return self.origin.about.config

    @property
    def name(self) -> str:
        """What decides the numbers beside the weights: the kind, and the precision where it is another than fp32."""
        return self.kind if self.origin.precision == "fp32" else f"{self.kind} {self.origin.precision}"

    def __call__(self, image: Tensor) -> Prediction:
        """What the network's layers say.

        Args:
            image: (B, 3, H, W) float32 crops on the engine's device, normalised as `NetworkConfig.normalize` says; B
                may be 0.

        Returns:
            Float32 tensors on the same device, which later calls leave alone.

        Raises:
            PgtfastError: the crops are of another shape, type or device.
        """
        width, height = self.config.input_size
        if image.shape[1:] != (3, height, width) or image.ndim != 4:
            raise PgtfastError(f"image: wanted (B, 3, {height}, {width}), got {tuple(image.shape)}")
        if image.dtype != torch.float32:
            raise PgtfastError(f"image: wanted float32, got {image.dtype}")
        if (image.device.type, image.device.index or 0) != (self.device.type, self.device.index or 0):
            raise PgtfastError(f"image: wanted crops on {self.device}, where the engine is, got {image.device}")
        if not len(image):
            return Prediction(*(image.new_zeros((0, *shape)) for shape in output_shapes(self.config).values()))
        with torch.inference_mode():
            return self._run(image.contiguous())

    @abstractmethod
    def _run(self, image: Tensor) -> Prediction:
        """At least one checked, contiguous crop."""

    def __repr__(self) -> str:
        width, height = self.config.input_size
        return f"{type(self).__name__}({self.name}, crops (B, 3, {height}, {width}), {self.device})"
