"""What is optimised: the unknowns of each person and their loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import ops
from ..people import layout_of
from ..priors import limit_violation
from ..reference import DecoderTerms, LandmarkTerms

BODY_PIXELS = 256.0
"""Losses are computed in images scaled so that a body of BODY_HEIGHT at its first depth spans this many pixels: near
and far people weigh the same."""

BODY_HEIGHT = 1.7
"""Metres."""

SHARED_JOINTS = layout_of("smplh").body_joints
"""Joints after the root that bodies of all kinds have: those of SMPL but its two hand joints."""


class State(NamedTuple):
    """Unknowns of B people: how far each is from its first body."""

    orient: Tensor
    """(B, 3): rotation vector in radians, in the body's frame."""
    pose: Tensor
    """(B, L) change of the prior's latent, or (B, 3 M) rotation vectors of M joints after the root, in units of
    `Problem.flex`."""
    betas: Tensor
    """(B, S): change of the shape."""
    transl: Tensor
    """(B, 3): sideways and downward shift in metres at the first depth, and log of depth over the first depth."""

    def __repr__(self) -> str:
        return f"State({', '.join(f'{k}={tuple(v.shape)}' for k, v in self._asdict().items())})"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights of the loss; the 2D term is the mean over 2 K coordinates of weight * rho(residual) in body-scaled
    pixels."""

    sigma: float = 40.0
    """Scale of Geman-McClure, in body-scaled pixels (1.7 m are 256)."""
    pose: float = 6.0
    """Of mean(z^2), or of the mean square of rotation vectors in quarters of their joints' ranges."""
    betas: float = 5.0
    """Of mean(betas^2)."""
    limits: float = 0.0
    """Of the mean squared excess over the joint limits, radians; 0 omits it. A prior's latent hardly needs it, rotation
    vectors do."""
    upright: float = 8.0
    """Of the square of the sine of the pelvis' tilt towards or away from the camera, which keypoints hardly show; 0
    omits it."""


WITHOUT_PRIOR = Weights(pose=40.0, limits=300.0)
"""Weights of fits that seek rotation vectors."""


class Anchor(NamedTuple):
    """What leaving the first body costs: weights of mean squares of the state."""

    orient: float = 0.0
    """Of its rotation, radians."""
    pose: float = 0.0
    """Of the change of the latent, or of the joints' rotation vectors in units of `Problem.flex`."""
    betas: float = 0.0
    """Of the change of the shape."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Problem:
    """Constants of B people's fits: the camera and keypoints in body-scaled pixels, the first bodies and the
    weights."""

    terms: LandmarkTerms
    decoder: DecoderTerms | None
    """Of the prior; None seeks rotation vectors."""
    num_betas: int
    """S; further shape coefficients of the body, such as its expression, are zero."""
    keypoints: Tensor
    """(B, K, 2) body-scaled pixels."""
    confidence: Tensor
    """(B, K): weights of the 2D term."""
    focal: Tensor
    """(B, 2) body-scaled pixels."""
    center: Tensor
    """(B, 2) body-scaled pixels."""
    joints: Tensor
    """(J - 1, 3, 3) or (B, J - 1, 3, 3): first local rotations after the root. Rotation vectors are measured from them;
    joints that do not move keep them."""
    flex: Tensor
    """(3 M,): radians of one unit of a rotation vector in the state. The first M joints after the root move."""
    orient: Tensor
    """(B, 3, 3): first orientation of the root, camera frame."""
    transl: Tensor
    """(B, 3): first translation, metres, camera frame."""
    latent: Tensor | None = None
    """(B, L): first latent; None is zero."""
    betas: Tensor | None = None
    """(B, S): first shape; None is zero."""
    weights: Weights = Weights()
    anchor: Anchor | None = None

    @property
    def people(self) -> int:
        return len(self.keypoints)

    def rows(self, index: Tensor) -> Problem:
        """The people of `index` (indices or mask)."""
        names = ["keypoints", "confidence", "focal", "center", "orient", "transl"]
        names += [name for name in ("latent", "betas") if getattr(self, name) is not None]
        names += ["joints"] * (self.joints.dim() == 4)
        chosen: dict[str, Any] = {name: getattr(self, name)[index] for name in names}
        return replace(self, **chosen)

    def origin(self) -> State:
        """The first bodies themselves: zero everywhere."""
        new = self.transl.new_zeros
        size = len(self.flex) if self.decoder is None else self.decoder.num_latents
        return State(*(new(self.people, n) for n in (3, size, self.num_betas, 3)))

    def latents(self, pose: Tensor) -> Tensor:
        """(B, L) latents of a state's pose."""
        return pose if self.latent is None else self.latent + pose

    def shape(self, state: State) -> Tensor:
        """(B, S) betas of a state."""
        return state.betas if self.betas is None else self.betas + state.betas

    def local_rotations(self, pose: Tensor) -> Tensor:
        """Local rotations (B, J - 1, 3, 3) of the joints after the root."""
        if self.decoder is None:
            count = len(self.flex) // 3
            moved = self.joints[..., :count, :, :] @ ops.rotvec_to_matrix((pose * self.flex).unflatten(-1, (-1, 3)))
        else:
            moved = ops.vposer_decode(self.latents(pose), self.decoder)
        kept = self.joints[..., moved.shape[1] :, :, :]
        return torch.cat((moved, kept.expand(len(pose), -1, 3, 3)), 1) if kept.shape[-3] else moved

    def body(self, state: State, joints: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Local rotations (B, J, 3, 3), the root's in the camera frame, and translation (B, 3) in metres; `joints`
        spares computing those of `state.pose`."""
        root = self.orient @ ops.rotvec_to_matrix(state.orient)
        if joints is None:
            joints = self.local_rotations(state.pose)
        depth = self.transl[:, 2:] * state.transl[:, 2:].exp()
        sideways = (self.transl[:, :2] + state.transl[:, :2]) / self.transl[:, 2:] * depth
        return torch.cat((root[:, None], joints), 1), torch.cat((sideways, depth), -1)

    def padded(self, betas: Tensor) -> Tensor:
        """Shape coefficients of the landmarks: (B, S) betas and zeros for those that are not sought."""
        missing = self.terms.num_betas - self.num_betas
        return torch.nn.functional.pad(betas, (0, missing)) if missing else betas

    def loss(self, state: State, joints: Tensor | None = None) -> Tensor:
        """(B,): total loss of each person; `joints` as in `body`."""
        w = self.weights
        pose, transl = self.body(state, joints)
        prior = None
        if w.pose > 0:
            prior = state.pose if self.decoder is None else self.latents(state.pose)
        total = ops.keypoint_loss(
            pose,
            self.padded(self.shape(state)),
            transl,
            self.terms,
            focal=self.focal,
            center=self.center,
            keypoints=self.keypoints,
            weights=self.confidence,
            loss="geman_mcclure",
            sigma=w.sigma,
            latent=prior,
            latent_weight=w.pose,
            betas_weight=w.betas * self.terms.num_betas / max(self.num_betas, 1),
            reduction="none",
        ).total
        if w.limits > 0:
            excess = limit_violation(ops.matrix_to_rotvec(pose[:, 1 : 1 + SHARED_JOINTS]))
            total = total + w.limits * excess.square().mean(-1)
        if w.upright > 0:
            total = total + w.upright * pose[:, 0, 2, 1].square()
        if self.anchor is not None:
            for name, weight in self.anchor._asdict().items():
                total = total + weight * getattr(state, name).square().mean(-1)
        return total


class Scaled(NamedTuple):
    """Keypoints and cameras of N people in body-scaled pixels, about the middle of the keypoints."""

    keypoints: Tensor
    """(N, K, 2)."""
    focal: Tensor
    """(N, 2)."""
    center: Tensor
    """(N, 2)."""


def body_scaled(keypoints: Tensor, focal: Tensor, center: Tensor, depth: Tensor) -> Scaled:
    """Scale images so that bodies of BODY_HEIGHT span BODY_PIXELS.

    Args:
        keypoints: (N, K, 3) pixels and confidence.
        focal: (N, 2) pixels.
        center: (N, 2) pixels.
        depth: (N, 1) metres, of the bodies.
    """
    scale = BODY_PIXELS / (BODY_HEIGHT * focal.mean(-1, keepdim=True) / depth).clamp(min=1e-6)
    seen = (keypoints[..., 2:] > 0).to(keypoints)
    middle = (keypoints[..., :2] * seen).sum(1) / seen.sum(1).clamp(min=1)
    return Scaled((keypoints[..., :2] - middle[:, None]) * scale[:, None], focal * scale, (center - middle) * scale)
