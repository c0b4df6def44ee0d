"""What a benchmark says of its machine and its processes, and where its result goes."""

from __future__ import annotations

import json
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from .._errors import PgtfastError
from .._system import processor_name


def check_json(path: Path | None) -> None:
    """Refuse, before anything is measured, a file that cannot be written."""
    if path is not None and not path.parent.is_dir():
        raise PgtfastError(f"--json: {path.parent} is no folder; make it first")


def write_json(path: Path | None, result: dict[str, Any]) -> None:
    """Write a result, if it is wanted."""
    if path is not None:
        path.write_text(json.dumps(result, indent=1) + "\n")


def about_machine(packages: tuple[str, ...]) -> dict[str, Any]:
    """When, where and with which versions something is measured."""
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": _commit(),
        "versions": {"python": platform.python_version(), **versions},
        "processor": processor_name(),
    }


def _commit() -> str:
    """The commit of the source folder, when this is one."""
    folder = Path(__file__).parents[2]
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
        )
    except OSError:
        return "unknown"
    return done.stdout.strip() if done.returncode == 0 and (folder / "pyproject.toml").is_file() else "unknown"


def status_mib(key: str, process: int | str = "self") -> float | None:
    """MiB of a line of /proc/PROCESS/status, such as VmRSS (now) and VmHWM (at most, since the program began); None
    once it has ended.

    Raises:
        OSError: the system has no /proc.
    """
    path = Path(f"/proc/{process}/status")
    try:
        lines = path.read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/status").is_file():
            return None
        raise
    found = [line for line in lines if line.startswith(f"{key}:")]  # a process that is no more has no memory
    return int(found[0].split()[1]) / 1024 if found else None
