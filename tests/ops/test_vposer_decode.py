"""VPoser's decoder."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from .bodies import decoder_terms
from .harness import OpTests


class TestVposerDecode(OpTests):
    op = "vposer_decode"
    differentiable = ("latent",)
    variants = {  # noqa: RUF012
        "plain": ({}, {}),
        "second version": ({"slope": 0.01}, {}),
        "ReLU": ({"slope": 0.0}, {}),
        "small": ({"latents": 5, "hidden": 50, "rotations": 3}, {}),
        "one rotation": ({"latents": 1, "hidden": 7, "rotations": 1}, {}),
    }

    def make(self, batch, latents=32, hidden=512, rotations=21, slope=0.2):
        g = torch.Generator().manual_seed(5)
        latent = torch.randn(*batch, latents, generator=g, dtype=torch.float64)
        terms = decoder_terms(latents, hidden, rotations, slope)
        identity = torch.tensor([1.0, 0, 0, 1, 0, 0], dtype=torch.float64).repeat(rotations)
        # As in a trained decoder the two vectors are far from parallel, so that rounding is not blown up by chance.
        return {"latent": latent, "terms": dataclasses.replace(terms, b3=terms.b3 + 5 * identity)}

    def test_a_negative_slope_is_refused(self):
        with pytest.raises(ValueError, match=r"slope: wanted 0 or more, got -0\.1"):
            self.make((1,), slope=-0.1)
        terms = self.make((1,))["terms"].to(dtype=torch.float32)
        weights = (terms.packed1, terms.b1, terms.packed2, terms.b2, terms.packed3, terms.b3)
        with pytest.raises(ValueError, match=r"vposer_decode: slope: wanted 0 or more, got -0\.1"):
            torch.ops.pgtfast.vposer_decode(torch.zeros(1, 32), *weights, -0.1)

    def test_zero_latent(self, dtype, device):
        arguments = self.make((3,))
        arguments["latent"] = torch.zeros_like(arguments["latent"])
        self.agree(arguments, dtype, device)
