"""The crops that an engine is compared on."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .._errors import PgtfastError
from .._options import needing
from ..networks import NetworkConfig

PICTURES = 16
"""Most pictures that are drawn where none are given; two people in each, more or less."""


@dataclass(frozen=True, eq=False)
class Crops:
    """People to compare on."""

    image: Tensor
    """(N, 3, H, W) as the network takes them."""
    source: str
    """Where they are from."""
    synthetic: bool
    """Drawn, no photographs."""


def given_crops(coco: Path, images: Path, config: NetworkConfig, count: int) -> Crops:
    """Crops of people of a COCO file, spread evenly over it, decoded and cut as `pgtfast.annotate` does."""
    with needing("annotate", "--coco"):
        from ..datasets import read_coco_persons
        from ..loading.columns import usable_rows
        from ..loading.loader import LoaderConfig, OrderedLoader
        from ..people import ImageSet

    folder = Path(images)
    if not folder.is_dir():
        raise PgtfastError(f"--images {images}: no such folder")
    people = read_coco_persons(coco)
    rows = usable_rows(people)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(np.int64))]
    if not len(rows):
        raise PgtfastError(f"--coco {coco}: nobody in it has keypoints to cut a crop around")
    loader = OrderedLoader(
        ImageSet(people=people, images=folder, role="wild"), None,
        LoaderConfig(crop_size=config.input_size, normalize=config.normalize), rows, batch_size=min(len(rows), 32),
    )  # fmt: skip
    parts = [batch.image for batch in loader]
    if not parts:
        raise PgtfastError(f"--images {images}: none of the {len(rows)} people's pictures can be read")
    image = torch.cat(parts)
    return Crops(image, f"{len(image)} people of {Path(coco).name}", synthetic=False)


def drawn_crops(config: NetworkConfig, count: int) -> Crops:
    """Crops of people that `pgtfast.synth` draws: the same each time, and no photographs."""
    with needing("report", "pictures to compare on, unless --coco and --images give some"):
        from ..synth import WorldConfig, make_world

    pictures = min(-(-count // 2), PICTURES)
    with tempfile.TemporaryDirectory() as folder:
        make_world(folder, WorldConfig(images=pictures, sets=("wild",)), workers=0, progress=False)
        root = Path(folder) / "wild"
        (annotations,) = (root / "annotations").glob("person_keypoints_*.json")
        crops = given_crops(annotations, root / "train2017", config, count)
    return Crops(crops.image, f"{len(crops.image)} people drawn by pgtfast.synth, no photographs", synthetic=True)
