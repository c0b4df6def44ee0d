"""The folder of a training run: new, unfinished, finished, or somebody else's."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from .._errors import PgtfastError
from ._checkpoint import load_checkpoint

CONFIG = "config.json"
CHECKPOINT = "checkpoint.pt"
LAST = "last.ckpt"
"""Everything that a network's run needs to go on."""
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


def write_result(
    config: Any,
    network: Any,
    save: Callable[[], None],
    *,
    steps: int,
    best: dict[str, float | None],
    skipped: Iterable[Sequence],
) -> None:
    """Write what a finished run came to: the network's file, of the best weights where there was a validation, and result.json, which says that the run is finished.

    Args:
        config: of the run.
        network: its weights become the best ones.
        save: writes the network's file.
        steps: taken.
        best: score of the best validation, by its name.
        skipped: pictures that could not be read.
    """
    out = Path(config.out)
    if (out / BEST).exists():
        network.load_state_dict(load_checkpoint(out / BEST)["network"])
    save()
    told = {"config": resolved(config), "steps": steps, **best, "skipped": [list(map(str, one)) for one in skipped]}
    write_json(out / RESULT, told)


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a kill leaves the former file or none."""
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(value, indent=1) + "\n")
    os.replace(partial, path)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value


def _flat(values: dict, head: str = "") -> dict[str, Any]:
    """Nested values by dotted names, as the command line knows them."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= _flat(value, f"{head}{name}.") if isinstance(value, dict) else {f"{head}{name}": value}
    return out
