"""Compare the ops on emulated CUDA kernels with the fp64 references: `python -m tests.cuda_emulation.compare MODULE`.

Each case runs with the shared memory of two generations of devices and with the threads in three orders, which must
agree to the last bit. The error
against fp64 may be twice that of plain PyTorch in float32. A case beyond that is drawn seven times more, its inputs
moved in their last place, and judged by
the mean of both errors: where a point is almost in the camera one rounding is blown up, and may be small in PyTorch by
chance.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType

import torch
from torch import Tensor

import pgtfast
from tests.ops.bodies import body_arguments, decoder_terms, landmark_terms, parents_of, skin_terms

FLOOR = 3e-6
"""Errors up to this are good in sums over SMPL's features; rounding grows with the square root of their number (the
kernels add in one row, PyTorch in blocks)."""
FEATURES = 218
LAST_PLACE = 2**-23
BODIES = [  # batch, joints, betas, pose features
    ((33,), 24, 10, True),
    ((2, 3), 55, 20, True),
    ((1,), 64, 300, True),
    ((4,), 1, 3, True),
    ((3,), 24, 10, False),
    ((0,), 24, 10, True),
]


def load_core(path: str) -> None:
    """Put the emulated module in the place of `pgtfast._core`."""
    sys.setdlopenflags(os.RTLD_LAZY)  # the CPU kernels are not linked in; nothing here calls them
    loader = importlib.machinery.ExtensionFileLoader("pgtfast._core", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("pgtfast._core", loader))
    loader.exec_module(module)
    sys.modules["pgtfast._core"] = pgtfast._core = module


def values_and_grads(call: Callable, tensors: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """Outputs of call(*tensors) and the gradients of their product with a fixed random cotangent."""
    leaves = [t.detach().to(dtype).requires_grad_() for t in tensors]
    outputs = call(*leaves)
    outputs = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
    g = torch.Generator().manual_seed(5)
    total = sum((o * torch.randn(o.shape, generator=g, dtype=torch.float64).to(dtype)).sum() for o in outputs)
    grads = torch.autograd.grad(total, leaves, allow_unused=True)
    return [o.detach() for o in outputs] + [
        torch.zeros_like(t) if d is None else d for t, d in zip(leaves, grads, strict=True)
    ]


def distance(got: Sequence[Tensor], want: Sequence[Tensor]) -> float:
    """Largest relative L2 distance; infinite where a value is not finite."""
    worst = 0.0
    for a, b in zip(got, want, strict=True):
        if a.numel():
            error = float((a.double() - b.double()).norm() / b.double().norm().clamp(min=1e-12))
            worst = max(worst, error if error == error else float("inf"))
    return worst


class Comparison:
    def __init__(self) -> None:
        from pgtfast import ops, reference

        self.ops, self.reference, self.failures, self.cases = ops, reference, 0, 0

    def __call__(self, name: str, call: Callable, *tensors: Tensor, features: int = FEATURES) -> None:
        """call(module, dtype, *tensors) -> outputs, with module ops or reference."""
        floor = FLOOR * max(1.0, features / FEATURES) ** 0.5

        def results(module: ModuleType, dtype: torch.dtype, inputs: Sequence[Tensor]) -> list[Tensor]:
            return values_and_grads(lambda *t: call(module, dtype, *t), inputs, dtype)

        def errors(inputs: Sequence[Tensor], got: list[Tensor]) -> tuple[float, float]:
            want = results(self.reference, torch.float64, inputs)
            return distance(got, want), distance(results(self.reference, torch.float32, inputs), want)

        for shared in ("232448", "101376"):
            os.environ["EMULATED_SHARED"] = shared
            runs = []
            for order in os.environ.get("EMULATED_ORDERS", "012"):
                os.environ["EMULATED_ORDER"] = order
                runs.append(results(self.ops, torch.float32, tensors))
            stable = all(torch.equal(a, b) for run in runs[1:] for a, b in zip(runs[0], run, strict=True))
            error, plain = errors(tensors, runs[0])
            if error > max(floor, 2 * plain):
                g, drawn = torch.Generator().manual_seed(9), [(error, plain)]
                for _ in range(7):
                    moved = [
                        t * (1 + LAST_PLACE * (2 * torch.rand(t.shape, generator=g, dtype=t.dtype) - 1))
                        for t in tensors
                    ]
                    drawn.append(errors(moved, results(self.ops, torch.float32, moved)))
                error, plain = (sum(each) / len(drawn) for each in zip(*drawn, strict=True))
            good = stable and error <= max(floor, 2 * plain)
            self.cases += 1
            self.failures += not good
            if not good:
                order_text = "" if stable else ", depends on the order of threads"
                print(f"FAILED {name}, {shared} bytes shared: error {error:.1e}, plain PyTorch {plain:.1e}{order_text}")


def compare_bodies(compare: Comparison) -> None:
    for batch, joints, betas, features in BODIES:
        size = {"joints": joints, "betas": betas, "pose_features": features}
        body = body_arguments(batch, joints, betas)
        matrices = compare.reference.rotvec_to_matrix(body[0])
        tag = f"batch {batch}, {size}"
        for count in (17, 150):

            def landmarks(m, dtype, *t, k=count, size=size):
                return m.landmarks(*t, landmark_terms(dtype=dtype, landmarks=k, **size))

            compare(f"landmarks {count} {tag}", landmarks, *body)
        compare(f"landmarks of matrices {tag}", landmarks, matrices, *body[1:])
        for count in (53, 700):

            def vertices(m, dtype, *t, v=count, size=size):
                return m.vertices(*t, skin_terms(dtype=dtype, vertices=v, **size))

            compare(f"vertices {count} {tag}", vertices, *body)

        def posed_only(m, dtype, pose, size=size):
            return m.vertices(pose, None, None, skin_terms(dtype=dtype, vertices=30, **size))

        compare(f"vertices of pose alone {tag}", posed_only, body[0])
        offsets = torch.randn(*batch, joints, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        compare(
            f"forward_kinematics {tag}",
            lambda m, _, r, o, j=joints: m.forward_kinematics(r, o, parents_of(j)),
            matrices,
            offsets,
        )
        compare_losses(compare, tag, size, batch, body)


def compare_losses(compare: Comparison, tag: str, size: dict, batch: tuple[int, ...], body: tuple[Tensor, ...]) -> None:
    g = torch.Generator().manual_seed(3)
    latent = torch.randn(*batch, 32, generator=g, dtype=torch.float64)
    for loss, norm, model, reduction, count in (
        ("l1", "coordinate", "perspective", "none", 17),
        ("geman_mcclure", "euclidean", "perspective", "mean", 150),
        ("mse", "coordinate", "weak", "none", 17),
    ):
        weights = (torch.rand(*batch, count, generator=g, dtype=torch.float64) - 0.3).clamp(min=0)
        keypoints = torch.randn(*batch, count, 2, generator=g, dtype=torch.float64) * 100 + 500
        keypoints[weights == 0] = torch.nan

        def keypoint_loss(
            m,
            dtype,
            pose,
            betas,
            transl,
            z,
            k=count,
            target=(keypoints, weights),
            options=(loss, norm, model, reduction),
        ):
            camera = {
                "focal": torch.full((2,), 800.0, dtype=dtype).expand(*batch, 2),
                "center": torch.full((2,), 512.0, dtype=dtype).expand(*batch, 2),
            }
            chosen = dict(zip(("loss", "norm", "model", "reduction"), options, strict=True))
            terms = landmark_terms(dtype=dtype, landmarks=k, **size)
            points, trust = (t.to(dtype) for t in target)
            return m.keypoint_loss(
                pose,
                betas,
                transl,
                terms,
                keypoints=points,
                weights=trust,
                latent=z,
                latent_weight=0.3,
                betas_weight=0.2,
                **camera,
                **chosen,
            )

        name = f"keypoint_loss {loss} {norm} {model} {reduction} {count} {tag}"
        features = 1 + body[1].shape[-1] + 9 * (body[0].shape[-2] - 1)
        compare(name, keypoint_loss, *body, latent, features=features)


def compare_rows(compare: Comparison) -> None:
    for batch in ((1000,), (0,), (2, 3)):
        g = torch.Generator().manual_seed(2)

        def random(*tail, batch=batch, g=g):
            return torch.randn(*batch, *tail, dtype=torch.float64, generator=g)

        rotvec = random(3)
        compare(f"rotvec_to_matrix {batch}", lambda m, _, r: m.rotvec_to_matrix(r), rotvec)
        compare(
            f"matrix_to_rotvec {batch}",
            lambda m, _, r: m.matrix_to_rotvec(r),
            compare.reference.rotvec_to_matrix(rotvec),
        )
        for layout in ("column", "row"):
            compare(
                f"rot6d_to_matrix {layout} {batch}",
                lambda m, _, x, layout=layout: m.rot6d_to_matrix(x, layout),
                random(6),
            )
        for count in (0, 1, 17, 40):
            points = random(count, 3) + torch.tensor([0.0, 0.0, 5.0], dtype=torch.float64)
            for model in ("perspective", "weak"):
                compare(
                    f"project {model} {count} {batch}",
                    lambda m, _, p, f, c, model=model: m.project(p, f, c, model),
                    points,
                    random(2).exp(),
                    random(2),
                )
            if count > 3:
                weights = random(count).abs()
                for trust in (weights, None):

                    def align(m, dtype, p, t, trust=trust):
                        return m.procrustes_align(
                            p, t, None if trust is None else trust.to(dtype), with_scale=trust is None
                        )

                    compare(f"procrustes_align {count} {batch}", align, points, points + 0.3 * random(count, 3))
    for sizes in (
        {},
        {"slope": 0.0},
        {"hidden": 50, "rotations": 5, "latents": 7},
        {"hidden": 8, "rotations": 21, "latents": 64},
    ):
        for count in (0, 40):
            latent = torch.randn(
                count, sizes.get("latents", 32), dtype=torch.float64, generator=torch.Generator().manual_seed(4)
            )
            compare(
                f"vposer_decode {count} {sizes}",
                lambda m, dtype, z, sizes=sizes: m.vposer_decode(z, decoder_terms(dtype=dtype, **sizes)),
                latent,
            )


def main() -> int:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)  # memory of new tensors starts as NaN: what is read must have been written
    load_core(sys.argv[1])
    compare = Comparison()
    compare_bodies(compare)
    compare_rows(compare)
    print(f"{compare.cases} cases, {compare.failures} failed")
    return int(compare.failures > 0)


if __name__ == "__main__":
    sys.exit(main())
