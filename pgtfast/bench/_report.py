"""Tables for a person, JSON for a machine."""

from __future__ import annotations

from typing import Any

import torch

from . import _targets
from ._floor import Floor, Machine
from ._run import Results
from ._tasks import FITS, TASKS
from .results import about_machine

PACKAGES = ("pgtfast", "torch", "numpy", "smplx", "body-models", "smplfitter", "jax")


def table(rows: list[dict[str, Any]]) -> str:
    """Contestants of one task, the fastest first."""
    ours = next((r for r in rows if r["name"] == "pgtfast"), None)
    lines = []
    for r in sorted(rows, key=lambda r: r["ms"]):
        ratio = f"{r['ms'] / ours['ms']:8.1f} x pgtfast" if ours and r is not ours else ""
        spread = f"[{r['ms_q1']:.4g}, {r['ms_q3']:.4g}]"
        lines.append(f"  {r['name']:24s} {r['ms']:10.5f} ms  {spread:24s} {'' if r['quiet'] else 'noisy  '}{ratio}")
    floor = rows[0] if rows else None
    if floor:
        lines.append(
            f"  {'floor':24s} {floor['floor_ms']:10.5f} ms  {floor['flops'] / 1e6:.3f} MFLOP, "
            f"{floor['bytes'] / 1e3:.2f} kB a body"
        )
    return "\n".join(lines)


def verdicts(results: Results) -> list[dict[str, Any]]:
    """Each target beside what was measured."""
    found = []
    for task, target in _targets.TARGETS.items():
        suite = "ops" if task in TASKS else "fit"
        cell = {
            r["name"]: r
            for r in results.rows
            if r["suite"] == suite and r["task"] == task and (suite == "fit" or r["batch"] == _targets.BATCH)
        }
        ours = cell.pop("pgtfast", None)
        if ours is None or not cell:
            continue
        fastest = min(cell.values(), key=lambda r: r["ms"])
        entry = {
            "task": task,
            "work": TASKS.get(task) or FITS[task],
            "ours_ms": ours["ms"],
            "floor_ms": ours["floor_ms"],
        }
        found.append(_verdict(entry, fastest, target.fastest))
        if target.smplx and "smplx" in cell:
            found.append(_verdict(entry, cell["smplx"], target.smplx))
    for task, rival in _targets.SINGLE.items():
        cell = {r["name"]: r for r in results.rows if r["suite"] == "ops" and r["task"] == task and r["batch"] == 1}
        if "pgtfast" in cell and rival in cell:
            entry = {
                "task": task,
                "work": f"batch 1: {TASKS[task]}",
                "ours_ms": cell["pgtfast"]["ms"],
                "floor_ms": cell["pgtfast"]["floor_ms"],
            }
            found.append(_verdict(entry, cell[rival], 1.0))
    for r in results.rows:
        if r["suite"] == "memory" and r["name"] == "pgtfast":
            found.append(
                {
                    "task": "memory",
                    "work": f"peak memory, forward + backward, {r['batch']} bodies",
                    "measured": r["vertex_arrays"],
                    "target": _targets.PEAK_MEMORY,
                    "unit": "vertex arrays",
                    "reached": r["vertex_arrays"] <= _targets.PEAK_MEMORY,
                }
            )
    return found


def _verdict(entry: dict[str, Any], rival: dict[str, Any], target: float) -> dict[str, Any]:
    share = entry["ours_ms"] / rival["ms"]
    return dict(
        entry,
        rival=rival["name"],
        rival_ms=rival["ms"],
        measured=share,
        target=target,
        unit="of the rival's time",
        reached=share <= target,
    )


def verdict_table(found: list[dict[str, Any]]) -> str:
    """The targets as a person reads them."""
    lines = []
    for v in found:
        mark = "reached" if v["reached"] else "NOT REACHED"
        if "rival" in v:
            text = (
                f"{v['ours_ms']:.5f} ms, {v['rival']} {v['rival_ms']:.5f} ms: "
                f"1/{1 / v['measured']:.1f}, wanted 1/{1 / v['target']:.1f}"
            )
        else:
            text = f"{v['measured']:.2f} {v['unit']}, wanted {v['target']}"
        lines.append(f"  {mark:12s} {v['work']}: {text}")
    return "\n".join(lines)


def floor_table(floors: dict[str, Floor], machine: Machine) -> str:
    """The least time of each task and fit on a machine."""
    return "\n".join(
        f"  {TASKS.get(task) or FITS[task]:64s} {floor.ms(machine):.5f} ms  {floor.flops / 1e6:.3f} MFLOP  "
        f"{floor.bytes / 1e3:.2f} kB"
        for task, floor in floors.items()
    )


def memory_table(rows: list[dict[str, Any]]) -> str:
    """Rows of the suite memory."""
    lines = ["\npeak memory of a loss on all vertices, forward + backward"]
    lines += [
        f"  {r['name']:24s} {r['mib']:8.0f} MiB for {r['batch']} bodies: {r['vertex_arrays']:.2f} vertex arrays"
        for r in rows
        if r["suite"] == "memory"
    ]
    return "\n".join(lines)


def as_json(results: Results) -> dict[str, Any]:
    """Everything measured with what it was measured on."""
    from ..ops.build import build_info

    machine = results.machine
    return {
        **about_machine(PACKAGES),
        "build": build_info(),
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "machine": {"gemm_gflops": machine.gflops, "copy_gbs": machine.copy_gbs} if machine else None,
        "unit": "ms a body; fits: ms a person and step; memory: MiB",
        "targets": verdicts(results),
        "wrong": results.wrong,
        "left_out": results.left_out,
        "rows": results.rows,
    }
