"""The tests that every op passes. A test class of an op derives from :class:`OpTests` and says what to call it with."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pgtfast import _core, ops, reference
from pgtfast.ops import _border
from tests import tolerances

BATCHES = ((), (0,), (1,), (2, 3), (37,), (70,))
"""Batch shapes: none, empty, one, two axes, and two that fill neither 8 nor 16 lanes."""

ISA_NAMES = ("base", "avx2", "avx512")

Arguments = dict[str, Any]


def convert(arguments: Arguments, dtype: torch.dtype, device: str = "cpu") -> Arguments:
    """Copies of floating tensors and of terms in another dtype and place; other values stay."""

    def one(value):
        if isinstance(value, Tensor):
            return value.detach().to(device=device, dtype=dtype) if value.is_floating_point() else value
        return value.to(device=device, dtype=dtype) if hasattr(value, "dtype") else value

    return {name: one(value) for name, value in arguments.items()}


def outputs_of(result) -> list[Tensor]:
    return [result] if isinstance(result, Tensor) else list(result)


def max_error(got: Tensor, want: Tensor) -> float:
    """Largest absolute error, over the larger of one and the largest magnitude."""
    assert got.shape == want.shape
    if got.numel() == 0:
        return 0.0
    assert torch.isfinite(got).all()
    assert torch.isfinite(want).all()
    want = want.double().cpu()
    return float((got.double().cpu() - want).abs().max() / want.abs().max().clamp(min=1.0))


def gradient_error(got: Tensor, want: Tensor) -> float:
    """Relative L2 error."""
    assert got.shape == want.shape
    if got.numel() == 0:
        return 0.0
    assert torch.isfinite(got).all()
    assert torch.isfinite(want).all()
    got, want = got.double().cpu(), want.double().cpu()
    return float((got - want).norm() / want.norm().clamp(min=1e-3))


def cotangents(outputs: list[Tensor], seed: int = 1) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(o.shape, generator=g, dtype=torch.float64).to(o) for o in outputs]


def repack(array: np.ndarray) -> np.ndarray:
    """The same values with strides that are not contiguous (nor those of size one)."""
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


class CoreWith:
    """`_core` with some launch arguments fixed."""

    def __init__(self, **fixed: int) -> None:
        self._fixed = fixed

    def __getattr__(self, name: str) -> Callable:
        kernel = getattr(_core, name)
        # what is asked of a launch ("..._scratch") takes no launch arguments
        return lambda *arguments, **launch: kernel(*arguments, **({**launch, **self._fixed} if launch else {}))


class CoreCalls:
    """`_core` that notes each call: kernel name, NumPy copies of the arrays as they came in, options."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[Any]]] = []

    def __getattr__(self, name: str) -> Callable:
        def call(*arguments, **launch):
            self.calls.append((name, [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]))
            getattr(_core, name)(*arguments, **launch)

        return call


class OpCalls(TorchDispatchMode):
    """Notes each call of a registered op of this package: overload and arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[torch._ops.OpOverload, tuple]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == "pgtfast":
            self.calls.append((func, args))
        return func(*args, **(kwargs or {}))


class OpTests:
    """The common tests. Derived classes set the attributes and :meth:`make`."""

    op: ClassVar[str]
    differentiable: ClassVar[tuple[str, ...]]
    """Arguments with a gradient."""
    variants: ClassVar[dict[str, tuple[dict, dict]]] = {"plain": ({}, {})}
    """Name -> (arguments of :meth:`make`, options of the op). The first is the plain one."""
    gradcheck_variants: ClassVar[tuple[str, ...] | None] = None
    """Variants small enough for a numeric Jacobian; None for all. Of the others a random projection of it is
    checked."""
    gradcheck_batch: ClassVar[tuple[int, ...]] = (2,)
    any_tail: ClassVar[tuple[str, ...]] = ()
    """Tensors whose last axis may have any length."""
    constant: ClassVar[tuple[str, ...]] = ("terms",)
    """Arguments without a batch."""

    def make(self, batch: tuple[int, ...], **kwargs) -> Arguments:
        """Random float64 arguments on the CPU."""
        raise NotImplementedError

    def build(self, batch: tuple[int, ...], variant: str | None = None) -> Arguments:
        return self.make(batch, **self.variants[variant or self.plain][0])

    @property
    def plain(self) -> str:
        return next(iter(self.variants))

    def run(self, module, arguments: Arguments, variant: str | None = None) -> list[Tensor]:
        return outputs_of(getattr(module, self.op)(**arguments, **self.variants[variant or self.plain][1]))

    def differentiate(self, module, arguments: Arguments, variant: str | None = None, seed: int = 1) -> list[Tensor]:
        """Gradients of the differentiable arguments under random cotangents, which depend on shapes and seed alone."""
        leaves = [n for n in self.differentiable if arguments.get(n) is not None]
        arguments = {**arguments, **{n: arguments[n].detach().requires_grad_() for n in leaves}}
        outputs = self.run(module, arguments, variant)
        pairs = [(o, g) for o, g in zip(outputs, cotangents(outputs, seed), strict=True) if o.requires_grad]
        outputs, grads = zip(*pairs, strict=True)
        return list(torch.autograd.grad(outputs, [arguments[n] for n in leaves], grads))

    def errors(self, arguments: Arguments, dtype, device, variant=None) -> list[tuple[str, float, float, float]]:
        """(what, error, plain PyTorch's own error, floor) of each output and gradient against the float64 reference.

        In float64 the reference has no error to be seen; its own error is that in float32, scaled by the ratio of the
        dtypes' resolutions.
        """
        low, single = convert(arguments, dtype), convert(arguments, torch.float32)
        resolution = torch.finfo(dtype).eps / torch.finfo(torch.float32).eps
        rows = []
        for what, call, error, floors in (
            ("output", self.run, max_error, tolerances.FORWARD),
            ("gradient", self.differentiate, gradient_error, tolerances.GRADIENT),
        ):
            results = call(ops, convert(low, dtype, device), variant)
            truth = call(reference, convert(low, torch.float64), variant)
            own = call(reference, single, variant), call(reference, convert(single, torch.float64), variant)
            for k, (got, want, plain, exact) in enumerate(zip(results, truth, *own, strict=True)):
                assert got.dtype == dtype
                assert got.device.type == torch.device(device).type
                rows.append((f"{what} {k}", error(got, want), resolution * error(plain, exact), floors[dtype]))
        return rows

    def agree(self, arguments: Arguments, dtype, device, variant=None) -> None:
        for what, error, own, floor in self.errors(arguments, dtype, device, variant):
            assert error <= tolerances.allowed(floor, own), (what, error, own)

    # 1 and 3: forward and backward against the float64 reference.

    def test_batches_agree_with_the_reference(self, batch, dtype, device):
        self.agree(self.build(batch), dtype, device)

    def test_variants_agree_with_the_reference(self, variant, dtype, device):
        self.agree(self.build((5,), variant), dtype, device, variant)

    def test_batches_broadcast(self, dtype, device):
        full, single = self.build((2, 3)), self.build(())
        first = next(iter(full))
        mixed = {n: full[n] if n == first or n in self.constant else single[n] for n in full}
        self.agree(mixed, dtype, device)

    def test_strided_arguments(self, device):
        arguments = convert(self.build((3,)), torch.float32, device)
        strided = {
            n: torch.stack((v, v), -1)[..., 0] if isinstance(v, Tensor) and v.is_floating_point() else v
            for n, v in arguments.items()
        }
        for got, want in zip(self.run(ops, strided), self.run(ops, arguments), strict=True):
            assert torch.equal(got, want)
        for got, want in zip(self.differentiate(ops, strided), self.differentiate(ops, arguments), strict=True):
            assert torch.equal(got, want)

    # 4 to 6: numeric gradients, the dispatcher's contract, the compiler.

    def test_gradcheck(self, variant, on_cpu):
        whole = self.gradcheck_variants is None or variant in self.gradcheck_variants
        arguments = self.build(self.gradcheck_batch, variant)
        leaves = [n for n in self.differentiable if arguments.get(n) is not None]

        def call(*tensors):
            return tuple(self.run(ops, {**arguments, **dict(zip(leaves, tensors, strict=True))}, variant))

        inputs = [arguments[n].requires_grad_() for n in leaves]
        assert torch.autograd.gradcheck(call, inputs, eps=1e-6, atol=1e-6, fast_mode=not whole)

    def test_second_derivatives_are_refused(self, device):
        arguments = convert(self.build((3,)), torch.float32, device)
        leaves = [n for n in self.differentiable if arguments.get(n) is not None]
        tensors = [arguments[n].requires_grad_() for n in leaves]
        outputs = self.run(ops, arguments)
        first = torch.autograd.grad(sum(o.sum() for o in outputs), tensors, create_graph=True)
        with pytest.raises(RuntimeError, match=rf"^{self.op}: the fused ops have no second derivatives"):
            torch.autograd.grad(sum(g.square().sum() for g in first) + sum(t.sum() for t in tensors), tensors)

    def test_opcheck(self, device):
        arguments = convert(self.build((3,)), torch.float32, device)
        with OpCalls() as seen:
            self.differentiate(ops, arguments)
        assert len(seen.calls) >= 2  # the op and its backward
        for func, args in seen.calls:
            forward = not func._schema.name.endswith("_backward")
            fresh = tuple(
                a.detach().clone().requires_grad_(forward and a.requires_grad) if isinstance(a, Tensor) else a
                for a in args
            )
            torch.library.opcheck(func, fresh)

    def compiled_agrees(self, device, backend: str) -> None:
        torch._dynamo.reset()
        arguments = convert(self.build((3,)), torch.float32, device)

        class Compiled:
            """Stands for the module `ops` with the op compiled."""

        options = self.variants[self.plain][1]
        eager = functools.partial(getattr(ops, self.op), **options)
        setattr(Compiled, self.op, staticmethod(torch.compile(lambda **a: eager(**a), fullgraph=True, backend=backend)))
        for got, want in zip(self.run(Compiled, arguments), self.run(ops, arguments), strict=True):
            torch.testing.assert_close(got, want)
        for got, want in zip(self.differentiate(Compiled, arguments), self.differentiate(ops, arguments), strict=True):
            torch.testing.assert_close(got, want)

    def test_compiles_without_a_break(self, device):
        self.compiled_agrees(device, "aot_eager")

    # 7: the border. Mistakes in the wrapper's arguments, then in the arrays of `_core`.

    def test_wrong_arguments_are_named(self, argument, device):
        arguments = convert(self.build((2,)), torch.float32, device)
        value = arguments[argument]
        first = argument == next(iter(arguments))
        name = r".*" if first or argument in self.constant else rf"{argument}: wanted"

        def refused(kind, wrong):
            with pytest.raises(kind, match=rf"^{self.op}: {name}"):
                self.run(ops, {**arguments, argument: wrong})

        if not isinstance(value, Tensor):  # terms of another dtype
            return refused((ValueError, TypeError), value.to(dtype=torch.float64))
        refused((ValueError, TypeError), "text")
        refused((ValueError, TypeError), value.new_empty(value.shape, dtype=torch.int64))
        if not first:
            refused((ValueError, TypeError), value.to("meta"))
        if value.is_floating_point():
            if len(arguments) > 1:
                refused((ValueError, TypeError), value.double())
            if argument not in self.any_tail:
                refused(ValueError, torch.cat((value, value), -1))
            if not first and argument not in self.constant:
                with pytest.raises(ValueError, match=rf"^{self.op}: the batch shapes do not broadcast.*{argument}"):
                    self.run(ops, {**arguments, argument: torch.cat((value, value[:1]), 0)})

    def core_calls(self, monkeypatch) -> list[tuple[str, list[Any]]]:
        """The calls of `_core` behind one forward and backward pass, made with NumPy arrays."""
        seen = CoreCalls()
        with monkeypatch.context() as patch:
            patch.setattr(_border, "_core", seen)
            patch.setattr(_border, "to_dlpack", lambda t: t.detach().numpy())
            arguments = self.build((3,))
            with_numpy = self.run(ops, arguments) + self.differentiate(ops, arguments)
        with_capsules = self.run(ops, arguments) + self.differentiate(ops, arguments)
        for got, want in zip(with_numpy, with_capsules, strict=True):
            assert torch.equal(got, want)
        assert {name for name, _ in seen.calls} >= {self.op, f"{self.op}_backward"}
        return list({name: (name, args) for name, args in seen.calls if not name.endswith("_scratch")}.values())

    def test_core_refuses_wrong_arrays(self, monkeypatch, on_cpu):
        def refused(name, arguments, k, *wrong):
            """How many of the wrong arrays `_core` refuses, each time in a message that opens with the op."""
            messages = []
            for value in wrong:
                try:
                    getattr(_core, name)(*arguments[:k], value, *arguments[k + 1 :])
                except (TypeError, ValueError) as error:
                    messages.append(str(error))
            assert all(m.startswith(f"{name}: ") and ("wanted" in m or "out of range" in m) for m in messages), messages
            return len(messages)

        for name, arguments in self.core_calls(monkeypatch):
            assert refused(name, arguments, 0, None, [1.0], "text") == 3
            for k, array in enumerate(arguments):
                if not isinstance(array, np.ndarray):
                    continue
                with np.errstate(all="ignore"):  # outputs came in with anything in them
                    other = array.astype(np.int64 if array.dtype == np.int32 else np.float32)
                assert refused(name, arguments, k, other), (name, k, "dtype")
                assert refused(name, arguments, k, array[..., None]), (name, k, "axes")
                longer = (np.concatenate((array, array), axis) for axis in (0, -1))
                assert refused(name, arguments, k, *longer), (name, k, "shape")
                if not repack(array).flags.c_contiguous:
                    assert refused(name, arguments, k, repack(array)), (name, k, "contiguity")

    def test_core_takes_a_capsule_once(self, monkeypatch, on_cpu):
        for name, arguments in self.core_calls(monkeypatch):
            capsule = torch.utils.dlpack.to_dlpack(torch.from_numpy(arguments[0]))
            getattr(_core, name)(capsule, *arguments[1:])
            with pytest.raises(TypeError, match=rf"^{name}: .*: wanted a fresh DLPack capsule, got one that was used"):
                getattr(_core, name)(capsule, *arguments[1:])

    # The CPU launcher: instruction sets, threads, repetition.

    def test_every_instruction_set_agrees_with_the_reference(self, isa, dtype):
        self.agree(self.build((37,)), dtype, "cpu")

    def test_threads_change_nothing(self, dtype, device, monkeypatch):
        arguments = convert(self.build((70,)), dtype, device)
        results = []
        for threads in (1, 1, 2, 5):
            with monkeypatch.context() as patch:
                patch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
                results.append(self.run(ops, arguments) + self.differentiate(ops, arguments))
        for other in results[1:]:
            for got, want in zip(other, results[0], strict=True):
                assert torch.equal(got, want)


class SlowOpTests(OpTests):
    """The same, and one pass through the default compiler."""

    @pytest.mark.slow
    def test_inductor(self, device):
        self.compiled_agrees(device, "inductor")
