"""Names of weights, written down from the published networks."""

from __future__ import annotations

BN = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def resnet(depth: int) -> set[str]:
    """torchvision's ResNet without `fc`."""
    names = {"conv1.weight", *(f"bn1.{n}" for n in BN)}
    for stage, blocks in enumerate(BLOCKS[depth], 1):
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            for conv in (1, 2, 3) if depth >= 50 else (1, 2):
                names |= {f"{at}.conv{conv}.weight", *(f"{at}.bn{conv}.{n}" for n in BN)}
            if block == 0 and (depth >= 50 or stage > 1):
                names |= {f"{at}.downsample.0.weight", *(f"{at}.downsample.1.{n}" for n in BN)}
    return names


def upsampling() -> set[str]:
    """What Simple Baselines' `pose_resnet` has besides."""
    names = {"final_layer.weight", "final_layer.bias"}
    for layer in (0, 3, 6):
        names |= {f"deconv_layers.{layer}.weight", *(f"deconv_layers.{layer + 1}.{n}" for n in BN)}
    return names


def heads() -> set[str]:
    """Of Pose2Pose besides `backbone.`."""
    names = {f"position_net.conv.0.{n}" for n in ("weight", "bias")}
    for layer in ("conv", "root_pose_out", "pose_out", "shape_out", "cam_out"):
        names |= {f"rotation_net.{layer}.0.{n}" for n in ("weight", "bias")}
    return names | {f"rotation_net.conv.1.{n}" for n in BN}


def vit(depth: int) -> set[str]:
    """timm's and MAE's plain vision transformer without `cls_token` and `head`."""
    parts = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    pairs = {"patch_embed.proj", "norm", *(f"blocks.{n}.{part}" for n in range(depth) for part in parts)}
    return {"pos_embed", *(f"{at}.{n}" for at in pairs for n in ("weight", "bias"))}


def vitpose(depth: int) -> set[str]:
    """mmpose's ViTPose: backbone, and a head of two transposed convolutions."""
    names = {f"backbone.{n}".replace("backbone.norm.", "backbone.last_norm.") for n in vit(depth)}
    names |= {"keypoint_head.final_layer.weight", "keypoint_head.final_layer.bias"}
    for layer in (0, 3):
        at = f"keypoint_head.deconv_layers.{layer}"
        names |= {f"{at}.weight", *(f"keypoint_head.deconv_layers.{layer + 1}.{n}" for n in BN)}
    return names
