"""The camera: focal length and principal point in pixels of an image of known size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pgtfast import reference

_MODELS = ("perspective", "weak")


class PlacedCamera(NamedTuple):
    """A perspective camera and where it sees the body: camera, and translation (..., 3) of the body in metres."""

    camera: Camera
    transl: Tensor


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera, or a weak-perspective one.

    Convention:
        Pixels with the centre of the first pixel at (0, 0). The camera looks along +z, x right, y down; metres.
        "perspective": u = focal * (x / z, y / z) + center. "weak": u = focal * (x, y) + center with focal in pixels a
        metre.

    Attributes:
        focal: (..., 2) pixels, or pixels a metre where weak.
        center: (..., 2) principal point, pixels.
        size: (..., 2) width and height of the image, pixels.
        model: "perspective" or "weak".
    """

    focal: Tensor
    center: Tensor
    size: Tensor
    model: str = "perspective"

    def __post_init__(self) -> None:
        if self.model not in _MODELS:
            raise ValueError(f"model: wanted one of {', '.join(_MODELS)}, got {self.model!r}")
        for name in ("focal", "center", "size"):
            value = getattr(self, name)
            if not isinstance(value, Tensor) or value.shape[-1:] != (2,) or not value.is_floating_point():
                got = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
                raise ValueError(f"{name}: wanted a floating tensor (..., 2), got {got}")

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}={tuple(getattr(self, name).shape)}" for name in ("focal", "center", "size"))
        return f"Camera({shapes}, model={self.model!r})"

    # ---- making one
    @classmethod
    def diagonal(cls, size: Tensor) -> Camera:
        """A guess for a photo without calibration: the diagonal as focal length, the middle of the image as centre.

        Args:
            size: (..., 2) width and height, pixels.
        """
        focal = torch.linalg.vector_norm(size, dim=-1, keepdim=True).expand(size.shape)
        return cls(focal, (size - 1) / 2, size)

    @classmethod
    def from_matrix(cls, matrix: Tensor, size: Tensor) -> Camera:
        """From intrinsics (..., 3, 3) without skew, and the size (..., 2)."""
        skew = torch.stack([matrix[..., 0, 1], matrix[..., 1, 0], matrix[..., 2, 0], matrix[..., 2, 1]])
        if skew.any() or (matrix[..., 2, 2] != 1).any():
            raise ValueError("matrix: wanted [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], got other entries than these")
        return cls(torch.stack([matrix[..., 0, 0], matrix[..., 1, 1]], -1), matrix[..., :2, 2], size)

    @classmethod
    def from_crop(
        cls,
        bbox_xywh: Tensor,
        size: Tensor,
        *,
        crop_size: Sequence[float] = (192, 256),
        focal: Sequence[float] = (5000, 5000),
        center: Sequence[float] | None = None,
    ) -> Camera:
        """Full-image camera of a network that assumes fixed intrinsics in its crop (Pose2Pose and its relatives).

        Args:
            bbox_xywh: (..., 4) the box that was cropped (after it was grown to the crop's shape), full-image pixels.
            size: (..., 2) of the full image.
            crop_size: width and height of the crop.
            focal: the fixed focal lengths, crop pixels.
            center: the fixed principal point; None for half the crop's size.
        """
        crop = bbox_xywh.new_tensor(crop_size)
        middle = crop / 2 if center is None else bbox_xywh.new_tensor(center)
        return cls(bbox_xywh.new_tensor(focal), middle, crop).to_full_image(bbox_xywh, size)

    @classmethod
    def from_weak_perspective(cls, weak: Tensor, box_center: Tensor, box_size: Tensor, size: Tensor) -> Camera:
        """The weak camera (s, tx, ty) that HMR, SPIN, PyMAF or CLIFF predict in a square box.

        Args:
            weak: (..., 3) scale and translation; the box spans -1 to 1: ``s * (x + tx)``.
            box_center: (..., 2) full-image pixels.
            box_size: (...) side of the square box, full-image pixels.
            size: (..., 2) of the full image.

        Returns:
            Camera of model "weak"; `to_perspective` makes a pinhole camera of it.
        """
        focal = (weak[..., 0] * box_size / 2)[..., None]
        return cls(focal.expand(*focal.shape[:-1], 2), box_center + focal * weak[..., 1:], size, "weak")

    # ---- using one
    def project(self, points: Tensor) -> Tensor:
        """Pixels (..., K, 2) of points (..., K, 3) in camera space, metres."""
        return reference.project(points, self.focal, self.center, model=self.model)

    def unproject(self, pixels: Tensor, depth: Tensor) -> Tensor:
        """Points (..., K, 3) in camera space that are seen at pixels (..., K, 2) in depth (..., K), metres."""
        plane = (pixels - self.center[..., None, :]) / self.focal[..., None, :]
        if self.model == "perspective":
            plane = plane * depth[..., None]
        return torch.cat([plane, depth[..., None].expand(*plane.shape[:-1], 1)], -1)

    @property
    def matrix(self) -> Tensor:
        """(..., 3, 3) intrinsics."""
        self._only("perspective", "matrix")
        focal, center = torch.broadcast_tensors(self.focal, self.center)
        zero, one = torch.zeros_like(focal[..., 0]), torch.ones_like(focal[..., 0])
        rows = [focal[..., 0], zero, center[..., 0], zero, focal[..., 1], center[..., 1], zero, zero, one]
        return torch.stack(rows, -1).unflatten(-1, (3, 3))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Camera:
        """A copy on another device or of another dtype."""
        moved: dict[str, Any] = {
            name: getattr(self, name).to(device=device, dtype=dtype) for name in ("focal", "center", "size")
        }
        return replace(self, **moved)

    # ---- other images of the same scene
    def to_full_image(self, bbox_xywh: Tensor, size: Tensor) -> Camera:
        """This camera of a crop, in pixels of the image that it was cropped from.

        Args:
            bbox_xywh: (..., 4) box in the full image that the crop shows.
            size: (..., 2) of the full image.
        """
        zoom = bbox_xywh[..., 2:] / self.size
        return replace(self, focal=self.focal * zoom, center=self.center * zoom + bbox_xywh[..., :2], size=size)

    def to_crop(self, bbox_xywh: Tensor, crop_size: Tensor) -> Camera:
        """This camera in pixels of a crop (..., 2) that shows the box (..., 4); undoes `to_full_image`."""
        zoom = crop_size / bbox_xywh[..., 2:]
        return replace(self, focal=self.focal * zoom, center=(self.center - bbox_xywh[..., :2]) * zoom, size=crop_size)

    def flipped(self) -> Camera:
        """The camera of the mirrored image: pixel x becomes width - 1 - x. See `flip_body` for the body in it."""
        width = self.size[..., :1]
        return replace(
            self, center=torch.cat(torch.broadcast_tensors(width - 1 - self.center[..., :1], self.center[..., 1:]), -1)
        )

    # ---- weak <-> perspective
    def to_perspective(self, focal: Tensor, center: Tensor | None = None) -> PlacedCamera:
        """A pinhole camera that sees the body's origin plane as this weak camera does.

        With the box centre as `center` this is SPIN's translation [tx, ty, 2 f / (box s)]; with half the image's size
        it is CLIFF's translation in the full image.

        Args:
            focal: (..., 2) pixels.
            center: (..., 2) principal point; None for the middle of the image.

        Returns:
            PlacedCamera: the camera, and the translation to add to the body, (..., 3) metres.
        """
        self._only("weak", "to_perspective")
        center = (self.size - 1) / 2 if center is None else center
        depth = (focal / self.focal).prod(-1, keepdim=True).sqrt()
        aside = (self.center - center) / self.focal
        batch = torch.broadcast_shapes(depth.shape[:-1], aside.shape[:-1])
        transl = torch.cat([aside.expand(*batch, 2), depth.expand(*batch, 1)], -1)
        return PlacedCamera(replace(self, focal=focal, center=center, model="perspective"), transl)

    def to_weak(self, transl: Tensor) -> Camera:
        """The weak camera that sees the body's origin plane as this one sees it moved by `transl` (..., 3) metres."""
        self._only("perspective", "to_weak")
        focal = self.focal / transl[..., 2:]
        return replace(self, focal=focal, center=self.center + focal * transl[..., :2], model="weak")

    def weak_perspective(self, box_center: Tensor, box_size: Tensor) -> Tensor:
        """(s, tx, ty) (..., 3) of this weak camera in a square box; undoes `from_weak_perspective`."""
        self._only("weak", "weak_perspective")
        scale = 2 * self.focal.mean(-1, keepdim=True) / box_size[..., None]
        aside = (self.center - box_center) / self.focal
        batch = torch.broadcast_shapes(scale.shape[:-1], aside.shape[:-1])
        return torch.cat([scale.expand(*batch, 1), aside.expand(*batch, 2)], -1)

    def _only(self, model: str, what: str) -> None:
        if self.model != model:
            raise ValueError(f"{what}: wanted a camera of model {model!r}, got {self.model!r}")
