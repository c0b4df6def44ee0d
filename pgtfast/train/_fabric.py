"""Device, precision and processes, and what several processes must agree on."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from .._errors import PgtfastError
from .._system import multiplies_bfloat16
from ._config import SessionConfig, TrainingConfig

if TYPE_CHECKING:
    from lightning.fabric import Fabric

    from ..loading.loader import Skipped

T = TypeVar("T")


def make_fabric(config: SessionConfig) -> Fabric:
    """Lightning Fabric for this process: alone, or one of those that torchrun started."""
    try:
        from lightning.fabric import Fabric
        from lightning.fabric.strategies import DDPStrategy
    except ModuleNotFoundError as error:
        raise PgtfastError("training needs the extra `train`: pip install 'pgtfast[train]'") from error
    world, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    accelerator = _accelerator(config.accelerator)
    if isinstance(config, TrainingConfig):
        if config.batchnorm == "sync" and accelerator != "cuda":
            raise PgtfastError("batchnorm: 'sync' needs GPUs; take 'batch' or 'frozen' on the CPU")
        if config.batch_size % (world * config.accumulate):
            raise PgtfastError(
                f"batch_size: {config.batch_size} people do not divide into {world} processes with {config.accumulate} "
                "parts each"
            )
    elif world > 1:
        raise PgtfastError(f"{type(config).__name__} trains in one process, torchrun started {world}")
    if config.threads:
        torch.set_num_threads(config.threads)
    precision = config.precision
    if precision == "auto":
        on_gpu = accelerator == "cuda"
        fast = torch.cuda.is_bf16_supported(including_emulation=False) if on_gpu else multiplies_bfloat16()
        precision = "bf16-mixed" if fast else "32-true"
    torch.set_flush_denormal(True)  # moments of unused weights decay into denormals, which halve the speed of a CPU
    fabric = Fabric(
        accelerator=accelerator,
        devices=local,
        num_nodes=world // local,
        precision=precision,
        strategy=DDPStrategy() if world > 1 else "auto",
    )
    fabric.launch()
    if config.precision == "auto":
        fabric.print(f"precision: {precision}")
    fabric.seed_everything(config.seed, verbose=False)
    return fabric


def _accelerator(name: str) -> str:
    """The device of a config's word for it."""
    if name == "cuda" and not torch.cuda.is_available():
        raise PgtfastError("accelerator: wanted cuda, but torch sees no GPU here; take --accelerator cpu")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def on_first(fabric: Fabric, action: Callable[[], T]) -> T:
    """The result of `action` on the first process, on all of them; its PgtfastError ends all."""
    result: Any = None
    error: str | None = None
    if fabric.is_global_zero:
        try:
            result = action()
        except PgtfastError as caught:
            error = str(caught)
    result, error = fabric.broadcast((result, error))
    if error is not None:
        raise PgtfastError(error)
    return result


def sum_over_processes(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Scalars summed over all processes, in one exchange."""
    if not distributed.is_initialized() or not values:
        return values
    stacked = torch.stack([v.detach().float() for v in values.values()])
    distributed.all_reduce(stacked)
    return dict(zip(values, stacked.unbind(), strict=True))


def skipped_by_all(skipped: list[Skipped]) -> list[Skipped]:
    """People that any process skipped, each once and sorted; all of them must call it."""
    everywhere = [skipped]
    if distributed.is_initialized():
        everywhere = [[]] * distributed.get_world_size()
        distributed.all_gather_object(everywhere, skipped)
    return sorted({person for part in everywhere for person in part})


def set_up(fabric: Fabric, network: nn.Module, config: TrainingConfig) -> tuple[Any, Any, Any]:
    """Bring a network to its device.

    Returns:
        The network itself, which checkpoints are made of; what the loop calls in its place; the optimizer.
    """
    if config.batchnorm == "sync":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    if config.channels_last:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    train_mode(network, config)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    called: Any = torch.compile(network) if config.compile else network
    model, wrapped = fabric.setup(called, optimizer)
    return network, model, wrapped


def train_mode(network: nn.Module, config: SessionConfig) -> None:
    """Training mode, with batch normalisation as the config wants it."""
    network.train()
    if isinstance(config, TrainingConfig) and config.batchnorm == "frozen":
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def in_memory_order(image: Tensor, config: TrainingConfig) -> Tensor:
    """Images (B, 3, H, W) laid out as the network is."""
    return image.contiguous(memory_format=torch.channels_last) if config.channels_last else image


def any_process() -> Callable[[bool], bool] | None:
    """Whether something is so in any process, to be called by all of them; None where there is one."""
    if not distributed.is_initialized():
        return None
    group = distributed.new_group(backend="gloo")  # on the CPU: the answer is read every step

    def ask(mine: bool) -> bool:
        flag = torch.tensor([int(mine)])
        distributed.all_reduce(flag, op=distributed.ReduceOp.MAX, group=group)
        return bool(flag)

    return ask
