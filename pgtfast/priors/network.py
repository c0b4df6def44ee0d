"""The networks behind a pose prior: three encoder layouts, one decoder layout."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, softplus

from ..reference import DecoderTerms, rot6d_to_matrix, rotvec_to_matrix

NUM_JOINTS = 21
"""SMPL's joints 1..21: the body without the root and the two hand joints."""
NUM_LATENTS = 32
HIDDEN = 512

SLOPES = {"v1": 0.2, "v2": 0.01, "free-1": 0.01}
"""Negative slope of the leaky ReLUs, by version. The keys are the versions that exist."""


class PoseEncoder(nn.Module):
    """Pose to mean and spread of the latent, before the softplus. One of the three published or own layouts.

    Args:
        version: "v1" and "v2" read 63 rotation-vector components through batch normalisation, "free-1" reads 189 matrix
            entries, which have no jump at an angle of pi.
        width: hidden units; 512 in v1 and v2.
    """

    def __init__(self, version: str, width: int = HIDDEN) -> None:
        super().__init__()
        self.version = version
        self.slope = SLOPES[version]
        features = 9 * NUM_JOINTS if version == "free-1" else 3 * NUM_JOINTS
        if version != "free-1":
            self.norm1 = nn.BatchNorm1d(features)
            self.norm2 = nn.BatchNorm1d(width)
        self.layer1 = nn.Linear(features, width)
        self.layer2 = nn.Linear(width, width)
        if version == "v2":
            self.layer3 = nn.Linear(width, width)
        self.mean = nn.Linear(width, NUM_LATENTS)
        self.spread = nn.Linear(width, NUM_LATENTS)

    @property
    def width(self) -> int:
        return self.layer1.out_features

    def forward(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latent.

        Args:
            pose: (B, 21, 3) radians, or (B, 21, 3, 3) for "free-1", which then skips the conversion.

        Returns:
            Two of (B, 32).
        """
        if self.version == "free-1":
            matrices = pose if pose.dim() == 4 else rotvec_to_matrix(pose)
            hidden = leaky_relu(self.layer1(matrices.flatten(1)), self.slope)
            hidden = leaky_relu(self.layer2(hidden), self.slope)
        else:
            hidden = leaky_relu(self.layer1(self.norm1(pose.flatten(1))), self.slope)
            hidden = self.layer2(self.norm2(hidden))
            hidden = leaky_relu(hidden, self.slope) if self.version == "v1" else self.layer3(hidden)
        return self.mean(hidden), softplus(self.spread(hidden))


class PoseDecoder(nn.Module):
    """Latent to 21 rotations: 32 -> 512 -> 512 -> 126, leaky ReLU after the first two, 6D in column layout."""

    def __init__(self, version: str, width: int = HIDDEN) -> None:
        super().__init__()
        self.slope = SLOPES[version]
        self.layer1 = nn.Linear(NUM_LATENTS, width)
        self.layer2 = nn.Linear(width, width)
        self.layer3 = nn.Linear(width, 6 * NUM_JOINTS)

    def forward(self, latent: Tensor) -> Tensor:
        """Rotations (B, 21, 3, 3) of latents (B, 32), differentiable in the weights: for training. Use
        :meth:`VPoser.decode` otherwise.
        """
        hidden = leaky_relu(self.layer1(latent), self.slope)
        hidden = leaky_relu(self.layer2(hidden), self.slope)
        return rot6d_to_matrix(self.layer3(hidden).unflatten(-1, (NUM_JOINTS, 6)))

    def terms(self) -> DecoderTerms:
        """The weights as the constants that :func:`pgtfast.ops.vposer_decode` reads."""
        layers = {}
        for k in (1, 2, 3):
            layer = getattr(self, f"layer{k}")
            layers[f"w{k}"], layers[f"b{k}"] = layer.weight.detach(), layer.bias.detach()
        return DecoderTerms(**layers, slope=self.slope)


def not_finite(module: nn.Module) -> list[str]:
    """Names of the module's tensors that hold a NaN or an infinity."""
    return [name for name, value in module.state_dict().items() if not torch.isfinite(value).all()]
