"""What is optimised: the unknowns of each person and their loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import ops
from ..priors import limit_violation
from ..reference import DecoderTerms, LandmarkTerms

BODY_PIXELS = 256.0
"""Losses are computed in pictures scaled so that a body of BODY_HEIGHT at its first depth spans this many pixels: near and far people weigh the same."""

BODY_HEIGHT = 1.7
"""Metres."""


class State(NamedTuple):
    """Unknowns of B people."""

    turn: Tensor
    """(B, 3): rotation vector in radians, from the body's first orientation, in the body's frame."""
    pose: Tensor
    """(B, 32) latent of the prior, or (B, 3 (J - 1)) rotation vectors of the joints after the root, away from the standing pose, in units of `Problem.flex`."""
    betas: Tensor
    """(B, S)."""
    place: Tensor
    """(B, 3): sideways and downward shift in metres at the first depth, and log of depth over the first depth."""

    def __repr__(self) -> str:
        return f"State({', '.join(f'{k}={tuple(v.shape)}' for k, v in self._asdict().items())})"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights of the loss; the 2D term is the mean over 2 K coordinates of weight * rho(residual) in body-scaled pixels."""

    sigma: float = 40.0
    """Scale of Geman-McClure, in body-scaled pixels (1.7 m are 256)."""
    pose: float = 6.0
    """Of mean(z^2), or of the mean square of rotation vectors in quarters of their joints' ranges."""
    betas: float = 5.0
    """Of mean(betas^2)."""
    limits: float = 0.0
    """Of the mean squared excess over the joint limits, radians; 0 leaves it out. A prior's latent hardly needs it, rotation vectors do."""
    upright: float = 8.0
    """Of the square of the sine of the pelvis' tilt towards or away from the camera, which keypoints hardly show; 0 leaves it out."""


EACH_PERSON = ("keypoints", "confidence", "focal", "center", "orient", "start")
"""Fields of a problem that have one row a person."""

WITHOUT_PRIOR = Weights(pose=40.0, limits=300.0)
"""Weights of fits that seek rotation vectors."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Problem:
    """Constants of B people's fits: the camera and keypoints in body-scaled pixels, the starts and the weights."""

    terms: LandmarkTerms
    decoder: DecoderTerms | None
    keypoints: Tensor
    """(B, K, 2) body-scaled pixels."""
    confidence: Tensor
    """(B, K): weights of the 2D term, confidence squared."""
    focal: Tensor
    """(B, 2) body-scaled pixels."""
    center: Tensor
    """(B, 2) body-scaled pixels."""
    joints: Tensor
    """(J - 1, 3, 3): standing pose. Rotation vectors turn away from it; joints that the prior leaves out keep it."""
    flex: Tensor
    """(3 (J - 1),): radians of one unit of a rotation vector in the state."""
    orient: Tensor
    """(B, 3, 3): first orientation of the root, camera frame."""
    start: Tensor
    """(B, 3): first translation, metres, camera frame."""
    weights: Weights = Weights()

    @property
    def people(self) -> int:
        return len(self.keypoints)

    def rows(self, index: Tensor) -> Problem:
        """The people of `index` (indices or mask)."""
        chosen: dict[str, Any] = {name: getattr(self, name)[index] for name in EACH_PERSON}
        return replace(self, **chosen)

    def origin(self) -> State:
        """The start itself: zero everywhere."""
        new = self.start.new_zeros
        size = 3 * (self.terms.num_joints - 1) if self.decoder is None else self.decoder.num_latents
        return State(*(new(self.people, n) for n in (3, size, self.terms.num_betas, 3)))

    def turned_joints(self, pose: Tensor) -> Tensor:
        """Local rotations (B, J - 1, 3, 3) of the joints after the root."""
        if self.decoder is None:
            return self.joints @ ops.rotvec_to_matrix((pose * self.flex).unflatten(-1, (-1, 3)))
        decoded = ops.vposer_decode(pose, self.decoder)
        return torch.cat((decoded, self.joints[decoded.shape[1] :].expand(len(pose), -1, 3, 3)), 1)

    def body(self, state: State, joints: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Local rotations (B, J, 3, 3), the root's in the camera frame, and translation (B, 3) in metres; `joints` spares computing those of `state.pose`."""
        root = self.orient @ ops.rotvec_to_matrix(state.turn)
        if joints is None:
            joints = self.turned_joints(state.pose)
        depth = self.start[:, 2:] * state.place[:, 2:].exp()
        sideways = (self.start[:, :2] + state.place[:, :2]) / self.start[:, 2:] * depth
        return torch.cat((root[:, None], joints), 1), torch.cat((sideways, depth), -1)

    def loss(self, state: State, joints: Tensor | None = None) -> Tensor:
        """(B,): total loss of each person; `joints` as in `body`."""
        w = self.weights
        pose, transl = self.body(state, joints)
        # keypoint_loss divides by the entries that count; a person with few must lean on the prior, so that is undone
        labelled = (self.confidence > 0).sum(-1, keepdim=True) / self.confidence.shape[-1]
        total = ops.keypoint_loss(
            pose,
            state.betas,
            transl,
            self.terms,
            focal=self.focal,
            center=self.center,
            keypoints=self.keypoints,
            weights=self.confidence * labelled,
            loss="geman_mcclure",
            sigma=w.sigma,
            latent=state.pose,
            latent_weight=w.pose,
            betas_weight=w.betas,
            reduction="none",
        ).total
        if w.limits > 0:
            excess = limit_violation(ops.matrix_to_rotvec(pose[:, 1:22]))
            total = total + w.limits * excess.square().mean(-1)
        if w.upright > 0:
            total = total + w.upright * pose[:, 0, 2, 1].square()
        return total
