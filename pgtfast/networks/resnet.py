"""ResNet (He et al., CVPR 2016) without its classifier, with torchvision's key names."""

from __future__ import annotations

from torch import Tensor, nn

from .._errors import PgtfastError

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Blocks of the four stages, by depth."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions."""

    expansion = 1

    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, inner, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels, inner, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, inner, h / stride, w / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1; the stride is in the 3x3, as in torchvision and in SimpleBaseline."""

    expansion = 4

    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, inner * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(inner * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels, inner * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, 4 inner, h / stride, w / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Image to feature map.

    Args:
        depth: 18, 34, 50, 101 or 152.
        width: channels of the first stage; 64 is the standard one, less makes a network for tests and small machines.
        output_stride: 32, or 16 to leave out the last stage's stride, which changes no weight.

    Attributes:
        channels: C of the feature map: 2048 from depth 50 on, 512 for 18 and 34 (of width 64).
    """

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(self, depth: int = 50, width: int = 64, output_stride: int = 32) -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise PgtfastError(f"depth: wanted 18, 34, 50, 101 or 152, got {depth!r}")
        if output_stride not in (16, 32):
            raise PgtfastError(f"output_stride: wanted 16 or 32, got {output_stride!r}")
        block = Bottleneck if depth >= 50 else BasicBlock
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels, strides = width, (1, 2, 2, output_stride // 16)
        for number, (count, stride) in enumerate(zip(BLOCKS[depth], strides, strict=True)):
            inner = width * 2**number
            blocks = [block(channels, inner, stride)]
            channels = inner * block.expansion
            blocks += [block(channels, inner, 1) for _ in range(count - 1)]
            setattr(self, f"layer{number + 1}", nn.Sequential(*blocks))
        self.channels = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, C, H / output_stride, W / output_stride)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def _shortcut(channels: int, out: int, stride: int) -> nn.Sequential | None:
    if channels == out and stride == 1:
        return None
    return nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
