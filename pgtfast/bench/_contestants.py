"""What a contestant is, pgtfast's own, and the plain-torch loss and fit that torch packages share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._body import JOINTS
from ._tasks import (
    BETAS_WEIGHT,
    CENTER,
    DEPTH,
    DEPTH_WEIGHT,
    FIT_STEPS,
    FOCAL,
    POSE_WEIGHT,
    SIGMA,
    FitInputs,
    Inputs,
    decoder_bias,
    decoder_weights,
)  # fmt: skip

Call = Callable[[], dict[str, Any]]


class Contestant:
    """One package, in one of its ways of running. One that has no fit of its own returns None from `fit`."""

    name = ""
    family = ""
    compiled = False
    """Whether the first call at each batch size compiles for seconds; such contestants run at the batch of the targets
    only.
    """

    def __init__(self, folder: Path, regressor: np.ndarray) -> None:
        self.folder = folder
        self.regressor = regressor

    def task(self, name: str, inputs: Inputs) -> Call:
        """A call that does the task once and returns its results by name: v, j, r; or loss and gradients gp, gb, gt."""
        raise NotImplementedError

    def fit(self, kind: str, inputs: FitInputs) -> Callable[[], float] | None:
        """A call that runs a whole fit and returns the loss of its last step."""
        return None


class TorchContestant(Contestant):
    """A package that maps torch tensors (pose (B, 72), betas (B, 10), transl (B, 3)) to points, differentiable by
    autograd.
    """

    def vertices(self, pose: Tensor, betas: Tensor, transl: Tensor) -> Tensor:
        raise NotImplementedError

    def joints(self, pose: Tensor, betas: Tensor, transl: Tensor) -> Tensor:
        raise NotImplementedError

    def landmarks(self, pose: Tensor, betas: Tensor, transl: Tensor) -> Tensor:
        return torch.einsum("kv,bvi->bki", self.regressor_tensor, self.vertices(pose, betas, transl))

    def both(self, pose: Tensor, betas: Tensor, transl: Tensor) -> tuple[Tensor, Tensor]:
        return self.vertices(pose, betas, transl), self.joints(pose, betas, transl)

    @functools.cached_property
    def regressor_tensor(self) -> Tensor:
        return torch.from_numpy(self.regressor.astype(np.float32))

    def wrap(self, function: Callable) -> Callable:
        """The way the package's user would speed a function up: `torch.compile` for compiled contestants."""
        return torch.compile(function, dynamic=False) if self.compiled else function

    def task(self, name: str, inputs: Inputs) -> Call:
        pose, betas, transl = (torch.from_numpy(x.copy()) for x in (inputs.pose, inputs.betas, inputs.transl))
        mode, what = name.split("_")
        points: Callable[..., Any] = {"vj": self.both, "v": self.vertices, "j": self.joints, "r": self.landmarks}[what]
        if mode == "fwd":
            forward = self.wrap(points)

            def run_forward() -> dict[str, Tensor]:
                with torch.no_grad():
                    out = forward(pose, betas, transl)
                return {"v": out[0], "j": out[1]} if what == "vj" else {what: out}

            return run_forward

        target = torch.from_numpy(inputs.targets[what])
        loss_of = self.wrap(
            lambda p, b, t: 0.5 * torch.nn.functional.mse_loss(points(p, b, t), target, reduction="sum")
        )
        leaves = [x.requires_grad_() for x in (pose, betas, transl)]

        def run_both() -> dict[str, Tensor | None]:
            for leaf in leaves:
                leaf.grad = None
            loss = loss_of(*leaves)
            loss.backward()
            return {"loss": loss.detach(), "gp": leaves[0].grad, "gb": leaves[1].grad, "gt": leaves[2].grad}

        return run_both

    def fit(self, kind: str, inputs: FitInputs) -> Callable[[], float] | None:
        keypoints, weights = torch.from_numpy(inputs.keypoints), torch.from_numpy(inputs.confidence) ** 2
        zero = torch.zeros(len(keypoints), 3)
        points = self.landmarks if kind == "r" else self.joints
        decode = decode_rotvec() if kind == "vp" else None

        def loss(orient: Tensor, body: Tensor, betas: Tensor, camera: Tensor) -> Tensor:
            if decode is not None:
                pose, prior = torch.cat([orient, decode(body), zero, zero], 1), body.square().sum()
            else:
                pose, prior = torch.cat([orient, body], 1), POSE_WEIGHT * body.square().sum()
            where = points(pose, betas, zero) + camera[:, None]
            residual = (FOCAL * where[..., :2] / where[..., 2:] + CENTER - keypoints).square().sum(-1)
            data = (weights * SIGMA**2 * residual / (SIGMA**2 + residual)).sum()
            return (
                data
                + prior
                + BETAS_WEIGHT * betas.square().sum()
                + DEPTH_WEIGHT * (camera[:, 2] - DEPTH).square().sum()
            )

        value = self.wrap(loss)

        def run() -> float:
            unknowns = fit_start(len(keypoints), kind)
            optimiser = torch.optim.Adam(unknowns, lr=0.02)
            for _ in range(FIT_STEPS):
                optimiser.zero_grad()
                last = value(*unknowns)
                last.backward()
                optimiser.step()
            return float(last.detach())

        return run


def fit_start(people: int, kind: str) -> list[Tensor]:
    """Leaves: root (B, 3), body pose (B, 69) or latent (B, 32), betas (B, 10), camera (B, 3)."""
    values = [
        torch.full((people, 3), 1e-3),
        torch.full((people, 32 if kind == "vp" else 69), 1e-3),
        torch.zeros(people, 10),
        torch.tensor([[0.0, 0.0, DEPTH]]).repeat(people, 1),
    ]
    return [v.requires_grad_() for v in values]


def decode_rotvec() -> Callable[[Tensor], Tensor]:
    """A decoder of VPoser's shape in plain torch: latent (B, 32) to rotation vectors (B, 63), as its public `decode`
    returns them.
    """
    first, second, third = (torch.from_numpy(w) for w in decoder_weights())
    bias = torch.from_numpy(decoder_bias())
    functional = torch.nn.functional

    def decode(latent: Tensor) -> Tensor:
        hidden = functional.leaky_relu(functional.linear(latent, first), 0.2)
        hidden = functional.leaky_relu(functional.linear(hidden, second), 0.2)
        columns = functional.linear(hidden, third, bias).view(-1, 3, 2)
        x = functional.normalize(columns[:, :, 0], dim=1)
        y = columns[:, :, 1]
        y = functional.normalize(y - (x * y).sum(1, keepdim=True) * x, dim=1)
        z = torch.linalg.cross(x, y)
        twist = torch.stack([y[:, 2] - z[:, 1], z[:, 0] - x[:, 2], x[:, 1] - y[:, 0]], 1)
        cosine = ((x[:, 0] + y[:, 1] + z[:, 2] - 1) / 2).clamp(-0.9999, 0.9999)
        angle = torch.acos(cosine)
        return (twist * (angle / (2 * torch.sin(angle)))[:, None]).view(len(latent), 63)

    return decode


class Ours(TorchContestant):
    """pgtfast through its public names."""

    name = family = "pgtfast"

    def __init__(self, folder: Path, regressor: np.ndarray) -> None:
        super().__init__(folder, regressor)
        import pgtfast

        self.body = pgtfast.load_body(folder / "SMPL_NEUTRAL.npz")
        self.plans = {"j": self.body.joints_plan, "r": self.body.landmarks(regressor)}

    def vertices(self, pose: Tensor, betas: Tensor, transl: Tensor) -> Tensor:
        from pgtfast import ops

        return ops.vertices(pose.view(-1, JOINTS, 3), betas, transl, self.body.terms)

    def joints(self, pose: Tensor, betas: Tensor, transl: Tensor) -> Tensor:
        from pgtfast import ops

        return ops.landmarks(pose.view(-1, JOINTS, 3), betas, transl, self.plans["j"].terms)

    def landmarks(self, pose: Tensor, betas: Tensor, transl: Tensor) -> Tensor:
        from pgtfast import ops

        return ops.landmarks(pose.view(-1, JOINTS, 3), betas, transl, self.plans["r"].terms)

    def fit(self, kind: str, inputs: FitInputs) -> Callable[[], float]:
        from pgtfast import ops
        from pgtfast.reference import DecoderTerms

        people, landmarks = inputs.confidence.shape
        terms = self.plans["r" if kind == "r" else "j"].terms
        focal, center = torch.full((people, 2), FOCAL), torch.full((people, 2), CENTER)
        # no weight is zero, so the loss's mean over valid entries times their number is the sum
        weights = (torch.from_numpy(inputs.confidence) ** 2).clamp(min=1e-30)
        keypoints = torch.from_numpy(inputs.keypoints)
        size = 32 if kind == "vp" else 69
        latent_weight = (1.0 if kind == "vp" else POSE_WEIGHT) * size / landmarks
        betas_weight = BETAS_WEIGHT * 10 / landmarks
        if kind == "vp":
            first, second, third = (torch.from_numpy(w) for w in decoder_weights())
            none = torch.zeros(512)
            decoder = DecoderTerms(
                w1=first, b1=none, w2=second, b2=none, w3=third, b3=torch.from_numpy(decoder_bias()), slope=0.2
            )
            wrists = torch.eye(3).expand(people, 2, 3, 3)

        def run() -> float:
            orient, body, betas, camera = unknowns = fit_start(people, kind)
            optimiser = torch.optim.Adam(unknowns, lr=0.02, fused=True)
            for _ in range(FIT_STEPS):
                optimiser.zero_grad()
                if kind == "vp":
                    pose = torch.cat(
                        [ops.rotvec_to_matrix(orient)[:, None], ops.vposer_decode(body, decoder), wrists], 1
                    )
                else:
                    pose = torch.cat([orient, body], 1).view(people, JOINTS, 3)
                term = ops.keypoint_loss(
                    pose, betas, camera, terms, focal=focal, center=center, keypoints=keypoints, weights=weights,
                    loss="geman_mcclure",
                    sigma=SIGMA, norm="euclidean", latent=body, latent_weight=latent_weight, betas_weight=betas_weight,
                    reduction="none",
                )  # fmt: skip
                loss = landmarks * term.total.sum() + DEPTH_WEIGHT * (camera[:, 2] - DEPTH).square().sum()
                loss.backward()
                optimiser.step()
            return float(loss.detach())

        return run
