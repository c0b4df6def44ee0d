"""Checkpoints that hold everything a run needs to go on as if it had never stopped."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from .._errors import PgtfastError


def save_checkpoint(path: Path, state: dict) -> None:
    """Write a checkpoint of tensors, numbers, strings and containers of them; a kill leaves the former one."""
    partial = path.with_suffix(".part")
    torch.save(state, partial)
    os.replace(partial, path)


def load_checkpoint(path: Path) -> dict:
    """Read a checkpoint onto the CPU without running any code from it."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for damaged files
        raise PgtfastError(f"{path}: not a readable checkpoint ({error}). Remove it to start the run anew.") from error
