"""A loss that is not finite ends the run and names the batch, without waiting for the device at every step."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, distributed, nn

from .._errors import PgtfastError
from ..loading import Batch
from ..people import ImageSet
from ..runs.folder import write_json

_SHOWN = 6
REPORT = "not_finite.json"
"""All people of the batch that ended a run."""


class _Part(NamedTuple):
    """The losses of a part of a step and whom they are of."""

    step: int
    terms: dict[str, Tensor]
    people: tuple[Tensor, Tensor] | None
    """Set index and row, each (B,)."""


class Guard:
    """Looks at every loss; on the CPU at once, elsewhere whenever the loop reads its losses anyway.

    Args:
        sets: the loader's, by `Batch.set_index`.
        out: folder of the run.
        device: of the losses.
    """

    def __init__(self, sets: Sequence[ImageSet], out: Path, device: torch.device) -> None:
        self._sets = sets
        self._out = out
        self._bad = torch.full((), -1, dtype=torch.int64, device=device)
        self._at_once = device.type == "cpu"
        self._recent: deque[_Part] = deque()

    def note(self, step: int, terms: Mapping[str, Tensor], batch: Batch | None) -> None:
        """The losses of a part of a step, `total` among them, and the people that they are of.

        To be called before the backward pass: on the CPU torch's grid_sample may crash in it where positions are NaN.
        """
        people = None if batch is None else (batch.set_index, batch.person)
        part = _Part(step, {name: value.detach() for name, value in terms.items()}, people)
        total = part.terms["total"]
        if self._at_once:
            if not total.isfinite():
                raise PgtfastError(self._message(part))
            return
        self._recent.append(part)
        fresh = (self._bad < 0) & ~total.isfinite()
        self._bad = torch.where(fresh, torch.full_like(self._bad, step), self._bad)

    def check(self) -> None:
        """End the run if a loss since the last check was not finite; all processes must call it after the same step."""
        if self._at_once:
            return
        step = int(self._bad)
        first = None
        if step >= 0:
            bad = next(part for part in self._recent if part.step == step and not part.terms["total"].isfinite())
            first = (step, self._message(bad))
        if distributed.is_initialized():
            everywhere: list = [None] * distributed.get_world_size()
            distributed.all_gather_object(everywhere, first)
            first = min((f for f in everywhere if f is not None), default=None)
        if first is not None:
            raise PgtfastError(first[1])
        self._recent.clear()

    def check_weights(self, step: int, network: nn.Module) -> None:
        """End the run if weights are not finite after `step` steps: a loss may be finite and its gradient not."""
        values = [v for v in network.state_dict().values() if v.is_floating_point()]
        if not torch.stack([v.isfinite().all() for v in values]).all():
            raise PgtfastError(
                f"step {step}: the loss is finite, but its gradient was not, and the weights no longer are. The last "
                "checkpoint is from before; "
                "lower --learning-rate, or set --clip-gradient."
            )

    def _message(self, part: _Part) -> str:
        values = ", ".join(f"{name} {value.item():.4g}" for name, value in part.terms.items())
        head = f"step {part.step}: the loss is not finite ({values})."
        if part.people is None:
            return f"{head} The last checkpoint is from before; lower --learning-rate, or look at the data."
        people: dict[str, list[int]] = {}
        for index, row in zip(*(column.tolist() for column in part.people), strict=True):
            of_set = self._sets[index].people
            people.setdefault(of_set.dataset, []).append(int(of_set.annotation_id[row]))
        write_json(self._out / REPORT, {"step": part.step, "people": people})
        named = "; ".join(
            f"{name} {', '.join(map(str, ids[:_SHOWN]))}{f' and {len(ids) - _SHOWN} more' if len(ids) > _SHOWN else ''}"
            for name, ids in people.items()
        )
        return (
            f"{head} Annotations of the batch: {named} (all in {self._out / REPORT}). "
            "The last checkpoint is from before; lower --learning-rate, set --clip-gradient, or look at these people."
        )
