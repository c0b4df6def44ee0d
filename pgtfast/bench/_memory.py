"""Peak memory of one call, in a fresh process: `python -m pgtfast.bench._memory NAME FOLDER BATCH THREADS` prints MiB
added and MiB of the vertex array."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path

import numpy as np
import torch

from ._body import VERTICES
from ._contestants import Contestant, Ours
from ._rivals import RIVALS
from ._tasks import make_inputs
from .results import status_mib


def main(name: str, folder: str, batch: int, threads: int) -> None:
    """Warm up with one body, then measure what one call over the batch adds at its peak."""
    torch.set_num_threads(threads)
    regressor = np.load(Path(folder) / "landmarks.npy")
    classes: tuple[type[Contestant], ...] = (Ours, *RIVALS)
    contestant = next(c for c in classes if c.name == name)(Path(folder), regressor)
    contestant.task("fb_v", make_inputs(1))()
    call = contestant.task("fb_v", make_inputs(batch))
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = status_mib("VmRSS") or 0.0
    call()
    print((status_mib("VmHWM") or 0.0) - before, batch * VERTICES * 12 / 2**20)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
