"""`python -m pgtfast.doctor [--json]`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from .._cli import run
from .checks import Check, examine

MARKS = {"ok": "ok", "gap": "GAP", "absent": "-"}


def text(checks: list[Check]) -> str:
    """The report as a person reads it."""
    width = max(len(c.name) for c in checks)
    lines: list[str] = []
    part = None
    for check in checks:
        if check.part != part:
            part = check.part
            lines.append(f"\n{part}" if lines else part)
        lines.append(f"  {MARKS[check.status]:3s}  {check.name:{width}s}  {check.detail}")
        if check.fix:
            lines.append(f"  {'':3s}  {'':{width}s}  -> {check.fix}")
    gaps = sum(c.status == "gap" for c in checks)
    absent = sum(c.status == "absent" for c in checks)
    lines.append(f"\n{gaps} gaps, {absent} optional parts absent")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Print the report."""
    parser = argparse.ArgumentParser(
        prog="pgtfast doctor",
        description="Says what is installed, what is missing (GAP: needed; -: optional) and the command that fixes it. Changes nothing; "
        "the exit code is 0 whatever it finds.",
    )
    parser.add_argument("--json", action="store_true", help="print a list of checks as JSON")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    options = parser.parse_args(arguments)
    checks = examine()
    print(json.dumps([asdict(c) for c in checks], indent=1) if options.json else text(checks))
    return 0


if __name__ == "__main__":
    raise SystemExit(run("doctor", main))
