"""What the system says of a process."""

from __future__ import annotations

from pathlib import Path


def status_mib(key: str, process: int | str = "self") -> float | None:
    """MiB of a line of /proc/PROCESS/status, such as VmRSS (now) and VmHWM (at most, since the program began); None once it has ended.

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
