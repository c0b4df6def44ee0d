"""Checkpoints that hold everything a run needs to go on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from .._errors import PgtfastError
from ..files.atomic import disk_errors, replacing

LAST = "last.ckpt"
"""Everything that a run needs to go on."""
BEST = "best.ckpt"
"""The same at the best validation so far."""


def save_checkpoint(path: Path, parts: Mapping[str, Any], **about: Any) -> None:
    """Write all that decides the further steps; a kill or a power cut leaves the former file.

    Args:
        path: of the file.
        parts: objects with `state_dict`, by name.
        about: tensors, numbers, strings and containers of them.
    """
    state = {
        **about,
        **{name: part.state_dict() for name, part in parts.items()},
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    with disk_errors(path), replacing(path) as partial, open(partial, "wb") as file:
        torch.save(state, file)  # of a path it would keep the name, and files of the same state would differ


def load_checkpoint(path: Path) -> dict:
    """Read a checkpoint onto the CPU without running any code from it."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for damaged files
        raise PgtfastError(f"{path}: not a readable checkpoint ({error}). Remove it to start the run anew.") from error


def restore(path: Path, parts: Mapping[str, Any]) -> tuple[int, float | None]:
    """Put back the state of every part, and torch's random numbers.

    Returns:
        Steps done, and the best validation score so far.
    """
    state = load_checkpoint(path)
    try:
        for name, part in parts.items():
            part.load_state_dict(state[name])
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"] and len(state["cuda_rng"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["cuda_rng"])
        return int(state["step"]), state["best"]
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        raise PgtfastError(
            f"{path}: no checkpoint of this run ({type(error).__name__}: {error}). Remove it to start the run anew."
        ) from error
