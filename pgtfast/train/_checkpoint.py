"""Checkpoints that hold everything a run needs to go on as if it had never stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

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


def capture(
    step: int,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    loader: Any,
    config: dict,
    best: float | None,
) -> dict:
    """All that decides the steps after `step`.

    Args:
        step: steps done.
        network: bare, as before any wrapping.
        optimizer, scheduler, loader: objects with `state_dict`.
        config: resolved.
        best: best validation score so far.
    """
    return {
        "step": step,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "loader": loader.state_dict(),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "config": config,
        "best": best,
    }


def restore(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    loader: Any,
) -> tuple[int, float | None]:
    """Put everything back in place.

    Returns:
        Steps done, and the best validation score so far.
    """
    state = load_checkpoint(path)
    try:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        loader.load_state_dict(state["loader"])
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"] and len(state["cuda_rng"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["cuda_rng"])
        return int(state["step"]), state["best"]
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        raise PgtfastError(
            f"{path}: no checkpoint of this run ({type(error).__name__}: {error}). Remove it to start the run anew."
        ) from error
