"""The losses of the annotation network (Pose2Pose, CVPRW 2022, with NeuralAnnot's regularisers); docs/losses.md."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .. import ops, skeletons
from .._errors import PgtfastError
from ..body import LandmarkPlan
from ..loading import Batch, Supervision
from ..loading.targets import Targets, points_in_crop, take_row, vectors_in_crop
from ..networks import Bodies, NetworkConfig, Prediction

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


class LossTargets(NamedTuple):
    """What the network's output is compared with, in the losses' units. Weights are 0 where nothing is known."""

    joint_img: Tensor
    """(B, P, 3): x, y, z in heatmap bins."""
    joint_img_weights: Tensor
    """(B, P, 3)."""
    smpl_joint_img: Tensor
    """(B, P, 3)."""
    smpl_joint_img_weights: Tensor
    """(B, P, 3)."""
    keypoints: Tensor
    """(B, K, 2) heatmap bins."""
    keypoint_weights: Tensor
    """(B, K)."""
    smpl_joint_cam: Tensor
    """(B, K1, 3) metres from the pelvis: landmarks of the supervision's first set."""
    smpl_weights: Tensor
    """(B,): 1 where both pose and shape are known."""
    counts: dict[str, Tensor]
    """Denominator of each term, (), float32; of a batch that holds nothing of a kind it may be 0."""

    def rows(self, index: Tensor | slice) -> LossTargets:
        """The people of `index`; denominators stay those of the whole, so that the terms of parts add up to the term of
        the whole."""
        chosen = {name: value[index] for name, value in self._asdict().items() if name != "counts"}
        return LossTargets(**chosen, counts=self.counts)


def annotator_loss(
    prediction: Prediction,
    bodies: Bodies,
    batch: Batch,
    targets: Targets,
    plan: LandmarkPlan,
    supervision: Supervision,
    config: NetworkConfig,
    weights: LossWeights | None = None,
    prepared: LossTargets | None = None,
) -> dict[str, Tensor]:
    """Terms of the loss, each a weighted mean, and their sum `total`. In float32 whatever surrounds it; nothing waits
    for the device.

    Args:
        prediction: of the network.
        bodies: the same, placed in the crops' virtual camera.
        batch: B people.
        targets: of `crop_targets`.
        plan: ``supervision.plan(body)``.
        supervision: the K rows.
        config: of the network; "faithful" and "improved" differ as docs/losses.md says.
        weights: factors of the terms, None for the defaults.
        prepared: of `loss_targets`, where they are made already; with the denominators of a whole step, terms of its
            parts add up to those of the step.

    Returns:
        () each: joint_img, smpl_joint_img, smpl_pose, smpl_shape, joint_proj, joint_cam, smpl_joint_cam, betas, total,
        and latent for a network whose head is a prior's.
    """
    weights = weights or LossWeights()
    with torch.autocast(batch.image.device.type, enabled=False):
        known = loss_targets(batch, targets, plan, supervision, config) if prepared is None else prepared
        terms = _terms(prediction, bodies, batch, targets, plan, supervision, config, known)
        terms = {name: getattr(weights, name) * value for name, value in terms.items()}
        terms["total"] = torch.stack(list(terms.values())).sum()
    return terms


@torch.no_grad()
def loss_targets(
    batch: Batch, targets: Targets, plan: LandmarkPlan, supervision: Supervision, config: NetworkConfig
) -> LossTargets:
    """Everything in the losses that does not depend on the network."""
    improved = config.mode == "improved"
    first, root = len(skeletons.get(supervision.sets[0])), supervision.base_root
    bins = config.heatmap_size

    # annotated
    keypoints = to_bins(targets.keypoints, config)
    row = batch.position_row.clamp(min=0)
    has_row = (batch.position_row >= 0).to(keypoints.dtype)
    xy, depth = _take(keypoints, row), _take(targets.joints_3d, row)[..., 2:]
    weight_2d = has_row * targets.weights.gather(1, row)
    weight_3d = has_row * targets.joints_3d_weights.gather(1, row)
    joint_img = torch.cat((xy, depth_to_bins(depth, config)), -1)
    within = _within(joint_img, bins, weight_3d > 0) & (weight_2d > 0)
    joint_img_weights = torch.stack((weight_2d, weight_2d, weight_3d), -1) * within[..., None]
    # the body is projected wherever it lies, but Pose2Pose leaves out here, too, what the heatmaps cannot hold
    everywhere = torch.cat((keypoints, depth_to_bins(targets.joints_3d[..., 2:], config)), -1)
    in_maps = _within(everywhere, bins, targets.joints_3d_weights > 0)
    keypoint_weights = targets.weights if improved else targets.weights * in_maps

    # of the annotated body parameters
    smpl_weights = (targets.has_pose & targets.has_betas).to(keypoints.dtype)
    landmarks = ops.landmarks(batch.pose, batch.betas, None, plan.terms)
    joints = vectors_in_crop(landmarks - landmarks[:, root : root + 1], batch, supervision)[:, :first]
    base = _base_position(supervision, keypoints.device)
    depth = depth_to_bins(joints.index_select(1, base)[..., 2:], config)
    if batch.transl is None or batch.intrinsics is None:
        projected = keypoints.new_zeros(*depth.shape[:-1], 2)
        placed = torch.zeros_like(smpl_weights)
    else:
        focal, center = batch.intrinsics.split(2, -1)
        in_image = ops.project(landmarks + batch.transl[:, None], focal, center)
        projected = to_bins(points_in_crop(in_image, batch, supervision), config).index_select(1, base)
        placed = smpl_weights * (focal > 0).all(-1) * (batch.transl[:, 2] > 0)
    smpl_joint_img = torch.cat((projected, depth), -1)
    is_placed = placed[:, None] > 0
    # without a camera only the depth is known
    within = torch.where(
        is_placed, _within(smpl_joint_img, bins, is_placed), (depth[..., 0] >= 0) & (depth[..., 0] < bins[2])
    )
    smpl_joint_img_weights = torch.stack((placed, placed, smpl_weights), -1)[:, None] * within[..., None]

    known = LossTargets(
        joint_img,
        joint_img_weights,
        smpl_joint_img,
        smpl_joint_img_weights,
        keypoints,
        keypoint_weights,
        joints,
        smpl_weights,
        {},
    )
    return known._replace(counts=_counts(known, targets, improved))


def _terms(
    prediction: Prediction, bodies: Bodies, batch: Batch, targets: Targets, plan: LandmarkPlan,
    supervision: Supervision, config: NetworkConfig,
    known: LossTargets,
) -> dict[str, Tensor]:  # fmt: skip
    """The terms without their factors."""
    improved = config.mode == "improved"
    position, rotations, betas = prediction.position.float(), bodies.rotations.float(), bodies.betas.float()
    counts = known.counts
    people = len(position)

    def mean(name: str, prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        return ((prediction - target).abs() * weight).sum() / counts[name].clamp(min=1)

    terms = {
        "joint_img": mean("joint_img", position, known.joint_img, known.joint_img_weights),
        "smpl_joint_img": mean("smpl_joint_img", position, known.smpl_joint_img, known.smpl_joint_img_weights),
    }
    has_pose = targets.has_pose.to(rotations.dtype)
    if improved:
        terms["smpl_pose"] = mean("smpl_pose", rotations, targets.rotations, has_pose[:, None, None, None])
    else:
        rotvec, target = ops.matrix_to_rotvec(rotations), ops.matrix_to_rotvec(targets.rotations)
        terms["smpl_pose"] = mean("smpl_pose", rotvec, target, has_pose[:, None, None])
    terms["smpl_shape"] = mean("smpl_shape", betas, targets.betas, targets.has_betas.to(betas.dtype)[:, None])

    transl = bodies.transl.float()
    if not improved:
        transl = torch.cat((transl[:, :2], transl[:, 2:] + DEPTH_GUARD), 1)
    focal, center = camera_in_bins(bodies, config)
    loss = ops.keypoint_loss(
        rotations,
        betas,
        transl,
        plan.terms,
        focal=focal.expand(people, 2),
        center=center.expand(people, 2),
        keypoints=known.keypoints,
        weights=known.keypoint_weights,
        latent=None if bodies.latent is None else bodies.latent.float(),
    )
    # the op divides by the valid coordinates
    valid = 2 * (known.keypoint_weights > 0).sum()
    terms["joint_proj"] = loss.data * (valid / counts["joint_proj"].clamp(min=1))
    if bodies.latent is not None:
        terms["latent"] = loss.latent * (people / counts["latent"])
    terms["betas"] = loss.betas * (people / counts["betas"])

    landmarks = ops.landmarks(rotations, betas, None, plan.terms)
    own = landmarks - take_row(landmarks, batch.root.clamp(min=0))
    terms["joint_cam"] = mean("joint_cam", own, targets.joints_3d, targets.joints_3d_weights[..., None])
    root, first = supervision.base_root, known.smpl_joint_cam.shape[1]
    of_first = landmarks[:, :first] - landmarks[:, root : root + 1]
    terms["smpl_joint_cam"] = mean("smpl_joint_cam", of_first, known.smpl_joint_cam, known.smpl_weights[:, None, None])
    return terms


def _counts(known: LossTargets, targets: Targets, improved: bool) -> dict[str, Tensor]:
    people, first = known.smpl_joint_cam.shape[:2]
    joints = targets.rotations.shape[1]
    positions = known.joint_img.shape[1]
    zero = known.keypoints.new_zeros(())

    def of(every: int, valid: Tensor) -> Tensor:
        return valid if improved else zero + every

    whole = zero + people
    return {
        "joint_img": of(people * positions * 3, (known.joint_img_weights > 0).sum() + zero),
        "smpl_joint_img": of(people * positions * 3, (known.smpl_joint_img_weights > 0).sum() + zero),
        "smpl_pose": of(people * 3 * joints, 9 * joints * targets.has_pose.sum() + zero),
        "smpl_shape": of(people * targets.betas.shape[1], targets.betas.shape[1] * targets.has_betas.sum() + zero),
        "joint_proj": of(people * first * 2, 2 * (known.keypoint_weights > 0).sum() + zero),
        "joint_cam": of(people * first * 3, 3 * (targets.joints_3d_weights > 0).sum() + zero),
        "smpl_joint_cam": of(people * first * 3, 3 * first * known.smpl_weights.sum()),
        "latent": whole,
        "betas": whole,
    }


def to_bins(pixels: Tensor, config: NetworkConfig) -> Tensor:
    """Crop pixels (..., 2), the centre of the first at 0, in heatmap bins.

    Convention:
        improved: bin i covers [i, i + 1), so that the crop, -0.5 to W - 0.5, becomes 0 to w. faithful: u / W * w.
    """
    shift = 0.5 if config.mode == "improved" else 0.0
    return (pixels + shift) / config.output_stride


def depth_to_bins(depth: Tensor, config: NetworkConfig) -> Tensor:
    """Metres behind the pelvis in depth bins; the pelvis is at D / 2."""
    return (depth / (BOX_DEPTH / 2) + 1) / 2 * config.depth_bins


def camera_in_bins(bodies: Bodies, config: NetworkConfig) -> tuple[Tensor, Tensor]:
    """Focal length and principal point of the virtual camera, each (2,), in heatmap bins."""
    return bodies.focal.float() / config.output_stride, to_bins(bodies.center.float(), config)


def _within(points: Tensor, bins: tuple[int, int, int], depth_known: Tensor) -> Tensor:
    """(B, P) bool: whether heatmaps of that many bins can hold points (B, P, 3); an unknown depth can be held."""
    x, y, z = points.unbind(-1)
    flat = (x >= 0) & (x < bins[0]) & (y >= 0) & (y < bins[1])
    return flat & ((z >= 0) & (z < bins[2]) | ~depth_known)


def _take(points: Tensor, rows: Tensor) -> Tensor:
    """(B, P, D): the points of (B, K, D) at rows (B, P)."""
    return points.gather(1, rows[..., None].expand(*rows.shape, points.shape[-1]))


@lru_cache(maxsize=64)
def _base_position(supervision: Supervision, device: torch.device) -> Tensor:
    return torch.from_numpy(supervision.base_position).to(device)
