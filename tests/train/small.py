"""Configs that train in a second or two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pgtfast.networks import NetworkConfig
from pgtfast.train import AnnotatorConfig, Datasets, Pose2dConfig

SIZE = (64, 96)


def pose2d(world: Path, out: Path, **changes: Any) -> Pose2dConfig:
    values: dict[str, Any] = {
        "datasets": Datasets(coco=(world / "wild",)),
        "out": out,
        "depth": 18,
        "width": 8,
        "deconv_channels": 8,
        "crop_size": SIZE,
        "batch_size": 4,
        "steps": 6,
        "accelerator": "cpu",
        "loader_threads": 1,
        "log_every": 1,
        "overlay_every": 3,
        "checkpoint_every": 100,
    }
    return Pose2dConfig(**{**values, **changes})


def annotator(world: Path, out: Path, **changes: Any) -> AnnotatorConfig:
    values: dict[str, Any] = {
        "datasets": Datasets(h36m=(world / "studio",), coco=(world / "wild",), pw3d=(world / "bridge",)),
        "out": out,
        "recipe_2": False,
        "network": NetworkConfig(
            depth=18, width=8, output_stride=16, input_size=SIZE, mode="improved", normalize="imagenet"
        ),
        "batch_size": 8,
        "steps": 6,
        "accelerator": "cpu",
        "loader_threads": 1,
        "log_every": 1,
        "overlay_every": 3,
        "checkpoint_every": 100,
    }
    return AnnotatorConfig(**{**values, **changes})
