"""What this machine can do at best, and what each task must do at least."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from ._body import BETAS, JOINTS, POSES, VERTICES

COLUMNS = BETAS + POSES


@dataclass(frozen=True)
class Machine:
    """Measured ceilings."""

    gflops: float
    """Of a large float32 product."""
    copy_gbs: float
    """Bytes read plus bytes written, of a copy far larger than the caches."""


@dataclass(frozen=True)
class Floor:
    """Least work of one body."""

    flops: float
    bytes: float

    def ms(self, machine: Machine) -> float:
        """The longer of computing and moving, as if they overlapped perfectly."""
        return 1e3 * max(self.flops / (machine.gflops * 1e9), self.bytes / (machine.copy_gbs * 1e9))


def measure_machine(seconds: float = 1.0) -> Machine:
    """Best of repeated products of 2048^3 and of repeated copies of 256 MiB."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    out = torch.empty(2048, 2048)
    source = torch.randn(64 * 2**20)
    target = torch.empty_like(source)
    product = _best(lambda: torch.mm(a, b, out=out), seconds)
    copy = _best(lambda: target.copy_(source), seconds)
    return Machine(2 * 2048**3 / product / 1e9, 2 * 4 * source.numel() / copy / 1e9)


def _best(call, seconds: float) -> float:
    call()
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < seconds:
        once = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - once)
    return best


def floors(pairs: int, batch: int, influences: float) -> dict[str, Floor]:
    """Flops and bytes that one body needs, the constants of the body shared by the batch.

    Args:
        pairs: (landmark, bone) pairs of the surface landmarks.
        batch: bodies of one call; the constants are read once for all of them.
        influences: mean number of bones of a vertex.
    """
    chain = JOINTS * (60 + 45 + 15)  # Rodrigues, product of rotations, position of the joint
    rest = 2 * JOINTS * 3 * BETAS
    inputs = 4 * (3 * JOINTS + BETAS + 3)
    moments = 2 * 3 * pairs * COLUMNS
    place = pairs * 21
    blend = 2 * 3 * VERTICES * COLUMNS
    skin = VERTICES * (influences * 24 + 18)
    basis = 4 * 3 * VERTICES * COLUMNS / batch
    mesh = 4 * 3 * VERTICES
    landmark_constants = 4 * 3 * pairs * COLUMNS / batch
    decoder = 2 * (32 * 512 + 512 * 512 + 512 * 126)
    forward_j = chain + rest
    forward_r = forward_j + moments + place
    # backward: products with the transposed basis, the chain twice over; nothing else but the gradients of the inputs
    # is written
    return {
        "fwd_j": Floor(forward_j, inputs + 12 * JOINTS),
        "fwd_r": Floor(forward_r, inputs + 12 * 17 + landmark_constants),
        "fb_j": Floor(3 * forward_j, 2 * inputs + 12 * JOINTS),
        "fb_r": Floor(3 * forward_j + 2 * moments + 3 * place, 2 * inputs + 12 * 17 + landmark_constants),
        "fwd_vj": Floor(forward_j + blend + skin, inputs + mesh + basis),
        "fb_v": Floor(3 * forward_j + 2 * blend + 3 * skin, 2 * inputs + 2 * mesh + basis),
        "j": Floor(3 * forward_j, 8 * inputs),
        "r": Floor(3 * forward_j + 2 * moments + 3 * place, 8 * inputs + landmark_constants),
        "vp": Floor(3 * forward_j + 2 * decoder, 8 * inputs + 4 * decoder / 2 / batch),
    }
