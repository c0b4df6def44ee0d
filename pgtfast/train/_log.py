"""What a run tells while it goes: a bar, lines of figures, TensorBoard."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

METRICS = "metrics.jsonl"
"""One line for each reading: step, learning rate, losses, images a second."""


class RunLog:
    """Writes on the first process alone.

    Args:
        out: folder of the run.
        first: steps done before.
        total: steps of the run.
        per_step: pictures a step, over all processes.
        writes: whether this process writes.
    """

    def __init__(self, out: Path, *, first: int, total: int, per_step: int, writes: bool) -> None:
        self._writes = writes
        self._per_step = per_step
        self._since, self._seen = time.perf_counter(), 0
        if not writes:
            return
        from torch.utils.tensorboard import SummaryWriter
        from tqdm import tqdm

        self._file = out / METRICS
        if self._file.exists():  # readings after the checkpoint that the run goes on from will be made again
            kept = [line for line in self._file.read_text().splitlines() if json.loads(line)["step"] <= first]
            self._file.write_text("".join(f"{line}\n" for line in kept))
        self._board = SummaryWriter(out / "tensorboard", purge_step=first + 1, flush_secs=20)
        self._bar = tqdm(total=total * per_step, initial=first * per_step, unit=" images", unit_scale=True,
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
            row["images_per_second"] = round(rate, 2)
        with self._file.open("a") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in values.items():
            self._board.add_scalar(f"{group}/{name}", value, step)
        if group == "train":
            self._board.add_scalar("train/images_per_second", rate, step)
            self._bar.set_postfix({"loss": f"{values['total']:.4g}"}, refresh=False)
        else:
            self.say(f"step {step:,}: {group} " + ", ".join(f"{k} {v:.4g}" for k, v in values.items()))

    def picture(self, step: int, name: str, image: np.ndarray) -> None:
        """An (H, W, 3) uint8 picture after `step` steps."""
        if self._writes:
            self._board.add_image(name, image, step, dataformats="HWC")

    def say(self, text: str) -> None:
        """A line beside the bar."""
        if self._writes:
            self._bar.write(text, file=sys.stdout)
            sys.stdout.flush()

    def close(self) -> None:
        """Flush what is written."""
        if self._writes:
            self._bar.close()
            self._board.close()
