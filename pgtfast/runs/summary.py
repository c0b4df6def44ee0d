"""What a run came to, in run.json and in words."""

from __future__ import annotations

import platform
from collections import Counter
from datetime import datetime, timezone
from importlib.metadata import version

import numpy as np
import pyarrow.compute as pc

from ..people import Skip
from .parts import Store, iter_records


def finish_run(store: Store, *, read: int, done: int, seconds: float, device: str, threads: int, verb: str) -> None:
    """Write in run.json what the run came to, and say it.

    Args:
        store: with all its parts.
        read: people of the input.
        done: people that this process made bodies for.
        seconds: that it took.
        device: that it ran on.
        threads: of the CPU.
        verb: what was done to them, "fitted".
    """
    written, valid, skipped = 0, 0, Counter[str]()
    sums = {name: np.zeros(2) for name in ("reprojection_px", "reprojection_rel")}
    for table in iter_records(store.folder, columns=("valid", "reason", *sums)):
        written += len(table)
        valid += pc.sum(table["valid"]).as_py() or 0
        skipped.update(str(Skip.parse(reason).code) for reason in table["reason"].drop_null().to_pylist())
        for name, total in sums.items():
            values = table[name].drop_null().to_numpy()
            total += values.sum(dtype=np.float64), len(values)
    means = {name: float(total / count) if count else None for name, (total, count) in sums.items()}
    rate = done / max(seconds, 1e-9)
    versions = {name: version(name) for name in ("pgtfast", "torch", "numpy")}
    store.write_run(
        finished=True,
        finished_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={**versions, "python": platform.python_version()},
        device=device,
        threads=threads,
        counts={"read": read, "written": written, "valid": valid, "skipped": dict(sorted(skipped.items()))},
        rates={"people": done, "seconds": round(seconds, 3), "people_per_second": round(rate, 2)},
        mean=means,
    )
    print(
        f"{store.folder}: {written} people, {valid} with a body; {verb} {done} in {seconds:.1f} s ({rate:.1f} people/s)"
    )
    pixels, fraction = means["reprojection_px"], means["reprojection_rel"]
    if pixels is not None and fraction is not None:
        print(f"mean keypoint error {pixels:.2f} px, {100 * fraction:.2f} % of the box")
    for code, number in sorted(skipped.items()):
        print(f"skipped {number}: {code}")
