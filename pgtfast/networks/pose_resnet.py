"""The 2D pose network: SimpleBaseline (Xiao et al., ECCV 2018), with its key names."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .resnet import ResNet


class PoseResNet(ResNet):
    """ResNet, transposed convolutions up to a quarter of the picture's size (three in the paper), one 1x1: a heat map
    for each joint.

    Args:
        joints: J heat maps.
        depth: of the ResNet: 18, 34, 50, 101 or 152.
        width: channels of its first stage.
        deconv_channels: of the upsampling layers; 256 in the paper.
        output_stride: of the ResNet; with 16, which suits small crops, there are two transposed convolutions.
    """

    def __init__(
        self, joints: int, depth: int = 50, width: int = 64, deconv_channels: int = 256, output_stride: int = 32
    ) -> None:
        super().__init__(depth, width, output_stride)
        layers: list[nn.Module] = []
        channels = self.channels
        for _ in range(3 if output_stride == 32 else 2):
            layers += [
                nn.ConvTranspose2d(channels, deconv_channels, 4, 2, 1, bias=False),
                nn.BatchNorm2d(deconv_channels),
                nn.ReLU(inplace=True),
            ]
            channels = deconv_channels
        self.deconv_layers = nn.Sequential(*layers)
        self.final_layer = nn.Conv2d(channels, joints, 1)
        for module in (*self.deconv_layers, self.final_layer):
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.001)
        assert self.final_layer.bias is not None
        nn.init.zeros_(self.final_layer.bias)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> heat maps (B, J, H / 4, W / 4)."""
        return self.final_layer(self.deconv_layers(super().forward(image)))


def heatmap_keypoints(heatmaps: Tensor) -> Tensor:
    """Peaks of heat maps, moved a quarter of a cell towards the higher neighbour (SimpleBaseline's get_final_preds).

    Args:
        heatmaps: (B, J, h, w).

    Returns:
        (B, J, 3): x, y in cells (centre of the first cell at (0, 0)) and the peak's value.
    """
    height, width = heatmaps.shape[-2:]
    value, place = heatmaps.flatten(2).max(-1)
    x, y = place % width, place // width
    found = []
    for at, count, step in ((x, width, 1), (y, height, width)):
        low, high = (
            heatmaps.flatten(2).gather(2, (place + sign * step).clamp(0, height * width - 1)[..., None])[..., 0]
            for sign in (-1, 1)
        )
        inner = (at > 0) & (at < count - 1)
        found.append(at + 0.25 * torch.sign(high - low) * inner)
    return torch.stack((*found, value), -1)
