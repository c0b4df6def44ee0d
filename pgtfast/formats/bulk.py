"""What every run over many people does at its ends: who is left, what it came to, what is exported."""

from __future__ import annotations

import platform
from collections import Counter
from datetime import datetime, timezone
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from .neuralannot import write_neuralannot
from .store import Store, iter_records, read_records

if TYPE_CHECKING:
    from ..people import People


def people_keys(people: People) -> list[tuple]:
    """(dataset, image_path, annotation_id) of each, as the store has them."""
    return [
        (people.dataset, path, int(number))
        for path, number in zip(people.image_path, people.annotation_id, strict=True)
    ]


def left_over(people: People, store: Store) -> np.ndarray:
    """(N,) bool: the people that the store has no row of yet."""
    done = store.keys()
    return np.array([key not in done for key in people_keys(people)], bool)


def finish_run(
    store: Store, *, read: int, done: int, seconds: float, device: str, threads: int, verb: str, torch: str
) -> None:
    """Write in run.json what the run came to, and say it.

    Args:
        store: with all its parts.
        read: people of the input.
        done: people that this process made bodies for.
        seconds: that it took.
        device: that it ran on.
        threads: of the CPU.
        verb: what was done to them, "fitted".
        torch: its version.
    """
    written, valid, skipped = 0, 0, Counter[str]()
    sums = {name: np.zeros(2) for name in ("reprojection_px", "reprojection_rel")}
    for table in iter_records(store.folder, columns=("valid", "reason", *sums)):
        written += len(table)
        valid += sum(table["valid"].to_pylist())
        skipped.update(reason.partition(":")[0] for reason in table["reason"].to_pylist() if reason is not None)
        for name, total in sums.items():
            values = table[name].drop_null().to_numpy()
            total += values.sum(dtype=np.float64), len(values)
    means = {name: float(total / count) if count else None for name, (total, count) in sums.items()}
    rate = done / max(seconds, 1e-9)
    store.write_run(
        finished=True,
        finished_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={
            "pgtfast": version("pgtfast"),
            "torch": torch,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        device=device,
        threads=threads,
        counts={
            "read": read,
            "written": written,
            "valid": valid,
            "skipped": dict(sorted(skipped.items())),
        },
        rates={"people": done, "seconds": round(seconds, 3), "people_per_second": round(rate, 2)},
        mean=means,
    )
    print(
        f"{store.folder}: {written} people, {valid} with a body; {verb} {done} in {seconds:.1f} s ({rate:.1f} people/s)"
    )
    pixels, share = means["reprojection_px"], means["reprojection_rel"]
    if pixels is not None and share is not None:
        print(f"mean keypoint error {pixels:.2f} px, {100 * share:.2f} % of the box")
    for code, number in sorted(skipped.items()):
        print(f"skipped {number}: {code}")


def export_neuralannot(store: Store, body_kind: str, min_quality: float | None = None) -> None:
    """Write the valid people of a run, with `min_quality` those of at least this quality, as RUN/export/<dataset>_<BODY>_NeuralAnnot.json."""
    folder = store.folder / "export"
    folder.mkdir(exist_ok=True)
    path = folder / f"{store.config['dataset']}_{body_kind.upper()}_NeuralAnnot.json"
    table = read_records(store.folder)
    if min_quality is not None:
        valid = sum(table["valid"].to_pylist())
        table = table.filter(pc.field("quality") >= min_quality)  # null is no more than anything
    written = write_neuralannot(path, table)
    left = (
        "" if min_quality is None else f"; {valid - written} are left out, of quality below {min_quality:g} or of none"
    )
    print(f"{path}: {written} people{left}")
    if body_kind != "smpl":
        print(
            f"{path}: parameters of the {body_kind!r} body; its shape is not SMPL's, so SMPL's mesh will not fit the photos as well"
        )
