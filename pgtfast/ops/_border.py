"""The only door to the compiled module: tensors go out as DLPack capsules, launch arguments beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.dlpack import to_dlpack

try:
    from pgtfast import _core
except ImportError as error:
    raise ImportError(
        "pgtfast._core, the compiled kernels, is missing. Install the package (`pip install .` in its source folder); "
        f"a source tree on PYTHONPATH is not enough. ({error})"
    ) from error

LIBRARY = torch.library.Library("pgtfast", "DEF")


def call(name: str, tensors: Sequence[Tensor | None], *options: Any) -> None:
    """Run a kernel of `_core` on tensors that share the first one's device, on that device's current stream."""
    first = tensors[0]
    assert first is not None
    if first.device.type == "cpu":
        threads, stream = torch.get_num_threads(), 0
    elif first.device.type == "cuda":
        threads, stream = 1, torch.cuda.current_stream(first.device).cuda_stream
    else:
        raise ValueError(f"{name}: wanted tensors on cpu or cuda, got {first.device}")
    capsules = [None if t is None else to_dlpack(t) for t in tensors]
    getattr(_core, name)(*capsules, *options, threads=threads, stream=stream)


class _NoSecondDerivative(torch.autograd.Function):
    """Passes the first `count` tensors on; a derivative of them by any of the tensors raises."""

    @staticmethod
    def forward(ctx, name, count, *tensors):
        ctx.name = name
        return tuple(t.detach() for t in tensors[:count])

    @staticmethod
    def backward(ctx, *grads):
        raise RuntimeError(
            f"{ctx.name}: the fused ops have no second derivatives; use pgtfast.reference.{ctx.name}, or leave out create_graph=True"
        )


def _once(name: str, backward):
    """An autograd formula that, asked for a graph of its own, gives one that raises (PyTorch would return zeros)."""

    def formula(ctx, *grads):
        if not torch.is_grad_enabled():
            return backward(ctx, *grads)
        with torch.no_grad():
            results = backward(ctx, *grads)
        sources = [t for t in (*ctx.saved_tensors, *grads) if t is not None and t.requires_grad]
        found = [t for t in results if t is not None]
        guarded = iter(_NoSecondDerivative.apply(name, len(found), *found, *sources))
        return tuple(None if t is None else next(guarded) for t in results)

    return formula


def define(schema: str, kernel, fake, setup_context=None, backward=None) -> torch._ops.OpOverload:
    """Register one op: schema, kernel for CPU and CUDA, fake kernel for tracing and, for a differentiable op, its autograd formula."""
    name = schema[: schema.index("(")]
    LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag, torch.Tag.needs_fixed_stride_order))
    LIBRARY.impl(name, kernel, "CPU")
    LIBRARY.impl(name, kernel, "CUDA")
    torch.library.register_fake(f"pgtfast::{name}", fake, lib=LIBRARY)
    overload = getattr(torch.ops.pgtfast, name).default
    if backward is not None:
        LIBRARY.impl(name, _autograd_kernel(name, overload, setup_context, _once(name, backward)), "Autograd")
    return overload


def _autograd_kernel(name: str, overload: torch._ops.OpOverload, setup_context, backward):
    """What `torch.library.register_autograd` makes, without its walk over the schema at each call: half the overhead of a call with gradients."""

    def forward(ctx, *inputs):
        with torch._C._AutoDispatchBelowAutograd():
            output = overload(*inputs)
        setup_context(ctx, inputs, output)
        return output

    function: Any = type(
        f"{name}_autograd",
        (torch.autograd.Function,),
        {"forward": staticmethod(forward), "backward": staticmethod(backward)},
    )

    def autograd(*inputs):
        if torch.is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in inputs):
            return function.apply(*inputs)
        with torch._C._AutoDispatchBelowAutograd():
            return overload(*inputs)

    return autograd
