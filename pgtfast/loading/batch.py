"""One batch of people, cropped, with everything that is known about them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """B people. Crops are made; what belongs to them is as annotated, in the full image and its camera: `crop_targets`
    moves it into the crop.

    Convention:
        Pixels with the centre of the first pixel at (0, 0). A point x of the full image is at ``matrix @ [x, 1]`` of
        the crop; the matrix holds
        the mirror, so that ``matrix[:, :, :2] = zoom * R(rotation) * diag(-1 if flip else 1, 1)`` with R(a) = [[cos a,
        -sin a], [sin a, cos a]]
        acting on (x right, y down).
    """

    image: Tensor
    """(B, 3, H, W) float32, RGB, normalised."""
    matrix: Tensor
    """(B, 2, 3) float32."""
    flip: Tensor
    """(B,) bool: mirrored."""
    rotation: Tensor
    """(B,) float32, radians."""
    box: Tensor
    """(B, 4) float32: x, y, width, height in the full image that an unaugmented crop shows, full-image pixels."""
    size: Tensor
    """(B, 2) float32: width and height of the full image."""
    keypoints: Tensor
    """(B, K, 3) float32: full-image pixels, and weight in [0, 1]; zero where unknown. K rows of the
    :class:`Supervision`."""
    joints_3d: Tensor
    """(B, K, 4) float32: metres, axes of the image's camera, and 1 where known; zero where unknown."""
    root: Tensor
    """(B,) int64: row of the pelvis that joints_3d are taken relative to, -1 where there is none."""
    position_row: Tensor
    """(B, P) int64: row that supervises each joint of the position set, -1 where none does."""
    pose: Tensor
    """(B, 24, 3) float32: rotation vectors, the root's in the camera frame; zero where unknown."""
    has_pose: Tensor
    """(B,) bool."""
    betas: Tensor
    """(B, 10) float32."""
    has_betas: Tensor
    """(B,) bool: false too where they belong to another gender than the network's body."""
    set_index: Tensor
    """(B,) int64: which of the loader's sets."""
    person: Tensor
    """(B,) int64: row among the people of that set."""
    transl: Tensor | None = None
    """(B, 3) float32: metres, camera frame, of the body that `pose` and `betas` describe; zero where unknown. None
    where no set has it."""
    intrinsics: Tensor | None = None
    """(B, 4) float32: focal x, y and principal point x, y of the full image, pixels; zero where unknown. None where no
    set has them."""

    def __len__(self) -> int:
        return len(self.image)

    def to(self, device: torch.device | str) -> Batch:
        """The batch on a device; returns at once where it is there already."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {k: None if v is None else v.to(device, non_blocking=True) for k, v in columns.items()}
        return Batch(**moved)

    def rows(self, index: Tensor | slice) -> Batch:
        """The people of `index`: indices, a mask or a slice."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        chosen: dict[str, Any] = {name: None if value is None else value[index] for name, value in columns.items()}
        return Batch(**chosen)

    def __repr__(self) -> str:
        image, landmarks = self.image, self.keypoints.shape[1]
        return f"Batch({len(self)} people, image {tuple(image.shape)}, {landmarks} landmarks, {image.device})"
