"""Crops with what was annotated and what the network says, for a look while it trains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..images.pipeline import MEAN, STD, Normalize

_ANNOTATED, _PREDICTED = (255, 235, 59), (64, 224, 255)


def to_images(image: Tensor, normalize: Normalize) -> np.ndarray:
    """(B, 3, H, W) normalised as the network takes it -> (B, H, W, 3) uint8 RGB."""
    mean, std = (torch.tensor(values[normalize])[:, None, None] for values in (MEAN, STD))
    image = image.detach().float().cpu() * std + mean
    return (image * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def overlay_row(
    images: np.ndarray,
    predicted: np.ndarray,
    annotated: np.ndarray,
    edges: Sequence[tuple[int, int]],
    *,
    zoom: int = 2,
) -> np.ndarray:
    """Images side by side: yellow dots are annotated, blue lines and dots are the network's.

    Args:
        images: (B, H, W, 3) uint8 RGB.
        predicted: (B, J, 2) pixels of the crop.
        annotated: (B, K, 3) pixels of the crop and weight.
        edges: pairs of the J joints.
        zoom: enlargement.

    Returns:
        (H zoom, B W zoom, 3) uint8 RGB.
    """
    from PIL import Image, ImageDraw

    tiles = []
    for image, points, keypoints in zip(images, predicted, annotated, strict=True):
        height, width = image.shape[:2]
        tile = Image.fromarray(image).resize((width * zoom, height * zoom), Image.Resampling.BILINEAR)
        pen = ImageDraw.Draw(tile)
        pixels = (np.nan_to_num(points, nan=-1e4).clip(-1e4, 1e4) + 0.5) * zoom - 0.5
        for a, b in edges:
            pen.line([*map(float, pixels[a]), *map(float, pixels[b])], fill=_PREDICTED, width=1)
        for x, y in pixels:
            pen.ellipse([x - 2, y - 2, x + 2, y + 2], outline=_PREDICTED)
        for x, y, weight in keypoints:
            if weight > 0:
                x, y = (x + 0.5) * zoom - 0.5, (y + 0.5) * zoom - 0.5
                pen.ellipse([x - 2, y - 2, x + 2, y + 2], fill=_ANNOTATED)
        tiles.append(np.asarray(tile))
    return np.concatenate(tiles, 1)
