"""Backbones by config: what makes a feature map (B, C, h, w) of an image, with C as `channels`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .._errors import PgtfastError
from .resnet import BLOCKS, ResNet
from .vit import ViT

VIT_SIZES = {"small": (384, 12, 6), "base": (768, 12, 12), "large": (1024, 24, 16)}
"""Channels, blocks and heads of the attention."""
VITPOSE_SMALL_HEADS = 12
"""ViTPose's small network has other heads than the plain one, in weights of the same shape."""


@dataclass(frozen=True, kw_only=True)
class ResNetConfig:
    """What decides a ResNet's layers."""

    depth: Literal[18, 34, 50, 101, 152] = 50
    """Layers."""
    width: int = 64
    """Channels of the first stage; 64 is the standard one."""
    output_stride: Literal[16, 32] = 32
    """Pixels of the image a cell of the feature map; 16 leaves out the last stage's stride, which suits small crops."""

    def __post_init__(self) -> None:
        _one_of("depth", self.depth, tuple(BLOCKS))
        _one_of("output_stride", self.output_stride, (16, 32))
        if self.width < 1:
            raise PgtfastError(f"width: wanted 1 or more, got {self.width!r}")

    @property
    def stride(self) -> int:
        """Pixels of the image a cell of the feature map."""
        return self.output_stride

    def build(self, input_size: tuple[int, int]) -> ResNet:
        """The network for images of a width and height in multiples of the stride, with random weights."""
        if len(input_size) != 2 or any(n <= 0 or n % self.stride for n in input_size):
            raise PgtfastError(
                f"input_size: wanted a width and a height in multiples of {self.stride}, got {input_size!r}"
            )
        return ResNet(self.depth, self.width, self.output_stride)


@dataclass(frozen=True, kw_only=True)
class ViTConfig:
    """What decides a vision transformer's layers."""

    size: Literal["small", "base", "large"] = "base"
    """22, 86 or 304 million weights."""
    patch: int = 16
    """Pixels of a patch's side."""
    variant: Literal["plain", "vitpose"] = "plain"
    """The network that weights are of: "plain" for those of timm and MAE; "vitpose" has patches 2 pixels to the left
    of and above the plain ones, and in size small 12 heads instead of 6."""

    def __post_init__(self) -> None:
        _one_of("size", self.size, tuple(VIT_SIZES))
        _one_of("variant", self.variant, ("plain", "vitpose"))
        if self.patch < 8:
            raise PgtfastError(f"patch: wanted 8 or more, got {self.patch!r}")

    @property
    def stride(self) -> int:
        """Pixels of the image a cell of the feature map."""
        return self.patch

    def build(self, input_size: tuple[int, int]) -> ViT:
        """The network for images of a width and height in multiples of the stride, with random weights."""
        channels, depth, heads = VIT_SIZES[self.size]
        if self.variant == "vitpose" and self.size == "small":
            heads = VITPOSE_SMALL_HEADS
        return ViT(input_size, channels=channels, depth=depth, heads=heads, patch=self.patch, variant=self.variant)


def _one_of(name: str, value: object, allowed: tuple) -> None:
    if value not in allowed:
        *most, last = map(str, allowed)
        raise PgtfastError(f"{name}: wanted {', '.join(most)} or {last}, got {value!r}")
