"""The only door to the compiled module: tensors go out as DLPack capsules, launch arguments beside them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

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


def call(name: str, tensors: Sequence[Tensor | Sequence[int] | None], *options: Any) -> None:
    """Run a kernel of `_core` on tensors that share the first one's device, on that device's current stream; lists of
    numbers go as they are."""
    first = tensors[0]
    assert isinstance(first, Tensor)
    device, capsules = first.device, [to_dlpack(t) if isinstance(t, Tensor) else t for t in tensors]
    run = getattr(_core, name)
    if device.type == "cpu":
        run(*capsules, *options, threads=torch.get_num_threads(), stream=0)
    elif device.type == "cuda":
        with torch.cuda.device(device):  # torch's guard makes no context on a device that the process does not use
            run(*capsules, *options, threads=1, stream=torch.cuda.current_stream(device).cuda_stream)
    else:
        raise ValueError(f"{name}: wanted tensors on cpu or cuda, got {device}")


def ask(name: str, tensor: Tensor, *numbers: int) -> int:
    """A number that `_core` says of a call with this tensor, such as the scratch that it needs."""
    with torch.cuda.device(tensor.device) if tensor.is_cuda else contextlib.nullcontext():
        return getattr(_core, name)(to_dlpack(tensor), *numbers)


P = ParamSpec("P")
R = TypeVar("R")


def float32_under_autocast(op: Callable[P, R]) -> Callable[P, R]:
    """The rule of the ops under autocast: float16 and bfloat16 tensors go to float32, and what the op computes stays so
    (geometry needs the bits)."""

    @functools.wraps(op)
    def call_op(*args: P.args, **kwargs: P.kwargs) -> R:
        devices = [t.device.type for t in (*args, *kwargs.values()) if isinstance(t, Tensor)]
        if not devices or not torch.is_autocast_enabled(devices[0]):
            return op(*args, **kwargs)
        with torch.autocast(devices[0], enabled=False):
            return op(*map(_to_float32, args), **{name: _to_float32(v) for name, v in kwargs.items()})  # type: ignore[arg-type]

    return call_op


def _to_float32(value: Any) -> Any:
    half = isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if half else value


class _NoSecondDerivative(torch.autograd.Function):
    """Passes the first `count` tensors on; a derivative of them by any of the tensors raises."""

    @staticmethod
    def forward(ctx, name, count, *tensors):
        ctx.name = name
        return tuple(t.detach() for t in tensors[:count])

    @staticmethod
    def backward(ctx, *grads):
        raise RuntimeError(
            f"{ctx.name}: the fused ops have no second derivatives; use pgtfast.reference.{ctx.name}, or leave out "
            f"create_graph=True"
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
    """Register one op: schema, kernel for CPU and CUDA, fake kernel for tracing and, for a differentiable op, its
    autograd formula."""
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
    """What `torch.library.register_autograd` makes, without its walk over the schema at each call: half the overhead of
    a call with gradients."""

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
