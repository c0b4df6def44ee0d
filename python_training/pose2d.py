"""2D pose networks: where the annotator's backbone comes from (recipe 2)."""

from __future__ import annotations

from pathlib import Path

from pgtfast.images.augment import AugmentConfig
from pgtfast.train import Datasets, Pose2dConfig


def coco() -> Pose2dConfig:
    """SimpleBaseline's ResNet-50 on COCO: 140 epochs, Adam 1e-3, down by ten after 90 and 120. Give --backbone for
    ImageNet's weights."""
    return Pose2dConfig(
        datasets=Datasets(coco=(Path("data/coco"),)), out=Path("runs/pose2d_coco"), precision="bf16-mixed"
    )


def tiny() -> Pose2dConfig:
    """Minutes on two CPU cores: a narrow ResNet-18 on crops of 64 x 96 of the free world (`python -m pgtfast.synth
    world`), varied little."""
    return Pose2dConfig(
        datasets=Datasets(coco=(Path("world/wild"),)),
        out=Path("runs/pose2d_tiny"),
        depth=18,
        width=16,
        deconv_channels=64,
        output_stride=16,
        crop_size=(64, 96),
        sigma=1.5,
        augment=AugmentConfig(scale=0.1, rotation_deg=10, color=0.1),
        batch_size=32,
        steps=2000,
        learning_rate=4e-3,
        schedule="cosine",
        warmup_steps=50,
        precision="auto",
        accelerator="auto",
        loader_threads=2,
        checkpoint_every=500,
        overlay_every=500,
    )
