"""What the configs of all networks that learn from pictures have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .._errors import PgtfastError
from ..images.augment import AugmentConfig
from ._datasets import Datasets

MOST_SEED = 2**32 - 1
"""Largest seed that NumPy takes, and with it Lightning."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Data, optimisation and bookkeeping of a run."""

    datasets: Datasets
    """Root folders of the datasets, by kind."""
    out: Path
    """Folder of the run. A finished run is recognised, an unfinished one resumed, another config's refused."""
    batch_size: int
    """People a step, over all processes and parts of the step."""
    accumulate: int = 1
    """Parts that each process's share of a step is computed in, one after the other; the step is the same but for batch statistics."""
    epochs: float
    """Epochs; one shows every person of the longest stream once."""
    steps: int | None = None
    """So many steps in place of `epochs`. The decays keep their share of the run."""
    learning_rate: float
    """Of Adam."""
    schedule: Literal["decay", "cosine"] = "decay"
    """"decay" multiplies the learning rate by `decay` after each of `decay_epochs`; "cosine" lowers it to 1 % along half a cosine."""
    decay_epochs: tuple[float, ...]
    """Epochs after which the learning rate decays."""
    decay: float = 0.1
    """Factor of a decay."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises from 0."""
    weight_decay: float = 0.0
    """Of Adam; decoupled from the gradient (AdamW) where above 0."""
    clip_gradient: float | None = None
    """Largest gradient norm; None for no limit."""
    batchnorm: Literal["batch", "sync", "frozen"] = "batch"
    """Statistics of batch normalisation while training: of the part at hand, of the parts of all processes (CUDA only), or the running ones."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Changes of the crops."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "32-true"
    """Of the network's arithmetic; losses and geometry are always computed in 32 bits. "auto" takes bfloat16 where the device multiplies it, and
    says which it took: a processor that has no instructions for it takes more than ten times as long as with 32 bits."""
    accelerator: Literal["cpu", "cuda", "auto"] = "auto"
    """Where to train. Several processes: `torchrun --nproc_per_node N -m pgtfast.train ...`."""
    compile: bool = False
    """Whether `torch.compile` makes the network."""
    channels_last: bool = True
    """Memory order of pictures and features; the faster one on almost every machine."""
    threads: int = 0
    """CPU threads of each process; 0 leaves torch's number."""
    loader_threads: int = 2
    """CPU threads that read and crop pictures, in each process."""
    seed: int = 0
    """Of weights, order and augmentation. On the CPU the result is the same to the last bit for the same threads and processes."""
    checkpoint_every: int = 1000
    """Steps between checkpoints."""
    log_every: int = 50
    """Steps between readings of the losses. Nothing else waits for the device."""
    overlay_every: int = 1000
    """Steps between pictures of predictions; 0 for none."""
    held_out_every: int = 0
    """Keep every n-th picture of the sets that validation looks at out of training; 0 for none, and no `best` checkpoint."""
    validate_every: int = 1000
    """Steps between validations; one more follows the last step."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "accumulate", "epochs", "learning_rate", "decay", "loader_threads", "checkpoint_every", "log_every",
                     "validate_every"):  # fmt: skip
            if not getattr(self, name) > 0:
                raise PgtfastError(f"{name}: wanted a number above 0, got {getattr(self, name)!r}")
        for name in ("warmup_steps", "weight_decay", "threads", "overlay_every", "held_out_every"):
            if not getattr(self, name) >= 0:
                raise PgtfastError(f"{name}: wanted 0 or more, got {getattr(self, name)!r}")
        for name in ("steps", "clip_gradient"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise PgtfastError(f"{name}: wanted a number above 0, or None, got {value!r}")
        if not 0 <= self.seed <= MOST_SEED:
            raise PgtfastError(f"seed: wanted 0 to {MOST_SEED}, got {self.seed!r}")
        if self.held_out_every == 1:
            raise PgtfastError("held_out_every: 1 would keep every picture out of training; wanted 0, or 2 and more")
        if list(self.decay_epochs) != sorted(self.decay_epochs) or any(not e > 0 for e in self.decay_epochs):
            raise PgtfastError(f"decay_epochs: wanted rising epochs above 0, got {self.decay_epochs!r}")
        if not self.datasets.roots():
            raise PgtfastError("datasets: none given; name at least one root folder, e.g. --datasets.coco DIR")

    def total_steps(self, steps_per_epoch: int) -> int:
        """Steps of the whole run."""
        return self.steps if self.steps is not None else max(1, round(self.epochs * steps_per_epoch))
