"""An estimator from outside the package: three layers that make bodies of crops, and what is known of the people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pgtfast import ops
from pgtfast.networks import Bodies, Estimator, EstimatorConfig, register


class ToyPrediction(NamedTuple):
    """Of B people."""

    root_6d: Tensor
    pose: Tensor
    betas: Tensor
    transl: Tensor


@register("toy")
@dataclass(frozen=True, kw_only=True)
class ToyConfig(EstimatorConfig):
    """A network of so many channels."""

    channels: int = 8
    """Of its one convolution."""

    def build(self) -> ToyEstimator:
        return ToyEstimator(self)


class ToyEstimator(Estimator):
    """A convolution, a mean, and a linear layer that also sees the labelled fraction of the keypoints."""

    backbone = None

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        self.conv = nn.Sequential(nn.Conv2d(3, config.channels, 5, stride=4), nn.ReLU())
        self.out = nn.Linear(config.channels + 1, 6 + 32 + 10 + 3)
        nn.init.normal_(self.out.weight, std=0.01)
        with torch.no_grad():
            self.out.bias.copy_(torch.tensor([1.0, 0, 0, -1, 0, 0] + [0.0] * 44 + [20.0]))

    def inputs(self, batch, annotated):
        return batch.image, (annotated.weights > 0).float().mean(1, keepdim=True)

    def forward(self, image: Tensor, labelled: Tensor) -> ToyPrediction:
        features = self.conv(image).mean((2, 3)).float()
        return ToyPrediction(*self.out(torch.cat((features, labelled), 1)).split((6, 32, 10, 3), 1))

    def bodies(self, prediction, prior):
        root = ops.rot6d_to_matrix(prediction.root_6d.float(), layout="column")[:, None]
        hands = torch.eye(3, device=root.device).expand(len(root), 2, 3, 3)
        rotations = torch.cat((root, prior.decode(prediction.pose.float()), hands), 1)
        width, height = self.config.input_size
        focal, center = (root.new_tensor(pair) for pair in ((1000.0, 1000.0), ((width - 1) / 2, (height - 1) / 2)))
        return Bodies(
            rotations, prediction.pose.float(), prediction.betas.float(), prediction.transl.float(), focal, center
        )
