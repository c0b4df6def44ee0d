"""Where results go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .._errors import PgtfastError


def check_json(path: Path | None) -> None:
    """Refuse, before anything is measured, a file that cannot be written."""
    if path is not None and not path.parent.is_dir():
        raise PgtfastError(f"--json: {path.parent} is no folder; make it first")


def write_json(path: Path | None, arguments: list[str], result: dict[str, Any]) -> None:
    """Write a result with the command that gave it, if it is wanted."""
    if path is not None:
        path.write_text(json.dumps({"command": ["pgtfast", "bench", *arguments], **result}, indent=1) + "\n")
