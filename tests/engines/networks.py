"""A small annotator with weights that say something: batch norms that are not the identity, heads that move with the
picture.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from torch import nn

from pgtfast.networks import Annotator, NetworkConfig
from pgtfast.networks.files import save_annotator

CONFIG = NetworkConfig(depth=18, width=8, input_size=(96, 128), mode="improved", normalize="imagenet")


def lively(config: NetworkConfig = CONFIG, seed: int = 0) -> Annotator:
    """An untrained annotator whose every layer matters to its output."""
    torch.manual_seed(seed)
    network = Annotator(config)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    nn.init.normal_(network.position_net.conv[0].weight, std=0.05)
    for head in (network.rotation_net.root_pose_out, network.rotation_net.pose_out):
        nn.init.normal_(head[0].weight, std=0.01)
    return network.eval()


def write_checkpoint(path: Path, config: NetworkConfig = CONFIG, seed: int = 0) -> Path:
    """Its file."""
    save_annotator(path, lively(config, seed), sets=("p2p25", "coco17"))
    return path


def crops(count: int, config: NetworkConfig = CONFIG, seed: int = 0) -> torch.Tensor:
    """(count, 3, H, W) normalised noise."""
    width, height = config.input_size
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


@cache
def onnx_graphs() -> dict[str, bytes]:
    """ONNX models of the network by precision, fp32 with opset 18 and fp16 with 17; made once, for it takes seconds."""
    from pgtfast.export._onnx import write_onnx

    return {"fp32": write_onnx(lively(), "fp32", 18), "fp16": write_onnx(lively(), "fp16", 17)}
