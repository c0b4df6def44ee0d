"""The losses of estimators: Pose2Pose's (CVPRW 2022) with NeuralAnnot's regularisers; docs/losses.md."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import ops, skeletons
from .._errors import PgtfastError
from ..body import LandmarkPlan
from ..loading import Batch, Supervision
from ..loading.targets import Targets, points_in_crop, take_row, vectors_in_crop
from .bodies import Bodies

BOX_DEPTH = 2.0
"""Metres of depth, half before and half behind the pelvis, that the heatmaps' D bins span."""

DEPTH_GUARD = 1e-4
"""Metres that Pose2Pose adds to every depth before it divides by it."""

REGULARISER = 1 / 32
"""Weight of mean(z^2) and of mean(beta^2) beside a 2D loss in heatmap bins: 1 beside one in pixels of a 256-pixel crop,
whose bins are 32 pixels."""


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Factors of the terms; 0 leaves a term out of the sum."""

    joint_img: float = 1.0
    """Joints predicted in the image, against annotated ones; heatmap bins."""
    smpl_joint_img: float = 1.0
    """The same against those of the annotated body parameters."""
    smpl_pose: float = 1.0
    """Rotations, against annotated body parameters."""
    smpl_shape: float = 1.0
    """Betas, likewise."""
    joint_proj: float = 1.0
    """The body's landmarks in the image, against annotated ones; heatmap bins."""
    joint_cam: float = 1.0
    """The body's landmarks from its pelvis, against annotated ones; metres."""
    smpl_joint_cam: float = 1.0
    """The same against those of the annotated body parameters."""
    latent: float = REGULARISER
    """Mean square of the prior's latent."""
    betas: float = REGULARISER
    """Mean square of the betas."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < float("inf"):
                raise PgtfastError(f"LossWeights: {field.name}: wanted a factor of 0 or more, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class LossUnits:
    """In what 2D losses are measured, and by which of the two modes (docs/losses.md)."""

    stride: float = 32
    """Pixels of the crop a unit, which is a heatmap bin."""
    heatmap_size: tuple[int, int, int] | None = None
    """Bins along x, y and depth of a network that predicts joints in heatmaps."""
    faithful: bool = False
    """Pose2Pose's formulas to the letter, which need heatmaps."""

    def to_bins(self, pixels: Tensor) -> Tensor:
        """Crop pixels (..., 2), the centre of the first at 0, in heatmap bins.

        Convention:
            improved: bin i covers [i, i + 1), so that the crop, -0.5 to W - 0.5, becomes 0 to w. faithful: u / W * w.
        """
        return (pixels + (0.0 if self.faithful else 0.5)) / self.stride

    def depth_to_bins(self, depth: Tensor) -> Tensor:
        """Metres behind the pelvis in depth bins; the pelvis is at D / 2."""
        return (depth / (BOX_DEPTH / 2) + 1) / 2 * self.size[2]

    @property
    def size(self) -> tuple[int, int, int]:
        """Of the heatmaps, for those who have them."""
        assert self.heatmap_size is not None, "the network predicts no joints in heatmaps"
        return self.heatmap_size

    def within(self, points: Tensor, depth_known: Tensor) -> Tensor:
        """(B, P) bool: whether the heatmaps can hold points (B, P, 3); an unknown depth can be held."""
        width, height, depth = self.size
        x, y, z = points.unbind(-1)
        flat = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        return flat & ((z >= 0) & (z < depth) | ~depth_known)


class PositionTargets(NamedTuple):
    """What joints predicted in heatmaps are compared with; weights are 0 where nothing is known."""

    joint_img: Tensor
    """(B, P, 3): x, y, z in heatmap bins, annotated."""
    joint_img_weights: Tensor
    """(B, P, 3)."""
    smpl_joint_img: Tensor
    """(B, P, 3): of the annotated body parameters."""
    smpl_joint_img_weights: Tensor
    """(B, P, 3)."""


class LossTargets(NamedTuple):
    """What the network's output is compared with, in the losses' units. Weights are 0 where nothing is known."""

    annotated: Targets
    """In the crop."""
    root: Tensor
    """(B,): row of the pelvis that the annotated 3D joints are taken from, 0 where there is none."""
    keypoints: Tensor
    """(B, K, 2) heatmap bins."""
    keypoint_weights: Tensor
    """(B, K)."""
    smpl_joint_cam: Tensor
    """(B, K1, 3) metres from the pelvis: landmarks of the supervision's first set."""
    smpl_weights: Tensor
    """(B,): 1 where both pose and shape are known."""
    positions: PositionTargets | None
    """Of a network that predicts joints in heatmaps."""
    counts: dict[str, Tensor]
    """Denominator of each term, (), float32; of a batch that holds nothing of a kind it may be 0."""

    def rows(self, index: Tensor | slice) -> LossTargets:
        """The people of `index`; denominators stay those of the whole, so that the terms of parts add up to the term of
        the whole."""
        tensors: dict[str, Any] = {k: value[index] for k, value in self._asdict().items() if isinstance(value, Tensor)}
        positions = None if self.positions is None else PositionTargets(*(value[index] for value in self.positions))
        return self._replace(**tensors, annotated=self.annotated.rows(index), positions=positions)


class BodyLoss:
    """The loss of bodies and, where the network predicts them, of joints in heatmaps.

    Args:
        plan: ``supervision.plan(body)``.
        supervision: the K rows.
        units: of the 2D losses.
        weights: factors of the terms.
    """

    def __init__(
        self, plan: LandmarkPlan, supervision: Supervision, units: LossUnits, weights: LossWeights | None = None
    ) -> None:
        self.plan, self.supervision, self.units = plan, supervision, units
        self.weights = weights or LossWeights()

    def __call__(self, prediction: Any, bodies: Bodies, target: LossTargets) -> dict[str, Tensor]:
        """Terms of the loss, each a weighted mean, and their sum `total`. In float32 whatever surrounds it; nothing
        waits for the device.

        Args:
            prediction: of the network; its `position` is looked at where the units are of heatmaps.
            bodies: of the prediction, in the crops' virtual camera.
            target: of :meth:`targets`, or rows of it. With the denominators of a whole step, terms of its parts add up
                to those of the step.

        Returns:
            () each: joint_img, smpl_joint_img (of heatmaps), smpl_pose, smpl_shape, joint_proj, joint_cam,
            smpl_joint_cam, betas, total, and latent for bodies that are a prior's.
        """
        with torch.autocast(bodies.betas.device.type, enabled=False):
            terms = self.terms(prediction, bodies, target)
            terms = {name: getattr(self.weights, name) * value for name, value in terms.items()}
            terms["total"] = torch.stack(list(terms.values())).sum()
        return terms

    @torch.no_grad()
    def targets(self, batch: Batch, annotated: Targets) -> LossTargets:
        """Everything in the losses that does not depend on the network.

        Args:
            batch: B people.
            annotated: of `crop_targets`.
        """
        with torch.autocast(batch.image.device.type, enabled=False):
            first, root = len(skeletons.get(self.supervision.sets[0])), self.supervision.base_root
            landmarks = ops.landmarks(batch.pose, batch.betas, None, self.plan.terms)
            joints = vectors_in_crop(landmarks - landmarks[:, root : root + 1], batch, self.supervision)[:, :first]
            keypoints, keypoint_weights = self.units.to_bins(annotated.keypoints), annotated.weights
            if self.units.faithful:
                # the body is projected wherever it lies, but Pose2Pose leaves out what the heatmaps cannot hold
                depth = self.units.depth_to_bins(annotated.joints_3d[..., 2:])
                in_maps = self.units.within(torch.cat((keypoints, depth), -1), annotated.joints_3d_weights > 0)
                keypoint_weights = keypoint_weights * in_maps
            target = LossTargets(
                annotated=annotated,
                root=batch.root.clamp(min=0),
                keypoints=keypoints,
                keypoint_weights=keypoint_weights,
                smpl_joint_cam=joints,
                smpl_weights=(annotated.has_pose & annotated.has_betas).to(keypoints.dtype),
                positions=None,
                counts={},
            )
            if self.units.heatmap_size is not None:
                target = target._replace(positions=self._position_targets(batch, target, landmarks))
            return target._replace(counts=self._counts(target))

    def _position_targets(self, batch: Batch, target: LossTargets, landmarks: Tensor) -> PositionTargets:
        """Of the joints in heatmaps; landmarks (B, K, 3) are those of the annotated body parameters."""
        units, annotated = self.units, target.annotated
        row = batch.position_row.clamp(min=0)
        has_row = (batch.position_row >= 0).to(target.keypoints.dtype)
        xy, depth = _take(target.keypoints, row), _take(annotated.joints_3d, row)[..., 2:]
        weight_2d = has_row * annotated.weights.gather(1, row)
        weight_3d = has_row * annotated.joints_3d_weights.gather(1, row)
        joint_img = torch.cat((xy, units.depth_to_bins(depth)), -1)
        within = units.within(joint_img, weight_3d > 0) & (weight_2d > 0)
        joint_img_weights = torch.stack((weight_2d, weight_2d, weight_3d), -1) * within[..., None]

        base = _base_position(self.supervision, target.keypoints.device)
        depth = units.depth_to_bins(target.smpl_joint_cam.index_select(1, base)[..., 2:])
        if batch.transl is None or batch.intrinsics is None:
            projected = depth.new_zeros(*depth.shape[:-1], 2)
            placed = torch.zeros_like(target.smpl_weights)
        else:
            focal, center = batch.intrinsics.split(2, -1)
            in_image = ops.project(landmarks + batch.transl[:, None], focal, center)
            projected = units.to_bins(points_in_crop(in_image, batch, self.supervision)).index_select(1, base)
            placed = target.smpl_weights * (focal > 0).all(-1) * (batch.transl[:, 2] > 0)
        smpl_joint_img = torch.cat((projected, depth), -1)
        is_placed = placed[:, None] > 0
        # without a camera only the depth is known
        within = torch.where(
            is_placed,
            units.within(smpl_joint_img, is_placed),
            (depth[..., 0] >= 0) & (depth[..., 0] < units.size[2]),
        )
        weights = torch.stack((placed, placed, target.smpl_weights), -1)[:, None] * within[..., None]
        return PositionTargets(joint_img, joint_img_weights, smpl_joint_img, weights)

    def terms(self, prediction: Any, bodies: Bodies, target: LossTargets) -> dict[str, Tensor]:
        """The terms without their factors."""
        annotated, counts = target.annotated, target.counts
        rotations, betas, transl = bodies.rotations.float(), bodies.betas.float(), bodies.transl.float()
        people = len(betas)

        def mean(name: str, prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
            return ((prediction - target).abs() * weight).sum() / counts[name].clamp(min=1)

        terms = {}
        if target.positions is not None:
            position, positions = prediction.position.float(), target.positions
            terms["joint_img"] = mean("joint_img", position, positions.joint_img, positions.joint_img_weights)
            terms["smpl_joint_img"] = mean(
                "smpl_joint_img", position, positions.smpl_joint_img, positions.smpl_joint_img_weights
            )
        has_pose = annotated.has_pose.to(rotations.dtype)[:, None, None]
        if self.units.faithful:
            rotvec = ops.matrix_to_rotvec(rotations)
            terms["smpl_pose"] = mean("smpl_pose", rotvec, ops.matrix_to_rotvec(annotated.rotations), has_pose)
            transl = torch.cat((transl[:, :2], transl[:, 2:] + DEPTH_GUARD), 1)
        else:
            terms["smpl_pose"] = mean("smpl_pose", rotations, annotated.rotations, has_pose[..., None])
        has_betas = annotated.has_betas.to(betas.dtype)[:, None]
        terms["smpl_shape"] = mean("smpl_shape", betas, annotated.betas, has_betas)

        focal, center = bodies.focal.float() / self.units.stride, self.units.to_bins(bodies.center.float())
        loss = ops.keypoint_loss(
            rotations,
            betas,
            transl,
            self.plan.terms,
            focal=focal.expand(people, 2),
            center=center.expand(people, 2),
            keypoints=target.keypoints,
            weights=target.keypoint_weights,
            latent=None if bodies.latent is None else bodies.latent.float(),
        )
        # the op divides by the valid coordinates
        valid = 2 * (target.keypoint_weights > 0).sum()
        terms["joint_proj"] = loss.data * (valid / counts["joint_proj"].clamp(min=1))
        if bodies.latent is not None:
            terms["latent"] = loss.latent * (people / counts["latent"])
        terms["betas"] = loss.betas * (people / counts["betas"])

        landmarks = ops.landmarks(rotations, betas, None, self.plan.terms)
        from_root = landmarks - take_row(landmarks, target.root)
        terms["joint_cam"] = mean("joint_cam", from_root, annotated.joints_3d, annotated.joints_3d_weights[..., None])
        root, first = self.supervision.base_root, target.smpl_joint_cam.shape[1]
        of_first = landmarks[:, :first] - landmarks[:, root : root + 1]
        terms["smpl_joint_cam"] = mean(
            "smpl_joint_cam", of_first, target.smpl_joint_cam, target.smpl_weights[:, None, None]
        )
        return terms

    def _counts(self, target: LossTargets) -> dict[str, Tensor]:
        annotated = target.annotated
        people, first = target.smpl_joint_cam.shape[:2]
        joints, betas = annotated.rotations.shape[1], annotated.betas.shape[1]
        zero = target.keypoints.new_zeros(())

        def of(every: int, valid: Tensor) -> Tensor:
            return zero + every if self.units.faithful else zero + valid

        counts = {
            "smpl_pose": of(people * 3 * joints, 9 * joints * annotated.has_pose.sum()),
            "smpl_shape": of(people * betas, betas * annotated.has_betas.sum()),
            "joint_proj": of(people * first * 2, 2 * (target.keypoint_weights > 0).sum()),
            "joint_cam": of(people * first * 3, 3 * (annotated.joints_3d_weights > 0).sum()),
            "smpl_joint_cam": of(people * first * 3, 3 * first * target.smpl_weights.sum()),
            "latent": zero + people,
            "betas": zero + people,
        }
        if target.positions is not None:
            every = target.positions.joint_img.numel()
            for name in ("joint_img", "smpl_joint_img"):
                counts[name] = of(every, (getattr(target.positions, f"{name}_weights") > 0).sum())
        return counts


def _take(points: Tensor, rows: Tensor) -> Tensor:
    """(B, P, D): the points of (B, K, D) at rows (B, P)."""
    return points.gather(1, rows[..., None].expand(*rows.shape, points.shape[-1]))


@lru_cache(maxsize=64)
def _base_position(supervision: Supervision, device: torch.device) -> Tensor:
    return torch.from_numpy(supervision.base_position).to(device)
