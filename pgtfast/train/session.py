"""One training around its loop: device and processes, folder of the run, resume, guard, log, cadence, checkpoints,
stop."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ..loading import Batch
from ..loading.loader import Skipped
from ..people import ImageSet
from ..runs import RunFolder, Stop
from ..runs.folder import RUN_FILE, as_json
from ._checkpoint import BEST, LAST, load_checkpoint, restore, save_checkpoint
from ._config import SessionConfig
from ._fabric import any_process, make_fabric, on_first, skipped_by_all, sum_over_processes, train_mode
from ._guard import Guard
from ._log import RunLog

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True)
class TrainResult:
    """What a training came to."""

    file: Path
    """The trained network's file."""
    summary: Mapping[str, Any]
    """Content of run.json: resolved config, steps, scores."""
    finished_before: bool = False
    """Whether the folder held the finished run, so that nothing was done."""

    def __str__(self) -> str:
        return str(self.file)


class Session:
    """What a training run needs around its loop, which reads::

        session = Session(config, "network.ckpt")
        if session.finished:
            return session.result()
        ...                                      # network, optimizer, scheduler, loader
        with session.begin(network, optimizer, scheduler, loader, total=steps):
            for batch in session.steps(loader.batches(session.step, session.total)):
                ...                              # forward, loss, session.guard, backward, step
                if session.due(config.log_every):
                    session.log(losses)
                session.checkpoint()
            return session.finish(write_file)

    Args:
        config: of the run.
        file: name of the trained network's file in the folder of the run.

    Attributes:
        fabric: device, precision and processes.
        step: steps done; within the loop the step at hand, from 1.
        total: steps of the whole run.
        best: lowest validation score so far.
    """

    def __init__(self, config: SessionConfig, file: str) -> None:
        self.config = config
        self.out = Path(config.out)
        self.file = self.out / file
        self.fabric = make_fabric(config)
        self.step, self.total = 0, 0
        self.best: float | None = None
        self._resolved = {"kind": type(config).__name__, **as_json(config)}
        self._run: RunFolder | None = None
        self.finished = on_first(self.fabric, lambda: RunFolder.state(self.out, self._resolved)) == "finished"

    def result(self) -> TrainResult:
        """Of a run that was finished before."""
        self.fabric.print(f"{self.out} is a finished run of this config; its result is {self.file}")
        return TrainResult(self.file, json.loads((self.out / RUN_FILE).read_text()), finished_before=True)

    @contextlib.contextmanager
    def begin(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        scheduler: torch.optim.lr_scheduler.LRScheduler,
        loader: Any,
        *,
        total: int,
        header: Mapping[str, Any] | None = None,
        sets: Sequence[ImageSet] = (),
        best_by: str | None = None,
        unit: str = "images",
    ) -> Iterator[None]:
        """Claim the folder and put back what its last checkpoint holds; within the block SIGINT and SIGTERM end the run
        at the next checkpoint.

        Args:
            network: bare, as before any wrapping.
            optimizer, scheduler, loader: objects with `state_dict` and `load_state_dict`.
            total: steps of the whole run.
            header: what checkpoints hold beside the state, so that they are files of the network too.
            sets: of the loader, by `Batch.set_index`.
            best_by: the validation score whose lowest value is the best.
            unit: what a step's `batch_size` counts.
        """
        self._network, self._optimizer, self.total = network, optimizer, total
        self._state = {"network": network, "optimizer": optimizer, "scheduler": scheduler, "loader": loader}
        self._header, self._best_by = dict(header or {}), best_by
        on_first(self.fabric, self._claim)
        if (self.out / LAST).exists():
            self.step, self.best = restore(self.out / LAST, self._state)
            self.fabric.print(f"resuming {self.out} at step {self.step:,} of {total:,}")
        self._guard = Guard(sets, self.out, self.fabric.device)
        self._log = RunLog(
            self.out, first=self.step, total=total, per_step=self.config.batch_size, unit=unit,
            writes=self.fabric.is_global_zero
        )  # fmt: skip
        with Stop(agree=any_process()) as self._stop:
            try:
                yield
            finally:
                self._log.close()
                if self._run is not None:
                    self._run.close()

    def _claim(self) -> None:
        self._run = RunFolder(self.out, self._resolved)

    def steps(self, batches: Iterable[T]) -> Iterator[T]:
        """Batches, one a step."""
        for batch in batches:
            self.step += 1
            self._log.advance()
            yield batch

    def parts(self, model: Any, count: int) -> Iterator[slice]:
        """People of each of the `count` parts of a step; gradients are exchanged with the last alone. People of every
        stream are in each part."""
        for start in range(count):
            with self.fabric.no_backward_sync(model, enabled=start + 1 < count):
                yield slice(start, None, count)

    def due(self, every: int) -> bool:
        """Whether what is done every so many steps, and after the last, is to be done now; 0 is never."""
        return bool(every) and (self.step % every == 0 or self.step == self.total)

    def guard(self, terms: Mapping[str, Tensor], batch: Batch | None = None) -> None:
        """End the run if the loss is not finite, naming the people of the batch; to be called before the backward pass.

        Args:
            terms: of the loss, `total` among them.
            batch: whom they are of.
        """
        self._guard.note(self.step, terms, batch)

    def clip(self, model: Any) -> None:
        """Limit the gradient's norm where the config has a limit."""
        if self.config.clip_gradient:
            self.fabric.clip_gradients(
                model, self._optimizer, max_norm=self.config.clip_gradient, error_if_nonfinite=False
            )

    def log(self, terms: Mapping[str, Tensor]) -> None:
        """Write down losses, which are summed over the processes."""
        self._guard.check()
        values = {name: value.item() for name, value in sum_over_processes(dict(terms)).items()}
        self._log.scalars(self.step, {**values, "learning_rate": self._optimizer.param_groups[0]["lr"]})

    def draw(self, overlay: Callable[P, np.ndarray], *args: P.args, **kwargs: P.kwargs) -> None:
        """Show what the network predicts for some people: `overlay` of the arguments, an (H, W, 3) uint8 image.

        It is called on the first process alone, and may leave the network in evaluation mode.
        """
        if self.fabric.is_global_zero:
            self._log.image(self.step, "train", overlay(*args, **kwargs))
            train_mode(self._network, self.config)

    def evaluate(self, scores: Callable[P, dict[str, float]], *args: P.args, **kwargs: P.kwargs) -> None:
        """Score the network on what is held out, by `scores` of the arguments, and keep a checkpoint of the best.

        It is called on the first process alone, and may leave the network in evaluation mode.
        """
        self._guard.check()
        values = on_first(self.fabric, lambda: scores(*args, **kwargs))
        train_mode(self._network, self.config)
        self._log.scalars(self.step, values, "validation")
        score = values[self._best_by or ""]
        if self.best is None or score < self.best:
            self.best = score
            self._save(self.out / BEST)

    def checkpoint(self) -> None:
        """Save all that decides the further steps where it is due, and end the run where a signal asks for it.

        Raises:
            KeyboardInterrupt: the run was stopped; the same command resumes it.
        """
        asked = self._stop.asked()
        if asked or self.due(self.config.checkpoint_every):
            self._guard.check()
            self._save(self.out / LAST)
        if asked and self.step < self.total:
            self._log.close()
            last = self.out / LAST
            self.fabric.print(
                f"stopped after step {self.step:,} of {self.total:,}; the same command goes on from {last}"
            )
            raise KeyboardInterrupt

    def finish(
        self, write_file: Callable[[Path], Mapping[str, Any] | None], *, skipped: list[Skipped] | None = None
    ) -> TrainResult:
        """Write the network's file, of the best weights where there was a validation, and in run.json that the run is
        finished.

        Args:
            write_file: writes the network's file; what it returns goes to run.json.
            skipped: people whose images could not be read in this process.
        """
        summary: dict[str, Any] = {"steps": self.total}
        if self._best_by is not None:
            summary[f"best_{self._best_by}"] = self.best
        if skipped is not None:
            summary["skipped"] = [list(map(str, person)) for person in skipped_by_all(skipped)]
        return on_first(self.fabric, lambda: self._finish(write_file, summary))

    def _finish(self, write_file: Callable[[Path], Mapping[str, Any] | None], summary: dict[str, Any]) -> TrainResult:
        assert self._run is not None, "the first process claimed the folder"
        if (self.out / BEST).exists():
            self._network.load_state_dict(load_checkpoint(self.out / BEST)["network"])
        summary |= write_file(self.file) or {}
        self._run.write_run(finished=True, **summary)
        return TrainResult(self.file, dict(self._run.metadata))

    def _save(self, path: Path) -> None:
        self._guard.check_weights(self.step, self._network)
        if self.fabric.is_global_zero:
            self._log.flush()
            save_checkpoint(path, self._state, step=self.step, best=self.best, config=self._resolved, **self._header)
