"""The network as engines run it: batch normalisation folded, the backbone in the precision asked for, the heads in
float32.
"""

from __future__ import annotations

import copy
import itertools

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .._errors import PgtfastError
from ..networks import Annotator, Prediction

PRECISIONS = ("fp32", "fp16")


class Lowered(nn.Module):
    """A copy of an annotator's layers for inference.

    Args:
        network: stays as it is.
        precision: of the backbone. Features are cast to float32 behind it: positions, sampling points and the
            12,875-wide products of the heads need more than float16's 11 bits.

    Convention:
        The linear layers of the heads are written as convolutions of 1x1: the same sums, and TensorRT-RTX has float32
        convolutions for Turing but no float32 matrix products.
    """

    def __init__(self, network: Annotator, precision: str = "fp32") -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise PgtfastError(f"precision: wanted {' or '.join(PRECISIONS)}, got {precision!r}")
        layers = copy.deepcopy(network).eval()
        fold_norms(layers)
        self.half_backbone = precision == "fp16"
        self.backbone = layers.backbone.half() if self.half_backbone else layers.backbone
        self.position_net, self.rotation_net = layers.position_net, layers.rotation_net
        for name, head in self.rotation_net.named_children():
            assert isinstance(head, nn.Sequential)
            if isinstance(head[0], nn.Linear):
                setattr(self.rotation_net, name, _Pointwise(head[0]))
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor) -> Prediction:
        """Normalised crops (B, 3, H, W), float32 -> what the layers say of them, float32."""
        features = self.backbone(image.half() if self.half_backbone else image).float()
        position = self.position_net(features)
        return Prediction(position, *self.rotation_net(features, position))


class _Pointwise(nn.Module):
    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.conv = nn.Conv2d(layer.in_features, layer.out_features, 1)
        self.conv.weight.data = layer.weight.data[:, :, None, None].clone()
        self.conv.bias = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """(B, in) -> (B, out)."""
        return self.conv(x[:, :, None, None]).flatten(1)


def fold_norms(module: nn.Module) -> None:
    """Put every batch normalisation that follows a convolution into that convolution's weights, in place."""
    for parent in module.modules():
        children = list(parent.named_children())
        for (name, conv), (next_name, norm) in itertools.pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, next_name, nn.Identity())
