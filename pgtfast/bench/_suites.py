"""The suites, one after the other."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._config import BenchConfig
from .results import check_json, write_json


@dataclass(frozen=True, eq=False)
class BenchResult:
    """What was measured."""

    values: dict[str, Any]
    """All that `--json` writes."""

    @property
    def exit_code(self) -> int:
        """1 where a contestant's results were wrong."""
        return 1 if self.values["wrong"] else 0

    def __repr__(self) -> str:
        return f"BenchResult(rows={len(self.values['rows'])}, wrong={len(self.values['wrong'])})"


def limit_threads(threads: int) -> None:
    """Hold every library to `threads`: variables before they load, and that many cores for those that ask the
    system."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if threads < len(cores):
            os.sched_setaffinity(0, set(cores[:threads]))


def run(config: BenchConfig) -> BenchResult:
    """Run the suites asked for and print as they go; arguments and errors of :func:`pgtfast.bench.bench`."""
    check_json(config.json)
    limit_threads(config.threads)

    import numpy as np
    import torch

    from . import _report, _rivals
    from ._body import VERTICES, random_body, write_body
    from ._floor import floors, measure_machine
    from ._run import Results, load_contestants, run_fit, run_memory, run_ops

    torch.set_num_threads(config.threads)
    _rivals.allow_recompiling()
    results = Results(machine=measure_machine())
    assert results.machine is not None
    body = random_body()
    influences = float((body.arrays["weights"] > 0).sum()) / VERTICES
    print(
        f"{config.threads} threads; this machine: {results.machine.gflops:.0f} GFLOP/s in a float32 product of 2048^3, "
        f"{results.machine.copy_gbs:.1f} GB/s copied\n"
        f"random body of SMPL's shape: {body.pairs} (landmark, bone) pairs, {influences:.2f} bones a vertex"
    )

    def show(title: str, rows: list) -> None:
        print(f"\n{title}\n{_report.table(rows)}", flush=True)

    def floors_of(batch: int):
        return floors(body.pairs, batch, influences)

    if config.suites == ("floor",):
        print(_report.floor_table(floors_of(256), results.machine))
    else:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_body(body, folder)
            np.save(folder / "landmarks.npy", body.landmarks)
            contestants = load_contestants(config.against, folder, body, not config.no_compile, results)
            if "ops" in config.suites:
                run_ops(contestants, config, floors_of, results, show)
            if "fit" in config.suites:
                run_fit(contestants, config, floors_of, results, show)
            if "memory" in config.suites:
                run_memory(contestants, folder, results)
                print(_report.memory_table(results.rows))
    found = _report.verdicts(results)
    if found:
        print(f"\ntargets\n{_report.verdict_table(found)}")
    for text in results.left_out:
        print(f"left out: {text}")
    for text in results.wrong:
        print(f"WRONG, not timed: {text}", file=sys.stderr)
    told = {k: str(v) if isinstance(v, Path) else v for k, v in vars(config).items()}
    values = {"config": told, **_report.as_json(results)}
    write_json(config.json, values)
    return BenchResult(values)
