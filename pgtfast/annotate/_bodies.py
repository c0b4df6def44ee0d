"""From crops to bodies in the camera of the whole image, with what measures them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from .. import ops, skeletons
from ..body import LandmarkPlan
from ..cameras import Camera, flip_body
from ..fitting.refine import FirstBodies, refine
from ..loading import Supervision
from ..metrics import mpjpe_mm
from ..networks import Bodies
from ..priors import limit_violation, prior_energy
from ._network import LoadedNetwork

JITTER_SHIFT = 0.08
"""How far copies of a crop are moved, share of its half side."""
JITTER_SCALE = (0.93, 1.07)
"""How much of the crop the copies show, in turns."""


class CropsLike(Protocol):
    """B crops without augmentation, such as a `Batch` or `PersonCrops`."""

    @property
    def image(self) -> Tensor:
        """(B, 3, H, W)."""

    @property
    def matrix(self) -> Tensor:
        """(B, 2, 3): pixels of the picture to pixels of the crop."""

    @property
    def size(self) -> Tensor:
        """(B, 2): width and height of the picture."""


@dataclass(frozen=True, eq=False)
class Measured:
    """Landmarks of the body that a dataset's keypoints are compared with."""

    plan: LandmarkPlan
    source: np.ndarray
    """(n,) keypoints of the dataset that have one."""
    rows: np.ndarray
    """(n,) the plan's row of each."""
    count: int
    """Keypoints of the dataset."""

    @classmethod
    def of(cls, landmark_set: str, network: LoadedNetwork) -> Measured:
        """The dataset's own set where the body has it; else those of the first supervised set that have the same
        names."""
        count = len(skeletons.get(landmark_set))
        if landmark_set in network.body.landmark_sets:
            return cls(network.body.landmarks(landmark_set), np.arange(count), np.arange(count), count)
        base = network.about.sets[0]
        where = Supervision((base,), network.config.position_set).joint_map(landmark_set)
        return cls(network.body.landmarks(base), where.source, where.rows, count)


class Found:
    """Bodies on their way from the device; nothing waits for them before `result`.

    Args:
        columns: tensors by the names that :func:`pgtfast.quality.measure.solved` takes, `pixels` in place of
            `projected`.
        measured: the landmarks that were projected.
    """

    def __init__(self, columns: dict[str, Tensor | None], measured: Measured) -> None:
        self.measured = measured
        self._copied: torch.cuda.Event | None = None
        first = next(value for value in columns.values() if value is not None)
        if first.is_cuda:
            columns = {k: None if v is None else _to_host(v) for k, v in columns.items()}
            self._copied = torch.cuda.Event()
            self._copied.record(torch.cuda.current_stream(first.device))
        self._columns = columns

    def result(self) -> dict[str, np.ndarray | None]:
        """The bodies as arrays, by the names that :func:`pgtfast.quality.measure.solved` takes."""
        if self._copied is not None:
            self._copied.synchronize()
        columns: dict[str, Any] = {k: None if v is None else v.numpy() for k, v in self._columns.items()}
        pixels = columns.pop("pixels")
        projected = np.full((len(pixels), self.measured.count, 2), np.nan)
        projected[:, self.measured.source] = pixels[:, self.measured.rows]
        return {**columns, "projected": projected}


def _to_host(values: Tensor) -> Tensor:
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    return host.copy_(values, non_blocking=True)


def full_camera(bodies: Bodies, batch: CropsLike) -> Camera:
    """The virtual camera of each crop, in pixels of the whole image: its focal lengths and principal point grow with
    the box.

    Args:
        bodies: focal (2,) and center (2,) of the crop's camera.
        batch: crops without augmentation.
    """
    zoom = torch.diagonal(batch.matrix[:, :, :2], dim1=1, dim2=2)
    focal, center = bodies.focal.to(zoom), bodies.center.to(zoom)
    return Camera(focal / zoom, (center - batch.matrix[:, :, 2]) / zoom, batch.size)


def find_bodies(
    batch: CropsLike,
    network: LoadedNetwork,
    measured: Measured,
    *,
    flip_test: bool = False,
    jitter: int = 0,
    keypoints: Tensor | None = None,
    steps: int = 0,
) -> Found:
    """Bodies of B people; returns as soon as the device knows what to do.

    Args:
        batch: crops without augmentation, on the network's device.
        network: what annotates.
        measured: the landmarks to project.
        flip_test: whether to annotate the mirrored crops too, for a second opinion.
        jitter: how many moved and scaled copies of each crop to annotate too.
        keypoints: (B, K, 3) pixels of the whole image and confidence, to refine the bodies by.
        steps: of the refinement.
    """
    with torch.inference_mode():
        bodies = network(batch.image)
        flipped = _flip_disagreement(batch, bodies, network) if flip_test else None
        spread = _jitter_spread(batch, bodies, network, jitter) if jitter else None
        camera = full_camera(bodies, batch)
    if steps and keypoints is not None:
        bodies = _refined(bodies, camera, keypoints, network, measured, steps)
    with torch.inference_mode():
        rotvec = ops.matrix_to_rotvec(bodies.rotations)
        betas = bodies.betas[:, : network.body.num_betas]
        points = ops.landmarks(bodies.rotations, betas, bodies.transl, measured.plan.terms)
        latent, energy = bodies.latent, None
        if network.prior is not None:
            energy = prior_energy(network.prior.encode(rotvec[:, 1:22]).mean if latent is None else latent)
        values = (rotvec, betas, bodies.transl, camera.focal, camera.center, points)
        return Found(
            {
                "global_orient": rotvec[:, 0],
                "body_pose": rotvec[:, 1:].flatten(1),
                "betas": betas,
                "transl": bodies.transl,
                "latent": latent,
                "focal": camera.focal,
                "center": camera.center,
                "pixels": camera.project(points),
                "prior_energy": energy,
                "limit_violation": limit_violation(rotvec[:, 1:]).sum(-1),
                "valid": torch.stack([torch.isfinite(v).flatten(1).all(1) for v in values]).all(0),
                "flip_disagreement_mm": flipped,
                "jitter_mm": spread,
            },
            measured,
        )


def _refined(
    bodies: Bodies, camera: Camera, keypoints: Tensor, network: LoadedNetwork, measured: Measured, steps: int
) -> Bodies:
    """Bodies moved towards the keypoints (B, K, 3) that the body has landmarks of."""
    target = keypoints.new_zeros(len(keypoints), measured.plan.terms.num_landmarks, 3)
    target[:, torch.from_numpy(measured.rows).to(target.device)] = keypoints[:, measured.source]
    first = FirstBodies(bodies.rotations, bodies.latent, bodies.betas[:, : network.body.num_betas], bodies.transl)
    moved = refine(first, keypoints=target, camera=camera, landmarks=measured.plan, prior=network.prior, steps=steps)
    betas = torch.cat((moved.betas, bodies.betas[:, network.body.num_betas :]), 1)
    return bodies._replace(rotations=moved.rotations, latent=moved.latent, betas=betas, transl=moved.transl)


def _flip_disagreement(batch: CropsLike, bodies: Bodies, network: LoadedNetwork) -> Tensor:
    """(B,) mean millimetres between the joints of a person and of their mirror image's mirror image, pelvis on
    pelvis."""
    mirrored = network(batch.image.flip(-1))
    order = skeletons.get("smpl24").flip_permutation
    back, _ = flip_body(mirrored.rotations, mirrored.transl, order)
    return mpjpe_mm(_joints(bodies.rotations, bodies.betas, network), _joints(back, mirrored.betas, network), root=0)


def _jitter_spread(batch: CropsLike, bodies: Bodies, network: LoadedNetwork, copies: int) -> Tensor:
    """(B,) mean millimetres, over the copies, between the joints of a person and those found in a moved and scaled
    crop, pelvis on pelvis."""
    joints = _joints(bodies.rotations, bodies.betas, network)
    image = batch.image
    away = []
    for copy in range(copies):
        angle = 2 * torch.pi * copy / copies
        scale = JITTER_SCALE[copy % len(JITTER_SCALE)]
        moved = torch.tensor([[scale, 0, JITTER_SHIFT * math.cos(angle)], [0, scale, JITTER_SHIFT * math.sin(angle)]])
        grid = nn.functional.affine_grid(
            moved.to(image).expand(len(image), 2, 3), list(image.shape), align_corners=False
        )
        there = network(nn.functional.grid_sample(image, grid, padding_mode="border", align_corners=False))
        away.append(mpjpe_mm(joints, _joints(there.rotations, there.betas, network), root=0))
    return torch.stack(away).mean(0)


def _joints(rotations: Tensor, betas: Tensor, network: LoadedNetwork) -> Tensor:
    """(B, 24, 3) metres: joints of bodies that stand at their origin."""
    origin = rotations.new_zeros(len(rotations), 3)
    return ops.landmarks(rotations, betas[:, : network.body.num_betas], origin, network.joints.terms)
