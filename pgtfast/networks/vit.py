"""Vision transformer (Dosovitskiy et al., ICLR 2021) without its class token and classifier, with timm's key names."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from .._errors import PgtfastError

VITPOSE_PADDING = 2
"""Pixels of zeros around the image that ViTPose cuts its patches from."""


class Attention(nn.Module):
    """Every token of every other, in `heads` parts of the channels."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) -> (B, N, C)."""
        batch, tokens, channels = x.shape
        parts = self.qkv(x).view(batch, tokens, 3, self.heads, channels // self.heads).permute(2, 0, 3, 1, 4)
        read = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        return self.proj(read.transpose(1, 2).reshape(batch, tokens, channels))


class Mlp(nn.Module):
    """Two linear layers, four times as wide between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) -> (B, N, C)."""
        return self.fc2(functional.gelu(self.fc1(x)))


class Block(nn.Module):
    """Attention and MLP, each of normalised tokens and added to them."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attn = Attention(channels, heads)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = Mlp(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) -> (B, N, C)."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    """Patches of the image to tokens, one convolution."""

    def __init__(self, channels: int, patch: int, padding: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, patch, patch, padding)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, h w, C), row by row."""
        return self.proj(image).flatten(2).transpose(1, 2)


class ViT(nn.Module):
    """Image of one size to feature map.

    Args:
        input_size: width and height of the image, pixels, multiples of `patch`.
        channels: of a token.
        depth: blocks.
        heads: of the attention.
        patch: pixels of a patch's side.
        variant: "plain", or "vitpose", whose patches lie 2 pixels to the left of and above the plain ones.

    Attributes:
        channels: C of the feature map.
        grid: rows and columns of the feature map.
    """

    def __init__(
        self, input_size: tuple[int, int], *, channels: int, depth: int, heads: int, patch: int = 16,
        variant: Literal["plain", "vitpose"] = "plain",
    ) -> None:  # fmt: skip
        super().__init__()
        if len(input_size) != 2 or any(side <= 0 or side % patch for side in input_size):
            raise PgtfastError(f"input_size: wanted a width and a height in multiples of {patch}, got {input_size!r}")
        self.channels, self.patch, self.variant = channels, patch, variant
        self.grid = (input_size[1] // patch, input_size[0] // patch)
        self.patch_embed = PatchEmbed(channels, patch, VITPOSE_PADDING if variant == "vitpose" else 0)
        self.pos_embed = nn.Parameter(torch.empty(1, self.grid[0] * self.grid[1], channels))
        self.blocks = nn.Sequential(*(Block(channels, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, C, H / patch, W / patch).

        Raises:
            PgtfastError: the image is of another size than the network.
        """
        rows, columns = self.grid
        if tuple(image.shape[-2:]) != (rows * self.patch, columns * self.patch):
            raise PgtfastError(
                f"image: wanted {columns * self.patch} x {rows * self.patch} pixels, the network's input size, got "
                f"{image.shape[-1]} x {image.shape[-2]}"
            )
        tokens = self.norm(self.blocks(self.patch_embed(image) + self.pos_embed))
        return tokens.transpose(1, 2).unflatten(2, self.grid)
