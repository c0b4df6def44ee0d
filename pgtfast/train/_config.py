"""What the configs of all trainings have in common, and those of all networks that learn from images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from .._errors import PgtfastError
from ..images.augment import AugmentConfig
from ..images.pipeline import Normalize
from ..loading.loader import LoaderConfig
from ._datasets import Datasets

LARGEST_SEED = 2**32 - 1
"""Largest seed that NumPy takes, and with it Lightning."""


def require(config: Any, names: Iterable[str], *, zero: bool = False) -> None:
    """Refuse fields that are not numbers above 0 (with `zero`, 0 or more); None passes."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not (value >= 0 if zero else value > 0):
            raise PgtfastError(f"{name}: wanted {'0 or more' if zero else 'a number above 0'}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class SessionConfig:
    """Bookkeeping and arithmetic of any training."""

    out: Path
    """Folder of the run. A finished run is recognised, an unfinished one resumed, another config's refused."""
    batch_size: int
    """Examples a step, over all processes and parts of the step."""
    learning_rate: float
    """Of Adam."""
    weight_decay: float = 0.0
    """Of Adam; decoupled from the gradient (AdamW) where above 0."""
    clip_gradient: float | None = None
    """Largest gradient norm; None for no limit."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Of the network's arithmetic."""
    accelerator: Literal["cpu", "cuda", "mps", "auto"] = "auto"
    """Where to train."""
    threads: int = 0
    """CPU threads of each process; 0 leaves torch's number."""
    seed: int = 0
    """Of weights, order and augmentation. On the CPU the result is the same to the last bit for the same threads and
    processes."""
    checkpoint_every: int = 1000
    """Steps between checkpoints."""
    log_every: int = 50
    """Steps between readings of the losses. Nothing else waits for the device."""

    def __post_init__(self) -> None:
        require(self, ("batch_size", "learning_rate", "clip_gradient", "checkpoint_every", "log_every"))
        require(self, ("weight_decay", "threads"), zero=True)
        if not 0 <= self.seed <= LARGEST_SEED:
            raise PgtfastError(f"seed: wanted 0 to {LARGEST_SEED}, got {self.seed!r}")

    def idle(self) -> dict[str, str]:
        """Fields that change nothing because of others, each with the reason and the cure."""
        return {}


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(SessionConfig):
    """Data, optimisation and bookkeeping of a network that learns from images."""

    datasets: Datasets
    """Root folders of the data sets."""
    batch_size: int
    """People a step, over all processes and parts of the step."""
    accumulate: int = 1
    """Parts that each process's share of a step is computed in, one after the other; the step is the same but for batch
    statistics."""
    epochs: float
    """Epochs; one shows every person of the longest stream once."""
    steps: int | None = None
    """So many steps in place of `epochs`. The decays keep their fraction of the run."""
    schedule: Literal["decay", "cosine"] = "decay"
    """"decay" multiplies the learning rate by `decay` after each of `decay_epochs`; "cosine" lowers it to 1 % along
    half a cosine."""
    decay_epochs: tuple[float, ...]
    """Epochs after which the learning rate decays."""
    decay: float = 0.1
    """Factor of a decay."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises from 0."""
    batchnorm: Literal["batch", "sync", "frozen"] = "batch"
    """Statistics of batch normalisation while training: of the part at hand, of the parts of all processes (CUDA only),
    or the running ones."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Changes of the crops."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "32-true"
    """Of the network's arithmetic; losses and geometry are always computed in 32 bits. "auto" takes bfloat16 where the
    device multiplies it, and says which it took: a processor that has no instructions for it takes more than ten times
    as long as with 32 bits."""
    accelerator: Literal["cpu", "cuda", "auto"] = "auto"
    """Where to train. Several processes: `torchrun --nproc_per_node N -m pgtfast.train ...`."""
    compile: bool = False
    """Whether `torch.compile` makes the network."""
    channels_last: bool = True
    """Memory order of images and features; the faster one on almost every machine."""
    loader_threads: int = 2
    """CPU threads that read and crop images, in each process."""
    follow_links: bool = False
    """Read images through links that lead out of their folder."""
    overlay_every: int = 1000
    """Steps between drawings of predictions; 0 for none."""
    held_out_every: int = 0
    """Keep every n-th image of the sets that validation looks at out of training; 0 for none, and no `best`
    checkpoint."""
    validate_every: int = 1000
    """Steps between validations; one more follows the last step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, ("accumulate", "epochs", "steps", "decay", "loader_threads", "validate_every"))
        require(self, ("warmup_steps", "overlay_every", "held_out_every"), zero=True)
        if self.held_out_every == 1:
            raise PgtfastError("held_out_every: 1 would keep every image out of training; wanted 0, or 2 and more")
        if list(self.decay_epochs) != sorted(self.decay_epochs) or any(not e > 0 for e in self.decay_epochs):
            raise PgtfastError(f"decay_epochs: wanted rising epochs above 0, got {self.decay_epochs!r}")
        if not self.datasets:
            raise PgtfastError("datasets: none given; name at least one root folder, e.g. --datasets.coco DIR")

    def total_steps(self, steps_per_epoch: int) -> int:
        """Steps of the whole run."""
        return self.steps if self.steps is not None else max(1, round(self.epochs * steps_per_epoch))

    def idle(self) -> dict[str, str]:
        """Fields that change nothing because of others, each with the reason and the cure."""
        idle = super().idle()
        if self.steps is not None:
            idle["epochs"] = (
                f"the recipe takes {self.steps} steps in their place; give --steps N, or --steps None to count epochs"
            )
        if self.schedule == "cosine":
            cure = "the schedule is a cosine; take --schedule decay"
            idle |= {"decay_epochs": cure, "decay": cure}
        if not self.held_out_every:
            cure = "nothing is held out; give --held-out-every N"
            idle |= {"validate_every": cure, "best_by": cure}
        return idle


def loader_config(
    config: TrainingConfig, crop_size: tuple[int, int], normalize: Normalize, device: torch.device
) -> LoaderConfig:
    """How images are read and cropped."""
    return LoaderConfig(
        crop_size=crop_size,
        augment=config.augment,
        normalize=normalize,
        threads=config.loader_threads,
        follow_links=config.follow_links,
        device=str(device),
        seed=config.seed,
    )
