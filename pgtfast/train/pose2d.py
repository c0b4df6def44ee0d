"""Train a 2D pose network: heat maps of keypoints, whose backbone is where the annotator starts (recipe 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from .. import skeletons
from .._errors import PgtfastError
from ..loading import Batch, Supervision
from ..loading.loader import LoaderConfig, MixedLoader, OrderedLoader, Stream
from ..loading.targets import Targets, crop_targets
from ..networks import PoseResNet, heatmap_keypoints
from ..networks.files import PoseNetworkFile, header, save_pose_network
from ..networks.importers import import_weights
from ..people import ImageSet
from ._checkpoint import capture, restore, save_checkpoint
from ._config import TrainingConfig
from ._datasets import check_keypoints, describe, open_all, part
from ._fabric import (
    Stop,
    in_memory_order,
    make_fabric,
    on_first,
    set_up,
    skipped_by_all,
    sum_over_processes,
    train_mode,
)
from ._guard import Guard
from ._heatmaps import heatmap_loss, heatmap_targets
from ._log import RunLog
from ._overlays import overlay_row, to_pictures
from ._run import BEST, LAST, open_run, resolved, write_result
from ._schedule import rate_factor

if TYPE_CHECKING:
    from lightning.fabric import Fabric

POSE_NETWORK = "pose2d.ckpt"
STRIDE = 4
"""Pixels of the crop a cell of the heat maps."""


@dataclass(frozen=True, kw_only=True)
class Pose2dConfig(TrainingConfig):
    """Everything that decides the result. Defaults are those of the published network on COCO."""

    landmark_set: str = "coco17"
    """Keypoints to find. Datasets of another set are matched by joint name."""
    depth: Literal[18, 34, 50] = 50
    """Layers of the ResNet."""
    width: int = 64
    """Channels of its first stage."""
    deconv_channels: int = 256
    """Channels of the upsampling layers."""
    output_stride: Literal[16, 32] = 32
    """Of the ResNet; 16 leaves out the stride of its last stage, and one upsampling layer, which suits small crops."""
    crop_size: tuple[int, int] = (192, 256)
    """Width and height of a crop, multiples of 32."""
    normalize: Literal["imagenet", "unit"] = "imagenet"
    """Of the picture: ImageNet's mean and deviation, or 0 to 1."""
    sigma: float = 2.0
    """Of a keypoint's Gaussian, cells of the heat map (4 pixels of the crop each)."""
    backbone: Path | None = None
    """torchvision weights (.pth) of the backbone to start from; None starts at random."""
    batch_size: int = 128
    """People a step, over all processes and parts of the step."""
    epochs: float = 140
    """Epochs; one shows every person once."""
    learning_rate: float = 1e-3
    """Of Adam."""
    decay_epochs: tuple[float, ...] = (90, 120)
    """Epochs after which the learning rate decays."""

    def __post_init__(self) -> None:
        super().__post_init__()
        skeletons.get(self.landmark_set)
        if any(side % 32 or side <= 0 for side in self.crop_size):
            raise PgtfastError(f"crop_size: wanted width and height in multiples of 32, got {self.crop_size}")
        for name in ("width", "deconv_channels", "sigma"):
            if not getattr(self, name) > 0:
                raise PgtfastError(f"{name}: wanted a number above 0, got {getattr(self, name)!r}")


def train_pose2d(config: Pose2dConfig) -> Path:
    """Train, and write the run's folder.

    Returns:
        The network's file, which `pgtfast.networks.files.load_pose_network` reads and recipe 2 starts from.
    """
    sets = [replace(s, use_3d=False) for s in open_all(config.datasets)]
    supervision = Supervision((config.landmark_set,), position_set=config.landmark_set)
    check_keypoints(sets, supervision)
    held: list[ImageSet] = []
    if config.held_out_every:
        sets, held = part(sets, config.held_out_every)

    fabric = make_fabric(config)
    out = Path(config.out)
    if on_first(fabric, lambda: open_run(config, claim=False)) == "finished":
        fabric.print(f"{out} is a finished run of this config; its result is {out / POSE_NETWORK}")
        return out / POSE_NETWORK
    joints = skeletons.get(config.landmark_set).joints
    network = PoseResNet(len(joints), config.depth, config.width, config.deconv_channels, config.output_stride)
    if config.backbone is not None:
        fabric.print(import_weights(network, config.backbone, source="torchvision", part="backbone"))
    network, model, optimizer = set_up(fabric, network, config)

    loader = MixedLoader(
        [Stream(tuple(sets), config.batch_size)], supervision, loader_config(config, fabric.device), body_kind="free",
        rank=fabric.global_rank, world=fabric.world_size,
    )  # fmt: skip
    total = config.total_steps(loader.steps_per_epoch)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, total, config))
    fabric.print(f"learning {config.landmark_set} from {describe(sets)}; {total:,} steps of {config.batch_size}")
    about = PoseNetworkFile(
        landmark_set=config.landmark_set, depth=config.depth, width=config.width, deconv_channels=config.deconv_channels,
        output_stride=config.output_stride,
        crop_size=config.crop_size, normalize=config.normalize,
    )  # fmt: skip
    on_first(fabric, lambda: open_run(config))
    first, best = 0, None
    if (out / LAST).exists():
        first, best = restore(out / LAST, network, optimizer, scheduler, loader)
        fabric.print(f"resuming {out} at step {first:,} of {total:,}")

    def save(path: Path, done: int) -> None:
        guard.check_weights(done, network)
        if fabric.is_global_zero:
            state = capture(done, network, optimizer, scheduler, loader, resolved(config), best)
            save_checkpoint(path, {**header(about), **state})

    guard = Guard(sets, out, fabric.device)
    log = RunLog(out, first=first, total=total, per_step=config.batch_size, writes=fabric.is_global_zero)
    map_size = (config.crop_size[0] // STRIDE, config.crop_size[1] // STRIDE)
    with Stop() as stop:
        for done, batch in enumerate(loader.batches(first, total), first + 1):
            batch = batch.to(fabric.device)
            targets = crop_targets(batch, supervision, config.crop_size)
            counted = (targets.weights > 0) & targets.inside
            wanted = heatmap_targets(targets.keypoints, map_size, STRIDE, config.sigma)
            image = in_memory_order(batch.image, config)
            maps_counted = sum_over_processes({"heatmap": counted.sum().float()})["heatmap"].clamp_min(1)

            optimizer.zero_grad()
            loss = torch.zeros((), device=fabric.device)
            error = torch.zeros((), device=fabric.device)
            last = done == total
            reads = done % config.log_every == 0 or last
            for start in range(config.accumulate):
                these = slice(start, None, config.accumulate)
                with fabric.no_backward_sync(model, enabled=start + 1 < config.accumulate):
                    maps = model(image[these])
                    term = heatmap_loss(maps, wanted[these], counted[these]) / maps_counted
                    guard.note(done, {"total": term}, batch.set_index[these], batch.person[these])
                    fabric.backward(term * fabric.world_size)  # processes average their gradients
                loss += term.detach()
                if reads:
                    distance = (heatmap_pixels(maps.detach()) - targets.keypoints[these]).norm(dim=-1)
                    error += torch.where(counted[these], distance, 0.0).sum()
            if config.clip_gradient:
                fabric.clip_gradients(model, optimizer, max_norm=config.clip_gradient, error_if_nonfinite=False)
            optimizer.step()
            scheduler.step()
            log.advance()

            if reads:
                guard.check()
                summed = sum_over_processes({"total": loss, "error": error})
                log.scalars(done, {
                    "total": summed["total"].item(), "error_px": (summed["error"] / maps_counted).item(),
                    "learning_rate": optimizer.param_groups[0]["lr"],
                })  # fmt: skip
            if config.overlay_every and (done % config.overlay_every == 0 or last):
                log.picture(done, "train", _overlay(batch, maps.detach(), targets, counted, config))
            if held and (done % config.validate_every == 0 or last):
                guard.check()
                score = on_first(fabric, lambda: validate_pose2d(network, held, supervision, config, fabric))
                train_mode(network, config)
                log.scalars(done, {"error_px": score}, "validation")
                if best is None or score < best:
                    best = score
                    save(out / BEST, done)
            asked = stop.asked()
            if done % config.checkpoint_every == 0 or last or asked:
                guard.check()
                save(out / LAST, done)
            if asked and not last:
                log.close()
                fabric.print(f"stopped after step {done:,} of {total:,}; the same command goes on from {out / LAST}")
                raise KeyboardInterrupt
    log.close()
    skipped = skipped_by_all(loader.skipped)
    loader.close()

    write_network = partial(save_pose_network, out / POSE_NETWORK, network, about)
    on_first(
        fabric,
        lambda: write_result(
            config, network, write_network, steps=total, best={"best_error_px": best}, skipped=skipped
        ),
    )
    return out / POSE_NETWORK


def loader_config(config: Pose2dConfig, device: torch.device) -> LoaderConfig:
    """How pictures are read."""
    return LoaderConfig(
        crop_size=config.crop_size,
        augment=config.augment,
        normalize=config.normalize,
        threads=config.loader_threads,
        device=str(device),
        seed=config.seed,
    )


def heatmap_pixels(maps: Tensor) -> Tensor:
    """Peaks (B, J, 2) of heat maps, pixels of the crop."""
    return (heatmap_keypoints(maps.float())[..., :2] + 0.5) * STRIDE - 0.5


@torch.no_grad()
def validate_pose2d(
    network: PoseResNet, held: Sequence[ImageSet], supervision: Supervision, config: Pose2dConfig, fabric: Fabric
) -> float:
    """Mean distance of found to annotated keypoints over the held-out pictures, pixels of the crop."""
    network.eval()
    summed, count = 0.0, 0
    for image_set in held:
        for batch in OrderedLoader(image_set, supervision, loader_config(config, fabric.device)):
            batch = batch.to(fabric.device)
            targets = crop_targets(batch, supervision, config.crop_size)
            counted = (targets.weights > 0) & targets.inside
            with fabric.autocast():
                maps = network(batch.image)
            error = (heatmap_pixels(maps) - targets.keypoints).norm(dim=-1)
            summed += error[counted].sum().item()
            count += int(counted.sum())
    return summed / max(1, count)


def _overlay(batch: Batch, maps: Tensor, targets: Targets, counted: Tensor, config: Pose2dConfig) -> np.ndarray:
    """Eight people of the last part of a step."""
    few = slice(config.accumulate - 1, 8 * config.accumulate, config.accumulate)
    annotated = torch.cat((targets.keypoints, counted[..., None].float()), -1)[few].cpu().numpy()
    found = heatmap_pixels(maps[:8]).cpu().numpy()
    pictures = to_pictures(batch.image[few], config.normalize)
    return overlay_row(pictures, found, annotated, skeletons.get(config.landmark_set).edges)
