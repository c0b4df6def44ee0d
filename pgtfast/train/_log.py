"""What a run reports while it goes: a bar, lines of figures, TensorBoard."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..files.atomic import disk_errors, replacing

METRICS = "metrics.jsonl"
"""One line for each reading: step, learning rate, losses, images a second."""


class RunLog:
    """Writes on the first process alone.

    Args:
        out: folder of the run.
        first: steps done before.
        total: steps of the run.
        per_step: images (or what `unit` says) a step, over all processes.
        unit: plural noun.
        writes: whether this process writes.
    """

    def __init__(self, out: Path, *, first: int, total: int, per_step: int, unit: str = "images", writes: bool) -> None:
        self._writes = writes
        self._per_step, self._unit = per_step, unit
        self._since, self._seen = time.perf_counter(), 0
        if not writes:
            return
        from torch.utils.tensorboard import SummaryWriter
        from tqdm import tqdm

        self._file = out / METRICS
        if self._file.exists():
            with disk_errors(self._file), replacing(self._file) as partial:
                partial.write_text("".join(_until(first, self._file.read_text())))
        self._board = SummaryWriter(out / "tensorboard", purge_step=first + 1, flush_secs=20)
        self._bar = tqdm(total=total * per_step, initial=first * per_step, unit=f" {unit}", unit_scale=True,
                         mininterval=0.1 if sys.stderr.isatty() else 30)  # fmt: skip

    def advance(self) -> None:
        """One step is done."""
        self._seen += 1
        if self._writes:
            self._bar.update(self._per_step)

    def scalars(self, step: int, values: dict[str, float], group: str = "train") -> None:
        """Figures after `step` steps."""
        now = time.perf_counter()
        rate = self._seen * self._per_step / max(now - self._since, 1e-9)
        if group == "train":
            self._since, self._seen = now, 0
        if not self._writes:
            return
        row: dict[str, Any] = {"step": step, "group": group, **values}
        if group == "train":
            row[f"{self._unit}_per_second"] = round(rate, 2)
        with self._file.open("a") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in values.items():
            self._board.add_scalar(f"{group}/{name}", value, step)
        if group == "train":
            self._board.add_scalar(f"train/{self._unit}_per_second", rate, step)
            self._bar.set_postfix({"loss": f"{values['total']:.4g}"}, refresh=False)
        else:
            self.say(f"step {step:,}: {group} " + ", ".join(f"{k} {v:.4g}" for k, v in values.items()))

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """An (H, W, 3) uint8 image after `step` steps."""
        if self._writes:
            self._board.add_image(name, image, step, dataformats="HWC")

    def say(self, text: str) -> None:
        """A line beside the bar."""
        if self._writes:
            self._bar.write(text, file=sys.stdout)
            sys.stdout.flush()

    def flush(self) -> None:
        """Bring the figures to the disk, so that a checkpoint is never newer than they are."""
        if self._file.exists():
            with disk_errors(self._file), self._file.open("rb") as file:
                os.fsync(file.fileno())

    def close(self) -> None:
        """Flush what is written."""
        if self._writes:
            self._bar.close()
            self._board.close()


def _until(last: int, text: str) -> Iterator[str]:
    """Lines of readings up to a step: a run makes those after its checkpoint again. A power cut may leave the last of
    them torn."""
    for line in text.splitlines(keepends=True):
        try:
            step = json.loads(line)["step"]
        except ValueError:
            return
        if step > last or not line.endswith("\n"):
            return
        yield line
