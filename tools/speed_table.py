"""Print a bench's JSON as the Markdown table of the README:
`python tools/speed_table.py benchmarks/results/FILE.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FAMILIES = ("smplx", "body-models", "smplfitter")


def table(found: dict) -> str:
    """One line for each target of the bench: pgtfast, the fastest way of each package, the floor, the ratio to the
    fastest rival.
    """
    rows, lines = found["rows"], []
    works = {
        (t["task"], t["work"]): t
        for t in reversed(found["targets"])
        if "rival" in t and not t["work"].startswith("batch 1:")
    }
    for (task, work), _ in reversed(works.items()):
        here = [
            r
            for r in rows
            if r["task"] == task and (r["suite"] == "fit" or (r["suite"] == "ops" and r["batch"] == 256))
        ]
        cell = {r["name"]: r["ms"] for r in here}
        ours, floor = cell.pop("pgtfast"), here[0]["floor_ms"]
        fastest = {}
        for family in FAMILIES:
            ways = {n: ms for n, ms in cell.items() if n.split(" (")[0] == family}
            if ways:
                name = min(ways, key=ways.__getitem__)
                fastest[family] = (ways[name], f"{ways[name]:.3g}{name[len(family) :]}")
        others = " | ".join(fastest[f][1] if f in fastest else "" for f in FAMILIES)
        ratio = min(ms for ms, _ in fastest.values()) / ours
        lines.append(f"| {work} | **{ours:.3g}** | {others} | {floor:.2g} | {ratio:.1f} x |")
    head = (
        f"| work | pgtfast | {' | '.join(FAMILIES)} | floor | fastest rival / pgtfast "
        f"|\n|---|---|{'---|' * len(FAMILIES)}---|---|"
    )
    where = (
        f"{found['processor']}, {found['threads']} threads, torch {found['versions']['torch']}, commit "
        f"{found['commit']}, {found['date'][:10]}"
    )
    return "\n".join([head, *lines, "", where + "."])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(table(json.loads(Path(sys.argv[1]).read_text())))
