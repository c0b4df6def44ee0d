"""The report of what is installed, as a person reads it or as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from .checks import Check, examine

MARKS = {"ok": "ok", "gap": "GAP", "absent": "-"}


@dataclass(frozen=True, kw_only=True)
class DoctorConfig:
    """Says what is installed, what is missing (GAP: needed; -: optional) and the command that fixes it. Changes
    nothing; the exit code is 0 whatever it finds.
    """

    json: bool = False
    """print a list of checks as JSON"""


def doctor(config: DoctorConfig) -> None:
    """Print the report."""
    checks = examine()
    print(json.dumps([asdict(c) for c in checks], indent=1) if config.json else text(checks))


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
