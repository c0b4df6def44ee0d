"""What pgtfast means to reach at batch 256: at most this share of the fastest rival's time in the same run, and of
smplx's.
"""

from __future__ import annotations

from typing import NamedTuple


class Target(NamedTuple):
    """Shares of others' time; None where nothing is set."""

    fastest: float
    smplx: float | None = None


BATCH = 256
TARGETS = {
    "fwd_r": Target(1 / 8, 1 / 150),
    "fb_r": Target(1 / 5, 1 / 120),
    "fb_j": Target(1 / 4),
    "fwd_vj": Target(1 / 3),
    "fb_v": Target(1 / 2.7),
    "j": Target(1 / 4, 1 / 200),
    "r": Target(1 / 6),
    "vp": Target(1 / 3.5),
}
SINGLE = {"fb_j": "smplfitter (jax)"}
"""At batch 1, through torch: below this rival's time."""
PEAK_MEMORY = 2.5
"""Peak memory of a forward + backward over 1,024 bodies, in vertex arrays."""
