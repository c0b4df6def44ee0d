"""Made-up people of the tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pgtfast import load_vposer, reference
from pgtfast.people import People, empty_people


def random_pose(count: int, seed: int = 0) -> dict[str, Tensor]:
    """Keywords of `count` free bodies, upright within half a radian, four metres away."""
    make = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=make)

    pose = reference.matrix_to_rotvec(load_vposer("free").decode(normal(count, 32)))
    turn = reference.rotvec_to_matrix(0.3 * normal(count, 3)) @ reference.rotvec_to_matrix(
        torch.tensor([torch.pi, 0.0, 0.0])
    )
    return {
        "global_orient": reference.matrix_to_rotvec(turn),
        "body_pose": torch.cat((pose, torch.zeros(count, 2, 3)), 1).flatten(1),
        "betas": 0.5 * normal(count, 10),
        "transl": torch.tensor([0.0, 0.0, 4.0]) + 0.2 * normal(count, 3),
    }


def people_of(truth: list[dict], *, off: float = 0.0, size: tuple[int, int] = (640, 480)) -> People:
    """The annotation of truth as a dataset would have it, keypoints `off` pixels to the right of the true ones."""
    count = len(truth)
    pixels = np.array([person["landmarks_2d"] for person in truth], np.float64)
    low, high = pixels.min(1), pixels.max(1)
    return replace(
        empty_people("world", [int(person["annotation_id"]) for person in truth]), landmark_set="coco17",
        image_path=np.array([f"{n:06d}.jpg" for n in range(count)], object),
        image_size=np.tile(size, (count, 1)),
        bbox=np.concatenate((low, high - low), 1),
        keypoints=np.concatenate((pixels + np.array([off, 0]), np.ones((count, 17, 1))), -1),
    )  # fmt: skip
