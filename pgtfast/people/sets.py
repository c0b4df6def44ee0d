"""People and the pictures that show them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .table import People

Role = Literal["mocap", "wild", "bridge"]
"""What a dataset is for: motion capture with 3D, images in the wild with 2D only, and the small set in the wild with 3D
(the paper's 3DPW).
"""


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """A dataset to learn from or to annotate.

    Args:
        people: its annotated people; those with a reason are left out by whoever reads the set.
        images: the folder that `people.image_path` is relative to, or WebDataset tars (*.tar) that hold files of those
            names.
        role: what the dataset is for.
        use_3d: whether its 3D joints and body parameters may be learned from; False leaves the 2D keypoints.
    """

    people: People
    images: Path | tuple[Path, ...]
    role: Role
    use_3d: bool = True
