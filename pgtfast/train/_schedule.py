"""The learning rate over a run."""

from __future__ import annotations

import math

from ._config import TrainingConfig


def rate_factor(step: int, total: int, config: TrainingConfig) -> float:
    """Factor of the learning rate at a step (from 0) of `total`."""
    rise = min(1.0, (step + 1) / (config.warmup_steps + 1))
    if config.schedule == "cosine":
        return rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / max(1, total))))
    epoch = step / total * config.epochs
    # a step belongs to the epoch that it starts in; the tolerance is for fractions such as 4 / 7 of the steps
    return rise * config.decay ** sum(epoch >= e - 1e-9 for e in config.decay_epochs)
