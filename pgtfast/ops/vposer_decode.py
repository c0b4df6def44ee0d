"""VPoser's decoder, fused and differentiable in the latent."""

from __future__ import annotations

from torch import Tensor

from pgtfast.reference.terms import DecoderTerms

from ._border import call, define, float32_under_autocast
from ._checks import check_floating, check_tail

SCHEMA = "Tensor latent, Tensor packed1, Tensor b1, Tensor packed2, Tensor b2, Tensor packed3, Tensor b3, float slope"


@float32_under_autocast
def vposer_decode(latent: Tensor, terms: DecoderTerms) -> Tensor:
    """Decode pose latents to rotations (VPoser, Pavlakos et al. 2019, in evaluation mode).

    Differentiable in the latent; the weights are constants. CPU (float32, float64) and CUDA (float32).

    Args:
        latent: (..., Z), Z = 32 for VPoser.
        terms: decoder weights, on latent's device and of its dtype.

    Returns:
        (..., N, 3, 3) local rotation matrices, N = 21 body joints (SMPL joints 1 to 21) for VPoser.

    Raises:
        ValueError: shape or device do not fit the terms.
        TypeError: not a tensor, or another dtype.
    """
    check_floating("vposer_decode", "latent", latent)
    check_tail("vposer_decode", "latent", latent, (terms.num_latents,), like=terms.w1)
    batch = latent.shape[:-1]
    flat = latent.reshape(batch.numel(), terms.num_latents)
    weights = (terms.packed1, terms.b1, terms.packed2, terms.b2, terms.packed3, terms.b3)
    matrices = _decode(flat.contiguous(), *weights, terms.slope)
    return matrices.view(*batch, terms.num_rotations, 3, 3)


def _kernel(latent, packed1, b1, packed2, b2, packed3, b3, slope):
    matrices = latent.new_empty(latent.shape[0], b3.shape[0] // 6, 9)
    call("vposer_decode", (latent, packed1, b1, packed2, b2, packed3, b3, matrices), slope)
    return matrices


def _fake(latent, packed1, b1, packed2, b2, packed3, b3, slope):
    return latent.new_empty(latent.shape[0], b3.shape[0] // 6, 9)


def _backward_kernel(latent, packed1, b1, packed2, b2, packed3, b3, slope, grad):
    grad_latent = latent.new_empty(latent.shape)
    call(
        "vposer_decode_backward",
        (latent, packed1, b1, packed2, b2, packed3, b3, grad.contiguous(), grad_latent),
        slope,
    )
    return grad_latent


def _backward_fake(latent, packed1, b1, packed2, b2, packed3, b3, slope, grad):
    return latent.new_empty(latent.shape)


def _setup_context(ctx, inputs, output):
    ctx.save_for_backward(*inputs[:7])
    ctx.slope = inputs[7]


def _autograd(ctx, grad):
    return (_decode_backward(*ctx.saved_tensors, ctx.slope, grad), *(None,) * 7)


_decode = define(f"vposer_decode({SCHEMA}) -> Tensor", _kernel, _fake, _setup_context, _autograd)
_decode_backward = define(f"vposer_decode_backward({SCHEMA}, Tensor grad) -> Tensor", _backward_kernel, _backward_fake)
