"""The folder of a training run: new, unfinished, finished, or somebody else's."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._errors import PgtfastError
from ..files.atomic import disk_errors, replacing

CONFIG = "config.json"
LAST = "last.ckpt"
"""Everything that a run needs to go on."""
BEST = "best.ckpt"
"""The same at the best validation so far."""
RESULT = "result.json"


def resolved(config: Any) -> dict:
    """The config as plain JSON values, with its kind and all that was left at the default."""
    fields = {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}
    return {"kind": type(config).__name__, **fields}


def open_run(config: Any, *, claim: bool = True) -> str:
    """Claim `config.out`, or without `claim` see whether it could be claimed.

    Returns:
        "new", "unfinished" (same config, a checkpoint may be there) or "finished".

    Raises:
        PgtfastError: the folder holds a run of another config, or other files.
    """
    out = Path(config.out)
    file = out / CONFIG
    wanted = resolved(config)
    if not file.exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise PgtfastError(f"out: {out} exists and is no training run. Name a new folder with --out.")
        try:
            if claim:
                out.mkdir(parents=True, exist_ok=True)
                write_json(file, wanted)
        except OSError as error:
            raise PgtfastError(f"out: cannot write to {out} ({error.strerror})") from error
        return "new"
    try:
        found = json.loads(file.read_text())
        before, now = _flat(found), _flat(wanted)
        different = [k for k in sorted(before.keys() | now.keys()) if before.get(k) != now.get(k)]
    except (OSError, ValueError, AttributeError) as error:
        raise PgtfastError(f"{file}: not a readable config ({error}). Name a new folder with --out.") from error
    if different:
        changes = ", ".join(f"{k} was {before.get(k)!r}, now {now.get(k)!r}" for k in different)
        raise PgtfastError(f"out: {out} holds a run of another config: {changes}. Name a new folder with --out.")
    return "finished" if (out / RESULT).exists() else "unfinished"


def read_result(out: Path) -> dict[str, Any]:
    """What a finished run came to."""
    try:
        return json.loads((out / RESULT).read_text())
    except (OSError, ValueError) as error:
        raise PgtfastError(f"{out / RESULT}: not readable ({error}). Remove it to finish the run again.") from error


def write_json(path: Path, value: Any) -> None:
    """Write JSON; a kill or a power cut leaves the former file or none."""
    with disk_errors(path), replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=1) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {name: _plain(content) for name, content in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value


def _flat(values: dict, head: str = "") -> dict[str, Any]:
    """Nested values by dotted names, as the command line knows them."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= _flat(value, f"{head}{name}.") if isinstance(value, dict) else {f"{head}{name}": value}
    return out
