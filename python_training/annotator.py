"""The annotation network f: the paper's three recipes, each with and without, at the paper's size and at a size for
CPUs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pgtfast.images.augment import AugmentConfig
from pgtfast.networks import NetworkConfig
from pgtfast.train import AnnotatorConfig, Datasets


def three_recipes() -> AnnotatorConfig:
    """Paper size: ResNet-50, 256 x 192, batches of 192, 7 epochs. Needs SMPL (--body) and VPoser (--prior), and a 2D
    pose network."""
    return AnnotatorConfig(
        datasets=Datasets(
            h36m=(Path("data/h36m"),),
            mpi_inf_3dhp=(Path("data/mpi_inf_3dhp"),),
            coco=(Path("data/coco"),),
            pw3d=(Path("data/3dpw"),),
        ),
        body="smpl-neutral",
        prior="data/vposer_v1_0",
        pose_network=Path("runs/pose2d_coco"),
        out=Path("runs/annotator"),
        network=NetworkConfig(mode="improved", normalize="imagenet"),
        precision="bf16-mixed",
    )


def faithful() -> AnnotatorConfig:
    """The same to the letter of Pose2Pose's code: its losses, its coordinates, pictures from 0 to 1, 32 bits."""
    return replace(
        three_recipes(),
        network=NetworkConfig(mode="faithful", normalize="unit"),
        precision="32-true",
        out=Path("runs/annotator_faithful"),
    )


def without_recipe_1() -> AnnotatorConfig:
    """Without the bridge sets."""
    return replace(three_recipes(), recipe_1=False, out=Path("runs/annotator_without_recipe_1"))


def without_recipe_2() -> AnnotatorConfig:
    """Without the 2D pose network; give ImageNet's weights with --backbone as the paper does."""
    return replace(three_recipes(), recipe_2=False, out=Path("runs/annotator_without_recipe_2"))


def without_recipe_3() -> AnnotatorConfig:
    """Without the pose prior."""
    return replace(three_recipes(), recipe_3=False, out=Path("runs/annotator_without_recipe_3"))


def without_recipes() -> AnnotatorConfig:
    """Without all three."""
    return replace(
        three_recipes(), recipe_1=False, recipe_2=False, recipe_3=False, out=Path("runs/annotator_without_recipes")
    )


def tiny() -> AnnotatorConfig:
    """Minutes on two CPU cores: a narrow ResNet-18 on crops of 64 x 96 of the free world (`python -m pgtfast.synth
    world`), varied little."""
    return AnnotatorConfig(
        datasets=Datasets(h36m=(Path("world/studio"),), coco=(Path("world/wild"),), pw3d=(Path("world/bridge"),)),
        pose_network=Path("runs/pose2d_tiny"),
        out=Path("runs/annotator_tiny"),
        network=NetworkConfig(
            depth=18, width=16, output_stride=16, input_size=(64, 96), mode="improved", normalize="imagenet"
        ),
        augment=AugmentConfig(scale=0.1, rotation_deg=10, color=0.1),
        batch_size=32,
        steps=1500,
        learning_rate=2e-3,
        schedule="cosine",
        warmup_steps=50,
        precision="auto",
        loader_threads=2,
        checkpoint_every=500,
        overlay_every=500,
    )


def tiny_without_recipe_1() -> AnnotatorConfig:
    """Tiny without the bridge set."""
    return replace(tiny(), recipe_1=False, out=Path("runs/annotator_tiny_without_recipe_1"))


def tiny_without_recipe_2() -> AnnotatorConfig:
    """Tiny from random weights."""
    return replace(tiny(), recipe_2=False, out=Path("runs/annotator_tiny_without_recipe_2"))


def tiny_without_recipe_3() -> AnnotatorConfig:
    """Tiny without the pose prior."""
    return replace(tiny(), recipe_3=False, out=Path("runs/annotator_tiny_without_recipe_3"))


def tiny_without_recipes() -> AnnotatorConfig:
    """Tiny without all three."""
    return replace(
        tiny(), recipe_1=False, recipe_2=False, recipe_3=False, out=Path("runs/annotator_tiny_without_recipes")
    )
