"""`python -m pgtfast.bench [SUITE ...] [--against PACKAGE,...] [--json FILE]`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from .._cli import run
from .._errors import PgtfastError
from ._json import check_json, write_json

SUITES = ("floor", "ops", "fit", "memory")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="pgtfast bench",
        description="Times pgtfast against other packages on a random body in SMPL's shape: one run, the same inputs, correctness first (against smplx "
        "where it takes part, else pgtfast.reference in float64), samples interleaved. Times are medians [quartiles] in ms a body on the CPU; the floor "
        "is the least flops and bytes of the work at this machine's measured speeds. `pgtfast bench annotate` times the bulk run, `pgtfast bench convert` the "
        "converter, `pgtfast bench loader` the reading of images; each has its own --help.",
    )
    p.add_argument("suite", nargs="*", help=f"{', '.join(SUITES)}; all by default")
    p.add_argument(
        "--against",
        default="",
        metavar="PACKAGE,...",
        help="smplx, body-models, smplfitter; compiled and JAX variants come along",
    )
    p.add_argument("--json", type=Path, metavar="FILE", help="write all results there")
    p.add_argument(
        "--batches", default="1,16,256,1024", help="bodies a call (%(default)s); variants that compile run at 256 alone"
    )
    p.add_argument(
        "--tasks", default="", help="of the suite ops: fwd_r, fb_r, fwd_j, fb_j, fwd_vj, fb_v; all by default"
    )
    p.add_argument(
        "--fits",
        default="j,r,vp",
        help="of the suite fit: j (24 joints), r (17 surface joints), vp (through a decoder)",
    )
    p.add_argument("--threads", type=int, default=2, help="threads of every contestant (%(default)s)")
    p.add_argument("--rounds", type=int, default=9, help="samples of each contestant (%(default)s)")
    p.add_argument("--window", type=float, default=0.15, help="least seconds of one sample (%(default)s)")
    p.add_argument(
        "--budget",
        type=float,
        default=30.0,
        help="seconds a cell may take before it stops at three rounds (%(default)s)",
    )
    p.add_argument(
        "--no-compile",
        action="store_true",
        help="leave out the variants under torch.compile (they take minutes to compile)",
    )
    p.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return p


def names(option: str, text: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """A list separated by commas, checked."""
    chosen = tuple(x.strip() for x in text.split(",") if x.strip())
    for name in chosen:
        if name not in allowed:
            raise PgtfastError(f"{option}: wanted names of {', '.join(allowed)}, got {name!r}")
    return chosen


def limit_threads(threads: int) -> None:
    """Hold every library to `threads`: variables before they load, and that many cores for those that ask the system."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if threads < len(cores):
            os.sched_setaffinity(0, set(cores[:threads]))


def main(arguments: list[str]) -> int:
    """Run the suites asked for and print as they go."""
    if arguments[:1] == ["annotate"]:
        from ._annotate import main as annotate

        return annotate(arguments[1:])
    if arguments[:1] == ["convert"]:
        from ._convert import main as convert

        return convert(arguments[1:])
    if arguments[:1] == ["loader"]:
        from ._loader import main as loader

        return loader(arguments[1:])
    p = parser()
    args = p.parse_args(arguments)
    if args.threads < 1 or args.rounds < 1:
        raise PgtfastError(f"--threads, --rounds: wanted at least 1, got {args.threads}, {args.rounds}")
    try:
        batches = tuple(int(x) for x in args.batches.split(","))
    except ValueError:
        batches = ()
    if not batches or min(batches) < 1:
        raise PgtfastError(f"--batches: wanted positive integers separated by commas, got {args.batches!r}")
    check_json(args.json)
    suites = names("suite", ",".join(args.suite), SUITES) or SUITES
    limit_threads(args.threads)

    import numpy as np
    import torch

    from . import _report, _rivals
    from ._body import VERTICES, random_body, write_body
    from ._floor import floors, measure_machine
    from ._run import Options, Results, load_contestants, run_fit, run_memory, run_ops
    from ._tasks import FITS, TASKS

    torch.set_num_threads(args.threads)
    against = names("--against", args.against, _rivals.FAMILIES)
    options = Options(
        suites=suites, batches=batches, tasks=names("--tasks", args.tasks, tuple(TASKS)) or tuple(TASKS),
        fits=names("--fits", args.fits, tuple(FITS)), rounds=args.rounds, window=args.window, budget=args.budget, compiled=not args.no_compile,
    )  # fmt: skip
    _rivals.allow_recompiling()
    results = Results(machine=measure_machine())
    assert results.machine is not None
    body = random_body()
    influences = float((body.arrays["weights"] > 0).sum()) / VERTICES
    print(
        f"{args.threads} threads; this machine: {results.machine.gflops:.0f} GFLOP/s in a float32 product of 2048^3, {results.machine.copy_gbs:.1f} GB/s copied\n"
        f"random body of SMPL's shape: {body.pairs} (landmark, bone) pairs, {influences:.2f} bones a vertex"
    )

    def show(title: str, rows: list) -> None:
        print(f"\n{title}\n{_report.table(rows)}", flush=True)

    def floors_of(batch: int):
        return floors(body.pairs, batch, influences)

    if suites != ("floor",):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_body(body, folder)
            np.save(folder / "landmarks.npy", body.landmarks)
            contestants = load_contestants(against, folder, body, options.compiled, results)
            if "ops" in suites:
                run_ops(contestants, options, floors_of, results, show)
            if "fit" in suites:
                run_fit(contestants, options, floors_of, results, show)
            if "memory" in suites:
                run_memory(contestants, folder, results)
                print("\npeak memory of a loss on all vertices, forward + backward")
                for r in results.rows:
                    if r["suite"] == "memory":
                        print(
                            f"  {r['name']:24s} {r['mib']:8.0f} MiB for {r['batch']} bodies: {r['vertex_arrays']:.2f} vertex arrays"
                        )
    else:
        for task, floor in floors_of(256).items():
            print(
                f"  {TASKS.get(task) or FITS[task]:64s} {floor.ms(results.machine):.5f} ms  {floor.flops / 1e6:.3f} MFLOP  {floor.bytes / 1e3:.2f} kB"
            )
    found = _report.verdicts(results)
    if found:
        print(f"\ntargets\n{_report.verdict_table(found)}")
    for text in results.left_out:
        print(f"left out: {text}")
    for text in results.wrong:
        print(f"WRONG, not timed: {text}", file=sys.stderr)
    write_json(args.json, arguments, _report.as_json(results))
    return 1 if results.wrong else 0


if __name__ == "__main__":
    raise SystemExit(run("bench", main))
