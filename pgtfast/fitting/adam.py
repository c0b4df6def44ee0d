"""Adam over a batch of independent people."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from .problem import Problem, State


class Rates(NamedTuple):
    """Largest step of each unknown of a :class:`State`."""

    orient: float = 0.1
    pose: float = 0.2
    betas: float = 0.1
    transl: float = 0.06


RATES = Rates()


def adam(problem: Problem, state: State, *, steps: int, rigid: bool = False, rates: Rates = RATES) -> State:
    """Minimise each person's loss, step sizes falling to a twentieth along a cosine. No person's result depends on who
    else is in the batch.

    Args:
        problem: B people.
        state: where to begin.
        steps: number of steps.
        rigid: move only orientation and translation.
        rates: largest steps, those of the first step.
    """
    fixed = {"pose", "betas"} if rigid else set()
    unknowns = {k: v.detach().clone().requires_grad_(k not in fixed) for k, v in state._asdict().items()}
    groups = [{"params": [v], "lr": getattr(rates, k)} for k, v in unknowns.items() if v.requires_grad]
    joints = problem.local_rotations(state.pose).detach() if rigid else None  # a fixed pose is decoded once
    optimiser = torch.optim.Adam(groups, betas=(0.9, 0.9))
    first = [g["lr"] for g in groups]
    for step in range(steps):
        factor = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group, rate in zip(optimiser.param_groups, first, strict=True):
            group["lr"] = rate * factor
        optimiser.zero_grad(set_to_none=True)
        problem.loss(State(**unknowns), joints).sum().backward()
        optimiser.step()
    return State(**{k: v.detach() for k, v in unknowns.items()})
