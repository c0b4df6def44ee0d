"""The fused 2D keypoint loss."""

from __future__ import annotations

import itertools

import pytest
import torch

from pgtfast import ops

from .bodies import landmark_terms
from .harness import SlowOpTests, convert
from .test_landmarks import posed

KINDS = {
    f"{loss}, {norm}, {model}, {reduction}": ({}, {"loss": loss, "norm": norm, "model": model, "reduction": reduction})
    for loss, norm, model, reduction in itertools.product(
        ("l1", "mse", "geman_mcclure"), ("coordinate", "euclidean"), ("perspective", "weak"), ("none", "mean")
    )
}
REGULARISED = {"latent_weight": 0.3, "betas_weight": 0.7, "loss": "geman_mcclure", "sigma": 50.0}


class TestKeypointLoss(SlowOpTests):
    op = "keypoint_loss"
    differentiable = ("pose", "betas", "transl", "latent")
    any_tail = ("latent",)
    variants = {  # noqa: RUF012
        "plain": ({}, REGULARISED),
        "per person": ({}, {**REGULARISED, "reduction": "none"}),
        **KINDS,
        "matrices": ({"matrices": True}, REGULARISED),
        "no weights": ({"weighted": False}, REGULARISED),
        "no latent": ({"with_latent": False}, REGULARISED),
        "no betas": ({"without": "betas"}, REGULARISED),
        "no transl": ({"without": "transl"}, {**REGULARISED, "model": "weak"}),
        "no pose features": ({"pose_features": False}, REGULARISED),
        **{f"{j} joints": ({"joints": j}, REGULARISED) for j in (1, 2, 16, 52, 55, 64)},
        **{f"{s} betas": ({"betas": s}, REGULARISED) for s in (1, 20)},
    }
    gradcheck_variants = (
        "plain",
        "per person",
        "matrices",
        "mse, euclidean, weak, none",
        "l1, coordinate, perspective, mean",
    )

    def make(self, batch, joints=24, betas=10, pose_features=True, weighted=True, with_latent=True, **kwargs):
        g = torch.Generator().manual_seed(21)

        def uniform(*shape, low=0.0, high=1.0):
            return torch.rand(*batch, *shape, generator=g, dtype=torch.float64) * (high - low) + low

        arguments = {
            **posed(batch, joints, betas, **kwargs),
            "terms": landmark_terms(joints, betas, 17, pose_features),
            "focal": uniform(2, low=150, high=250),
            "center": uniform(2, low=90, high=110),
            "keypoints": uniform(17, 2, low=0, high=200),
        }
        # no landmark near the camera's plane, where projecting magnifies rounding
        if arguments.get("transl") is not None:
            arguments["transl"] = arguments["transl"] + torch.tensor([0.0, 0.0, 15.0])
        if weighted:
            arguments["weights"] = uniform(17) * (uniform(17) > 0.3)
        if with_latent:
            arguments["latent"] = uniform(32, low=-1)
        return arguments

    def test_keypoints_without_weight_may_be_nan(self, dtype, device):
        arguments = self.make((7,))
        arguments["weights"][1] = 0  # a person without any
        arguments["keypoints"][arguments["weights"] == 0] = float("nan")
        for variant in ("plain", "per person"):
            self.agree(arguments, dtype, device, variant)
        losses = ops.keypoint_loss(**convert(arguments, dtype, device), reduction="none")
        assert losses.data[1] == 0
        assert torch.isfinite(losses.total).all()

    def test_nobody_is_valid(self, dtype, device):
        arguments = self.make((7,))
        arguments["weights"] = torch.zeros_like(arguments["weights"])
        self.agree(arguments, dtype, device)
        assert ops.keypoint_loss(**convert(arguments, dtype, device)).data == 0

    @pytest.mark.parametrize("norm", ["coordinate", "euclidean"])
    def test_l1_of_a_perfect_fit_has_gradient_zero(self, norm, dtype, device):
        arguments = convert(self.make((4,)), dtype, device)
        body = {n: arguments[n] for n in ("pose", "betas", "transl", "terms")}
        camera = arguments["focal"], arguments["center"]
        arguments["keypoints"] = ops.project(ops.landmarks(**body), *camera)
        arguments["pose"].requires_grad_()
        result = ops.keypoint_loss(**arguments, norm=norm)
        (gradient,) = torch.autograd.grad(result.data, arguments["pose"])
        assert result.data < 1e-3
        assert torch.isfinite(gradient).all()

    def test_unknown_options_are_named(self):
        arguments = convert(self.make((2,)), torch.float32)
        for option in ("loss", "norm", "model", "reduction"):
            with pytest.raises(ValueError, match=rf"keypoint_loss: {option}: wanted .*'none such'"):
                ops.keypoint_loss(**arguments, **{option: "none such"})
