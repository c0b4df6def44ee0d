"""The annotation network f: Pose2Pose's body branch (Moon et al., CVPRW 2022) with the head of the Three Recipes (Moon
et al., 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from .. import skeletons
from .._errors import PgtfastError
from ..body import LandmarkPlan
from ..loading import Supervision
from ..priors import VPoser
from .bodies import Bodies, place
from .estimator import Estimator, EstimatorConfig, register
from .losses import BodyLoss, LossUnits, LossWeights
from .resnet import BLOCKS, ResNet

LATENTS = 32
"""Numbers of a VPoser latent."""
BODY_JOINTS = 21
"""Joints that the head gives rotations of; root and hands aside."""
POOLED = 512
"""Channels of the features that are read at the joints."""


@register("pose2pose")
@dataclass(frozen=True, kw_only=True)
class NetworkConfig(EstimatorConfig):
    """What decides the network's layers and how its output is read."""

    depth: int = 50
    """Layers of the ResNet: 18, 34, 50, 101 or 152."""
    width: int = 64
    """Channels of its first stage; 64 is the standard one."""
    output_stride: int = 32
    """Pixels of the crop a cell of the feature map: 32, or 16 for small crops."""
    input_size: tuple[int, int] = (192, 256)
    """Width and height of the crop, pixels; multiples of output_stride."""
    depth_bins: int = 8
    """Cells of the heat maps along the depth."""
    head: Literal["vposer", "rotations"] = "vposer"
    """"vposer": a latent of the prior (recipe 3). "rotations": 6D rotations of 21 joints, as in Pose2Pose."""
    mode: Literal["faithful", "improved"] = "faithful"
    """"faithful" follows Pose2Pose to the letter. "improved" mends its known faults: docs/networks.md,
    docs/losses.md."""
    position_set: str = "p2p25"
    """The joints that are found in the image itself."""

    def __post_init__(self) -> None:
        for name, allowed in (
            ("head", ("vposer", "rotations")),
            ("mode", ("faithful", "improved")),
            ("normalize", ("unit", "imagenet")),
        ):
            if getattr(self, name) not in allowed:
                raise PgtfastError(f"{name}: wanted {' or '.join(allowed)}, got {getattr(self, name)!r}")
        if self.depth not in BLOCKS:
            raise PgtfastError(f"depth: wanted 18, 34, 50, 101 or 152, got {self.depth!r}")
        if self.output_stride not in (16, 32):
            raise PgtfastError(f"output_stride: wanted 16 or 32, got {self.output_stride!r}")
        if len(self.input_size) != 2 or any(n <= 0 or n % self.output_stride for n in self.input_size):
            raise PgtfastError(
                f"input_size: wanted a width and a height in multiples of {self.output_stride}, got {self.input_size!r}"
            )
        for name in ("width", "depth_bins"):
            if getattr(self, name) < 1:
                raise PgtfastError(f"{name}: wanted 1 or more, got {getattr(self, name)!r}")
        skeletons.get(self.position_set)

    def build(self) -> Annotator:
        """The network, with random weights."""
        return Annotator(self)

    def supervision(self, sets: Sequence[str]) -> Supervision:
        """The landmarks of its losses, of these joint sets."""
        return Supervision(tuple(sets), position_set=self.position_set)

    def with_prior(self, latents: bool) -> NetworkConfig:
        """The config whose network gives poses as latents of a prior, or as rotations."""
        return replace(self, head="vposer" if latents else "rotations")

    @property
    def paper_joints_only(self) -> bool:
        """Whether supervision without a choice is by Pose2Pose's joints alone, without the datasets' own."""
        return self.mode == "faithful"

    @property
    def heatmap_size(self) -> tuple[int, int, int]:
        """Cells along x, y and depth."""
        width, height = self.input_size
        return width // self.output_stride, height // self.output_stride, self.depth_bins


class Prediction(NamedTuple):
    """What the network's layers give, for B crops; float32."""

    position: Tensor
    """(B, P, 3): joints found in the image, heat-map cells (x, y, depth). The centre of cell i is at i, in the
    "improved" mode at i + 0.5."""
    root_6d: Tensor
    """(B, 6): orientation of the body in the crop's camera, two columns read row by row."""
    pose: Tensor
    """(B, 32) latent, or (B, 126) 6D rotations."""
    betas: Tensor
    """(B, 10)."""
    camera: Tensor
    """(B, 3): translation along x and y in metres, and the logit of the depth's share."""


class PositionNet(nn.Module):
    """Joints from the feature map: one 1x1 convolution and a soft-argmax over width, height and depth."""

    def __init__(self, channels: int, joints: int, depth_bins: int, offset: float) -> None:
        super().__init__()
        self.joints, self.depth_bins, self.offset = joints, depth_bins, offset
        self.conv = nn.Sequential(nn.Conv2d(channels, joints * depth_bins, 1))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, P, 3) cells."""
        height, width = features.shape[-2:]
        heat = self.conv(features).reshape(features.shape[0], self.joints, -1).softmax(-1)
        heat = heat.view(features.shape[0], self.joints, self.depth_bins, height, width)
        parts = []
        for count, others in ((width, (2, 3)), (height, (2, 4)), (self.depth_bins, (3, 4))):
            cells = torch.arange(count, device=heat.device, dtype=heat.dtype) + self.offset
            parts.append((heat.sum(others) * cells).sum(-1))
        return torch.stack(parts, -1)


class RotationNet(nn.Module):
    """Body from the features at the joints (positional pose-guided pooling), shape and camera from the mean of the
    feature map."""

    def __init__(self, channels: int, joints: int, numbers: int, improved: bool) -> None:
        super().__init__()
        self.improved = improved
        self.shape_out = nn.Sequential(nn.Linear(channels, 10))
        self.cam_out = nn.Sequential(nn.Linear(channels, 3))
        self.conv = nn.Sequential(nn.Conv2d(channels, POOLED, 1), nn.BatchNorm2d(POOLED), nn.ReLU(inplace=True))
        self.root_pose_out = nn.Sequential(nn.Linear(joints * (POOLED + 3), 6))
        self.pose_out = nn.Sequential(nn.Linear(joints * (POOLED + 3), numbers))

    def forward(self, features: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features (B, C, h, w) and joints (B, P, 3) in cells -> root, pose, betas, camera."""
        mean = features.mean((2, 3))
        size = torch.tensor(features.shape[:1:-1], device=features.device, dtype=position.dtype)  # width, height
        if self.improved:
            place = position[..., :2] / size * 2 - 1
        else:
            place = position[..., :2] / (size - 1).clamp(min=1) * 2 - 1
        pooled = nn.functional.grid_sample(
            self.conv(features), place[:, :, None], mode="bilinear", align_corners=not self.improved,
            padding_mode="border" if self.improved else "zeros",
        )[..., 0]  # fmt: skip
        joined = torch.cat((pooled.transpose(1, 2), position), 2).flatten(1)
        return self.root_pose_out(joined), self.pose_out(joined), self.shape_out(mean), self.cam_out(mean)


class Annotator(Estimator):
    """The network's layers; :func:`place` makes bodies of what they give. The heads compute in float32 under autocast
    too.

    Args:
        config: of the network.
    """

    config: NetworkConfig
    backbone: ResNet

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        improved = config.mode == "improved"
        joints = len(skeletons.get(config.position_set))
        self.backbone = ResNet(config.depth, config.width, config.output_stride)
        channels = self.backbone.channels
        self.position_net = PositionNet(channels, joints, config.depth_bins, 0.5 if improved else 0.0)
        numbers = LATENTS if config.head == "vposer" else BODY_JOINTS * 6
        self.rotation_net = RotationNet(channels, joints, numbers, improved)
        _small(self.position_net, self.rotation_net)
        if improved:
            self._start_upright()

    def forward(self, image: Tensor) -> Prediction:
        """Normalised crops (B, 3, H, W) -> what the layers say of them."""
        features = self.backbone(image)
        with torch.autocast(image.device.type, enabled=False):
            features = features.float()
            position = self.position_net(features)
            return Prediction(position, *self.rotation_net(features, position.detach()))

    def bodies(self, prediction: Prediction, prior: VPoser | None) -> Bodies:
        """Bodies in the virtual camera of their crops, differentiable."""
        return place(prediction, self.config, prior)

    def loss(self, plan: LandmarkPlan, supervision: Supervision, weights: LossWeights) -> BodyLoss:
        """Pose2Pose's losses, in heatmap bins."""
        return BodyLoss(plan, supervision, loss_units(self.config), weights)

    @torch.no_grad()
    def _start_upright(self) -> None:
        """Begin with an upright mean body that faces the camera and fills the crop, and let the layers add to it."""
        net = self.rotation_net
        upright = torch.tensor([1.0, 0, 0, -1, 0, 0])  # turned by pi about x: the body's y is up, the camera's down
        at_rest = torch.tensor([1.0, 0, 0, 1, 0, 0]).repeat(BODY_JOINTS)
        start = (
            (net.root_pose_out, upright),
            (net.pose_out, torch.zeros(LATENTS) if self.config.head == "vposer" else at_rest),
            (net.shape_out, torch.zeros(10)),
            (net.cam_out, torch.tensor([0.0, 0.0, 0.8])),
        )
        for layers, bias in start:
            (layer,) = layers
            assert isinstance(layer, nn.Linear)
            layer.weight.mul_(0.1)
            layer.bias.copy_(bias)


def loss_units(config: NetworkConfig) -> LossUnits:
    """Heatmap bins, and the mode."""
    return LossUnits(stride=config.output_stride, heatmap_size=config.heatmap_size, faithful=config.mode == "faithful")


def _small(*heads: nn.Module) -> None:
    """Weights as Pose2Pose draws them: deviation 0.001 in convolutions, 0.01 in linear layers, no biases."""
    for head in heads:
        for layer in head.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, std=0.001 if isinstance(layer, nn.Conv2d) else 0.01)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
