"""Let a virtual environment import some packages of the one that runs this, and nothing else of it: for trying a wheel
without fetching torch again.

python tools/lend_packages.py ENVIRONMENT torch numpy
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement


def needed(names: list[str]) -> list[metadata.Distribution]:
    """The distributions of that name and what they need here."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another system or an extra
        for line in found[name].requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return list(found.values())


def lend(environment: Path, names: list[str]) -> None:
    """Link the files' top folders into the environment."""
    (site,) = environment.glob("lib/python*/site-packages")
    for distribution in needed(names):
        home = Path(str(distribution.locate_file("")))
        for top in {file.parts[0] for file in distribution.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(home / top)


if __name__ == "__main__":
    lend(Path(sys.argv[1]), sys.argv[2:])
