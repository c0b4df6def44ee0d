"""pgtfast as a contestant of a separate harness for SMPL packages:
`python bench.py --plugin .../benchmarks/peers_plugin.py --only smplx,pgtfast`, fits likewise.

The harness gives the folder of its model in BENCH_MODELS and owns tasks, inputs, loss and clock; here are only the
calls.
"""

from __future__ import annotations

import contestants as harness
import torch

import pgtfast
from pgtfast import ops
from pgtfast.reference import DecoderTerms

JOINTS, RATE = 24, 0.02
FOCAL, CENTER, SIGMA = 1000.0, 500.0, 100.0
POSE_WEIGHT, BETAS_WEIGHT, DEPTH_WEIGHT, DEPTH = 4.78**2, 25.0, 100.0, 6.0


@harness.register
class Pgtfast(harness.TorchC):
    name = "pgtfast"
    note = "fused ops through torch and autograd"

    def load_model(self):
        self.body = pgtfast.load_body(harness.M + "/SMPL_NEUTRAL.npz")
        self.terms = {"j": self.body.joints_plan.terms, "r": self.body.landmarks(harness.J17).terms}

    def vj(self, pose, betas, transl):
        rotations = pose.view(-1, JOINTS, 3)
        return ops.vertices(rotations, betas, transl, self.body.terms), ops.landmarks(
            rotations, betas, transl, self.terms["j"]
        )

    def j(self, pose, betas, transl):
        return ops.landmarks(pose.view(-1, JOINTS, 3), betas, transl, self.terms["j"])

    def r(self, pose, betas, transl):
        return ops.landmarks(pose.view(-1, JOINTS, 3), betas, transl, self.terms["r"])

    def make(self, task, data):
        if task != "fb_v":
            return super().make(task, data)
        pose, betas, transl = leaves = [
            torch.from_numpy(x.copy()).requires_grad_() for x in (data.pose, data.betas, data.trans)
        ]
        target = torch.from_numpy(data.tv)

        def run():
            for leaf in leaves:
                leaf.grad = None
            points = ops.vertices(pose.view(-1, JOINTS, 3), betas, transl, self.body.terms)
            loss = 0.5 * torch.nn.functional.mse_loss(points, target, reduction="sum")
            loss.backward()
            return {"loss": loss.detach(), "gp": pose.grad, "gb": betas.grad, "gt": transl.grad}

        return run

    def make_fit(self, kind, people, steps, problem):
        keypoints, confidence = problem
        terms = self.terms["r" if kind == "r" else "j"]
        landmarks = keypoints.shape[1]
        weights = (confidence**2).clamp(
            min=1e-30
        )  # none is zero: mean over valid entries times their number is the harness's sum
        camera_args = {"focal": torch.full((people, 2), FOCAL), "center": torch.full((people, 2), CENTER)}
        size, pose_weight = (32, 1.0) if kind == "vp" else (69, POSE_WEIGHT)
        priors = {"latent_weight": pose_weight * size / landmarks, "betas_weight": BETAS_WEIGHT * 10 / landmarks}
        decoder = _decoder() if kind == "vp" else None
        wrists = torch.eye(3).expand(people, 2, 3, 3)

        def run(iterations=steps):
            orient, body = torch.full((people, 3), 1e-3), torch.full((people, size), 1e-3)
            betas, camera = torch.zeros(people, 10), torch.tensor([[0.0, 0.0, DEPTH]]).repeat(people, 1)
            unknowns = [x.requires_grad_() for x in (orient, body, betas, camera)]
            optimiser = torch.optim.Adam(unknowns, lr=RATE, fused=True)
            for _ in range(iterations):
                optimiser.zero_grad()
                if decoder is None:
                    pose = torch.cat([orient, body], 1).view(people, JOINTS, 3)
                else:
                    pose = torch.cat(
                        [ops.rotvec_to_matrix(orient)[:, None], ops.vposer_decode(body, decoder), wrists], 1
                    )
                term = ops.keypoint_loss(
                    pose, betas, camera, terms, **camera_args, keypoints=keypoints, weights=weights,
                    loss="geman_mcclure",
                    sigma=SIGMA, norm="euclidean", latent=body, **priors, reduction="none",
                )  # fmt: skip
                loss = landmarks * term.total.sum() + DEPTH_WEIGHT * (camera[:, 2] - DEPTH).square().sum()
                loss.backward()
                optimiser.step()
            return float(loss.detach())

        return run


def _decoder() -> DecoderTerms:
    """The harness's decoder: random weights of its own seed, outputs scaled by 0.3 about the identity."""
    generator = torch.Generator().manual_seed(0)
    first, second, third = (
        torch.randn(rows, columns, generator=generator) * (1.4 / columns**0.5)
        for rows, columns in ((512, 32), (512, 512), (126, 512))
    )
    bias, none = torch.tensor([1.0, 0, 0, 1, 0, 0]).repeat(21), torch.zeros(512)
    return DecoderTerms(w1=first, b1=none, w2=second, b2=none, w3=third * 0.3, b3=bias, slope=0.2)
