"""Batched SMPLify: 2D keypoints in, bodies out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .. import ops
from ..body import BodyModel, LandmarkPlan
from ..cameras import Camera
from ..people import LAYOUTS, BodyLayout, layout_of
from ..priors import BODY_JOINTS, VPoser
from ..priors.limits import LIMITS
from ..reference import DecoderTerms
from .adam import adam
from .problem import WITHOUT_PRIOR, Problem, State, Weights, body_scaled
from .starts import Starts, orientations, rigid_starts

Solver = Callable[..., State]
"""``solver(problem, state, steps=, rigid=) -> state``; with `rigid` only orientation and translation may move."""

RIGID_FRACTION = 0.3
"""Steps of the first stage, as a fraction of those of the second."""

ARMS_DOWN = 1.2
"""Radians that the shoulders turn from the T-pose in the standing body of fits without a prior."""


class FitResult(NamedTuple):
    """Bodies of N people in the camera frame. Where `valid` is False the numbers mean nothing."""

    global_orient: Tensor
    """(N, 3) rotation vectors, radians."""
    body_pose: Tensor
    """(N, 3 B) rotation vectors, radians: of SMPL's 23 joints after the root, of the 21 of bodies with hands of their
    own."""
    betas: Tensor
    """(N, S)."""
    transl: Tensor
    """(N, 3) metres."""
    latent: Tensor | None
    """(N, 32) of the prior, or None without one."""
    landmarks: Tensor
    """(N, K, 3) metres."""
    projected: Tensor
    """(N, K, 2) pixels."""
    loss: Tensor
    """(N,): total of the start that was kept."""
    margin: Tensor
    """(N,): loss of the second best start minus this one; near 0 where two starts end alike, infinite with one
    start."""
    valid: Tensor
    """(N,) bool: the person has keypoints and all numbers are finite."""
    hands_and_face: dict[str, Tensor]
    """Rotation vectors (N, width) of the body's other joints by keyword: hands at the model's mean, jaw and eyes at
    rest; empty for SMPL."""

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Keywords of a call of the body."""
        names = ("global_orient", "body_pose", "betas", "transl")
        return {name: getattr(self, name) for name in names} | self.hands_and_face

    def __repr__(self) -> str:
        values = {k: v for k, v in self._asdict().items() if k != "hands_and_face"} | self.hands_and_face
        parts = [f"{k}={None if v is None else tuple(v.shape)}" for k, v in values.items()]
        return f"FitResult({', '.join(parts)})"


def fit_keypoints(
    *,
    keypoints: Tensor,
    camera: Camera,
    body: BodyModel,
    prior: VPoser | None = None,
    landmarks: LandmarkPlan | str = "coco17",
    steps: int = 100,
    starts: int = 6,
    keep: int = 3,
    weights: Weights | None = None,
    solver: Solver = adam,
) -> FitResult:
    """Fit a body to each person's keypoints, all people at once.

    A standing body is put in closed form in front of the camera, in each of `starts` directions; orientation and
    translation are fitted; the best `keep` of them are fitted with pose and shape, and the best one is returned. People
    do not influence each other, so neither the batch nor its order changes a result beyond rounding.

    Args:
        keypoints: (N, K, 3) x, y in pixels and confidence in [0, 1]; 0 drops a keypoint, its coordinates may be NaN.
        camera: perspective, of the same pixels; focal and center (N, 2) or (2,).
        body: of a kind with a body pose: SMPL, SMPL-H, SMPL-X or the free body; device and dtype are those of
            `keypoints`. Fingers and face stay at their mean.
        prior: the pose is sought in its latent; None seeks rotation vectors about a standing pose.
        landmarks: the body's K landmarks, a plan or the name of a set.
        steps: of the second stage; the first takes 0.3 times as many.
        starts: number of first orientations.
        keep: how many of them the second stage continues.
        weights: of the loss; None takes the defaults, with joint limits where there is no prior.
        solver: the optimiser of both stages.

    Returns:
        FitResult.

    Raises:
        ValueError: shapes, devices or options that do not fit together, or a body without a body pose.
    """
    layout = fitted_layout(body)
    if isinstance(landmarks, str):
        landmarks = body.landmarks(landmarks)
    _check(keypoints, camera, landmarks, layout, steps, starts, keep)
    if weights is None:
        weights = WITHOUT_PRIOR if prior is None else Weights()
    people = len(keypoints)
    confidence = torch.where(keypoints[..., :2].isfinite().all(-1), keypoints[..., 2], 0.0)
    keypoints = torch.cat((keypoints[..., :2].nan_to_num(0, 0, 0), confidence[..., None]), -1)
    focal, center = (value.to(keypoints).expand(people, 2) for value in (camera.focal, camera.center))
    decoder = None if prior is None else prior.terms.to(device=keypoints.device, dtype=keypoints.dtype)
    joints = standing_pose(keypoints, decoder, body, layout)
    yaws = torch.arange(starts, dtype=keypoints.dtype, device=keypoints.device) * (2 * math.pi / starts)
    upright = torch.cat((torch.eye(3).to(joints)[None], joints))
    points = ops.landmarks(upright[None], None, None, landmarks.terms)[0]
    first = rigid_starts(points, landmarks.names, keypoints, focal, center, orientations(yaws, torch.zeros_like(yaws)))
    problem = _problem(keypoints, focal, center, first, landmarks, decoder, joints, weights, layout, body.num_betas)

    state = solver(problem, problem.origin(), steps=round(RIGID_FRACTION * steps), rigid=True)
    problem, state, _ = _best(problem, state, starts, min(keep, starts))
    state = solver(problem, state, steps=steps, rigid=False)
    problem, state, losses = _best(problem, state, min(keep, starts), 1)
    with torch.no_grad():
        pose, transl = problem.body(state)
        rotvec = ops.matrix_to_rotvec(pose)
        points = ops.landmarks(pose, problem.padded(state.betas), transl, landmarks.terms)
        projected = ops.project(points, focal, center)
    loss = losses[:, 0]
    margin = losses[:, 1] - loss if losses.shape[1] > 1 else torch.full_like(loss, math.inf)
    finite = torch.stack(
        [value.flatten(1).isfinite().all(1) for value in (rotvec, transl, projected, loss[:, None], *state)]
    )
    whole = rotvec.flatten(1)
    parts = {name: whole[:, part] for name, part in layout.slices.items()}
    global_orient, body_pose = parts.pop("global_orient"), parts.pop("body_pose")
    if not body.flat_hand_mean:
        parts |= {name: torch.zeros_like(parts[name]) for name in body.hands_mean}
    return FitResult(
        global_orient=global_orient,
        body_pose=body_pose,
        betas=state.betas,
        transl=transl,
        latent=None if prior is None else state.pose,
        landmarks=points,
        projected=projected,
        loss=loss,
        margin=margin,
        valid=finite.all(0) & (confidence > 0).any(1),
        hands_and_face=parts,
    )


def fitted_layout(body: BodyModel) -> BodyLayout:
    """The layout of a body that can be fitted to the keypoints of a person.

    Raises:
        ValueError: a hand, or a body of a kind that is not known.
    """
    layout = layout_of(body.kind)
    if "body_pose" not in layout.rotations:
        kinds = ", ".join(name for name, other in LAYOUTS.items() if "body_pose" in other.rotations)
        raise ValueError(f"body: {body.kind!r} has no body pose; wanted one of {kinds}")
    return layout


def standing_pose(like: Tensor, decoder: DecoderTerms | None, body: BodyModel, layout: BodyLayout) -> Tensor:
    """(J - 1, 3, 3): the prior's mean pose, or the T-pose with lowered arms; hands at their mean, the face at rest."""
    rotvec = like.new_zeros(layout.num_joints, 3)
    for name, mean in body.hands_mean.items():
        rotvec.view(-1)[layout.slices[name]] = torch.as_tensor(mean.ravel()).to(like)
    rotvec = rotvec[1:]
    if decoder is None:
        rotvec[BODY_JOINTS.index("left_shoulder"), 2] = -ARMS_DOWN
        rotvec[BODY_JOINTS.index("right_shoulder"), 2] = ARMS_DOWN
        return ops.rotvec_to_matrix(rotvec)
    decoded = ops.vposer_decode(like.new_zeros(decoder.num_latents), decoder)
    return torch.cat((decoded, ops.rotvec_to_matrix(rotvec[len(decoded) :])))


def flexibility(like: Tensor, joints: int) -> Tensor:
    """(3 joints,) radians: a quarter of each joint's range about each axis, so that stiff joints turn little."""
    low, high = like.new_tensor(LIMITS[:joints]).unbind(-1)
    return ((high - low) / 4).clamp(min=0.02).flatten()


def _problem(
    keypoints: Tensor,
    focal: Tensor,
    center: Tensor,
    first: Starts,
    landmarks: LandmarkPlan,
    decoder: DecoderTerms | None,
    joints: Tensor,
    weights: Weights,
    layout: BodyLayout,
    num_betas: int,
) -> Problem:
    """All starts of all people as one batch, starts of a person side by side."""
    count = first.residual.shape[1]
    scaled = body_scaled(keypoints, focal, center, first.transl[..., 2].amin(1, keepdim=True))
    # keypoint_loss divides by the entries that count; a person with few must lean on the prior, so that is undone
    labelled = (keypoints[..., 2] > 0).to(keypoints).mean(-1, keepdim=True)

    def each_start(value: Tensor) -> Tensor:
        return value.repeat_interleave(count, 0)

    return Problem(
        terms=landmarks.terms,
        decoder=decoder,
        num_betas=num_betas,
        joints=joints,
        flex=flexibility(keypoints, layout.body_joints),
        weights=weights,
        keypoints=each_start(scaled.keypoints),
        confidence=each_start(keypoints[..., 2].square() * labelled),
        focal=each_start(scaled.focal),
        center=each_start(scaled.center),
        orient=first.orient.flatten(0, 1),
        transl=first.transl.flatten(0, 1),
    )


def _best(problem: Problem, state: State, count: int, keep: int) -> tuple[Problem, State, Tensor]:
    """The `keep` starts of least loss out of each person's `count`, and all losses (N, count) in rising order."""
    with torch.no_grad():
        loss = problem.loss(state).view(-1, count).nan_to_num(nan=math.inf, posinf=math.inf)
    losses, order = loss.sort(dim=1, stable=True)
    rows = (order[:, :keep] + count * torch.arange(len(order), device=order.device)[:, None]).flatten()
    return problem.rows(rows), State(*(value[rows] for value in state)), losses


def _check(
    keypoints: Tensor, camera: Camera, landmarks: LandmarkPlan, layout: BodyLayout, steps: int, starts: int, keep: int
) -> None:
    count = len(landmarks.names)
    if keypoints.dim() != 3 or keypoints.shape[1:] != (count, 3) or not keypoints.is_floating_point():
        raise ValueError(
            f"keypoints: wanted floating (N, {count}, 3) for this plan's landmarks, "
            f"got {tuple(keypoints.shape)} {keypoints.dtype}"
        )
    terms = landmarks.terms
    if (terms.device, terms.dtype) != (keypoints.device, keypoints.dtype):
        raise ValueError(
            f"landmarks: wanted the keypoints' {keypoints.dtype} on {keypoints.device}, "
            f"got {terms.dtype} on {terms.device}; "
            "call landmarks.to(device=keypoints.device, dtype=keypoints.dtype)"
        )
    if terms.num_joints != layout.num_joints:
        raise ValueError(
            f"landmarks: wanted those of a {layout.kind!r} body of {layout.num_joints} joints, got {terms.num_joints}"
        )
    if landmarks.row_excess is not None:
        raise ValueError(
            "landmarks: wanted regressor rows that sum to one, as a set in the image must; divide each row by its sum"
        )
    if camera.model != "perspective":
        raise ValueError(f"camera: wanted model 'perspective', got {camera.model!r}; use camera.to_perspective")
    for name, value in (("focal", camera.focal), ("center", camera.center)):
        if value.shape not in ((2,), (len(keypoints), 2)):
            raise ValueError(f"camera.{name}: wanted (2,) or ({len(keypoints)}, 2), got {tuple(value.shape)}")
    for name, number in (("steps", steps), ("starts", starts), ("keep", keep)):
        if number < 1:
            raise ValueError(f"{name}: wanted at least 1, got {number}")
