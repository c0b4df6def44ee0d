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
from ..priors import BODY_JOINTS, VPoser
from ..priors.limits import LIMITS
from .adam import adam
from .problem import BODY_HEIGHT, BODY_PIXELS, WITHOUT_PRIOR, Problem, State, Weights
from .starts import Starts, orientations, rigid_starts

Solver = Callable[..., State]
"""``solver(problem, state, steps=, rigid=) -> state``; with `rigid` only orientation and place may move."""

RIGID_SHARE = 0.3
"""Steps of the first stage, as a share of those of the second."""

ARMS_DOWN = 1.2
"""Radians that the shoulders turn from the T-pose in the standing body of fits without a prior."""


class FitResult(NamedTuple):
    """Bodies of N people in the camera frame. Where `valid` is False the numbers mean nothing."""

    global_orient: Tensor
    """(N, 3) rotation vectors, radians."""
    body_pose: Tensor
    """(N, 3 (J - 1)) rotation vectors, radians."""
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
    """(N,): loss of the second best start minus this one; near 0 where two starts end alike, infinite with one start."""
    valid: Tensor
    """(N,) bool: the person has keypoints and all numbers are finite."""

    def __repr__(self) -> str:
        parts = [f"{k}={None if v is None else tuple(v.shape)}" for k, v in self._asdict().items()]
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

    A standing body is placed in closed form, facing `starts` ways round; orientation and place are fitted; the best `keep` of them are fitted with
    pose and shape, and the best one is returned. People do not influence each other, so neither the batch nor its order changes a result beyond rounding.

    Args:
        keypoints: (N, K, 3) x, y in pixels and confidence in [0, 1]; 0 leaves a keypoint out, its place may be NaN.
        camera: perspective, of the same pixels; focal and center (N, 2) or (2,).
        body: has SMPL's 24 joints; device and dtype are those of `keypoints`.
        prior: the pose is sought in its latent; None seeks rotation vectors about a standing pose.
        landmarks: the body's K landmarks, a plan or the name of a set.
        steps: of the second stage; the first takes 0.3 times as many.
        starts: number of first orientations.
        keep: how many of them the second stage takes up.
        weights: of the loss; None takes the defaults, with joint limits where there is no prior.
        solver: the optimiser of both stages.

    Returns:
        FitResult.

    Raises:
        ValueError: shapes, devices or options that do not fit together.
    """
    if isinstance(landmarks, str):
        landmarks = body.landmarks(landmarks)
    _check(keypoints, camera, landmarks, steps, starts, keep)
    if weights is None:
        weights = WITHOUT_PRIOR if prior is None else Weights()
    people = len(keypoints)
    confidence = torch.where(keypoints[..., :2].isfinite().all(-1), keypoints[..., 2], 0.0)
    keypoints = torch.cat((keypoints[..., :2].nan_to_num(0, 0, 0), confidence[..., None]), -1)
    focal, center = (value.to(keypoints).expand(people, 2) for value in (camera.focal, camera.center))
    decoder = None if prior is None else prior.terms.to(device=keypoints.device, dtype=keypoints.dtype)
    joints = standing_pose(keypoints, decoder, landmarks.terms.num_joints)
    yaws = torch.arange(starts, dtype=keypoints.dtype, device=keypoints.device) * (2 * math.pi / starts)
    upright = torch.cat((torch.eye(3).to(joints)[None], joints))
    points = ops.landmarks(upright[None], None, None, landmarks.terms)[0]
    first = rigid_starts(points, landmarks.names, keypoints, focal, center, orientations(yaws, torch.zeros_like(yaws)))
    problem = _problem(keypoints, focal, center, first, landmarks, decoder, joints, weights)

    state = solver(problem, problem.origin(), steps=round(RIGID_SHARE * steps), rigid=True)
    problem, state, _ = _best(problem, state, starts, min(keep, starts))
    state = solver(problem, state, steps=steps, rigid=False)
    problem, state, losses = _best(problem, state, min(keep, starts), 1)
    with torch.no_grad():
        pose, transl = problem.body(state)
        rotvec = ops.matrix_to_rotvec(pose)
        points = ops.landmarks(pose, state.betas, transl, landmarks.terms)
        projected = ops.project(points, focal, center)
    loss = losses[:, 0]
    margin = losses[:, 1] - loss if losses.shape[1] > 1 else torch.full_like(loss, math.inf)
    sound = torch.stack(
        [value.flatten(1).isfinite().all(1) for value in (rotvec, transl, projected, loss[:, None], *state)]
    )
    return FitResult(
        global_orient=rotvec[:, 0],
        body_pose=rotvec[:, 1:].flatten(1),
        betas=state.betas,
        transl=transl,
        latent=None if prior is None else state.pose,
        landmarks=points,
        projected=projected,
        loss=loss,
        margin=margin,
        valid=sound.all(0) & (confidence > 0).any(1),
    )


def standing_pose(like: Tensor, decoder, joints: int) -> Tensor:
    """(J - 1, 3, 3): the prior's mean pose, or the T-pose with lowered arms."""
    rotvec = like.new_zeros(joints - 1, 3)
    if decoder is None:
        rotvec[BODY_JOINTS.index("left_shoulder"), 2] = -ARMS_DOWN
        rotvec[BODY_JOINTS.index("right_shoulder"), 2] = ARMS_DOWN
        return ops.rotvec_to_matrix(rotvec)
    decoded = ops.vposer_decode(like.new_zeros(decoder.num_latents), decoder)
    return torch.cat((decoded, ops.rotvec_to_matrix(rotvec[len(decoded) :])))


def flexibility(like: Tensor) -> Tensor:
    """(69,) radians: a quarter of each joint's range about each axis, so that stiff joints turn little."""
    low, high = like.new_tensor(LIMITS).unbind(-1)
    return ((high - low) / 4).clamp(min=0.02).flatten()


def _problem(
    keypoints: Tensor,
    focal: Tensor,
    center: Tensor,
    first: Starts,
    landmarks: LandmarkPlan,
    decoder,
    joints: Tensor,
    weights: Weights,
) -> Problem:
    """All starts of all people as one batch, starts of a person side by side."""
    count = first.residual.shape[1]
    nearest = first.transl[..., 2].amin(1, keepdim=True)
    scale = BODY_PIXELS / (BODY_HEIGHT * focal.mean(-1, keepdim=True) / nearest)
    seen = (keypoints[..., 2:] > 0).to(keypoints)
    middle = (keypoints[..., :2] * seen).sum(1) / seen.sum(1).clamp(min=1)

    def each_start(value: Tensor) -> Tensor:
        return value.repeat_interleave(count, 0)

    return Problem(
        terms=landmarks.terms,
        decoder=decoder,
        joints=joints,
        flex=flexibility(keypoints),
        weights=weights,
        keypoints=each_start((keypoints[..., :2] - middle[:, None]) * scale[:, None]),
        confidence=each_start(keypoints[..., 2].square()),
        focal=each_start(focal * scale),
        center=each_start((center - middle) * scale),
        orient=first.orient.flatten(0, 1),
        start=first.transl.flatten(0, 1),
    )


def _best(problem: Problem, state: State, count: int, keep: int) -> tuple[Problem, State, Tensor]:
    """The `keep` starts of least loss out of each person's `count`, and all losses (N, count) in rising order."""
    with torch.no_grad():
        loss = problem.loss(state).view(-1, count).nan_to_num(nan=math.inf, posinf=math.inf)
    losses, order = loss.sort(dim=1, stable=True)
    rows = (order[:, :keep] + count * torch.arange(len(order), device=order.device)[:, None]).flatten()
    return problem.rows(rows), State(*(value[rows] for value in state)), losses


def _check(keypoints: Tensor, camera: Camera, landmarks: LandmarkPlan, steps: int, starts: int, keep: int) -> None:
    count = len(landmarks.names)
    if keypoints.dim() != 3 or keypoints.shape[1:] != (count, 3) or not keypoints.is_floating_point():
        raise ValueError(
            f"keypoints: wanted floating (N, {count}, 3) for this plan's landmarks, got {tuple(keypoints.shape)} {keypoints.dtype}"
        )
    terms = landmarks.terms
    if (terms.device, terms.dtype) != (keypoints.device, keypoints.dtype):
        raise ValueError(
            f"landmarks: wanted the keypoints' {keypoints.dtype} on {keypoints.device}, got {terms.dtype} on {terms.device}; "
            "call landmarks.to(device=keypoints.device, dtype=keypoints.dtype)"
        )
    if terms.num_joints != 24:
        raise ValueError(f"landmarks: wanted a body with SMPL's 24 joints, got {terms.num_joints}")
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
