"""2D pose networks: where the annotator's backbone comes from (recipe 2)."""

from __future__ import annotations

from pathlib import Path

from pgtfast.train import Datasets, Pose2dConfig


def coco() -> Pose2dConfig:
    """SimpleBaseline's ResNet-50 on COCO: 140 epochs, Adam 1e-3, down by ten after 90 and 120. Give --backbone for ImageNet's weights."""
    return Pose2dConfig(
        datasets=Datasets(coco=(Path("data/coco"),)), out=Path("runs/pose2d_coco"), precision="bf16-mixed"
    )


def tiny() -> Pose2dConfig:
    """Minutes on two CPU cores: a narrow ResNet-18 on crops of 96 x 128 of the free world (`python -m pgtfast.synth world`)."""
    return Pose2dConfig(
        datasets=Datasets(coco=(Path("world/wild"),)),
        out=Path("runs/pose2d_tiny"),
        depth=18,
        width=24,
        deconv_channels=64,
        crop_size=(96, 128),
        sigma=1.5,
        batch_size=32,
        epochs=30,
        steps=800,
        learning_rate=1.5e-3,
        schedule="cosine",
        warmup_steps=50,
        precision="auto",
        accelerator="auto",
        loader_threads=2,
        checkpoint_every=500,
        overlay_every=500,
    )
