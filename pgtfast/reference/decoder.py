"""VPoser's decoder: latent in, rotation matrices out."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import leaky_relu, linear

from .rotations import rot6d_to_matrix
from .terms import DecoderTerms


def vposer_decode(latent: Tensor, terms: DecoderTerms) -> Tensor:
    """Decode pose latents (VPoser, Pavlakos et al. 2019, in evaluation mode: dropout is the identity).

    Args:
        latent: (..., Z), Z = 32 for VPoser.
        terms: decoder weights.

    Returns:
        (..., N, 3, 3) local rotations, N = 21 body joints for VPoser.
    """
    hidden = leaky_relu(linear(latent, terms.w1, terms.b1), terms.slope)
    hidden = leaky_relu(linear(hidden, terms.w2, terms.b2), terms.slope)
    return rot6d_to_matrix(linear(hidden, terms.w3, terms.b3).unflatten(-1, (terms.num_rotations, 6)))
