"""Train a 2D pose network: heat maps of keypoints, whose backbone is where the annotator starts (recipe 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from ._config import TrainingConfig, loader_config
from ._datasets import check_keypoints, describe, hold_out, open_all
from ._fabric import in_memory_order, set_up, sum_over_processes
from ._heatmaps import heatmap_loss, heatmap_targets
from ._overlays import overlay_row, to_images
from ._schedule import rate_factor
from .session import Session, TrainResult

if TYPE_CHECKING:
    from lightning.fabric import Fabric

POSE_NETWORK = "pose2d.ckpt"
OVERLAY_PEOPLE = 8
"""People of a drawing."""
STRIDE = 4
"""Pixels of the crop a bin of the heat maps."""


@dataclass(frozen=True, kw_only=True)
class Pose2dConfig(TrainingConfig):
    """Everything that decides the result. Defaults are those of the published network on COCO."""

    landmark_set: str = "coco17"
    """Keypoints to predict. Datasets of another set are matched by joint name."""
    depth: Literal[18, 34, 50, 101, 152] = 50
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
    """Of the image: ImageNet's mean and deviation, or 0 to 1."""
    sigma: float = 2.0
    """Of a keypoint's Gaussian, heatmap bins (4 pixels of the crop each)."""
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


def train_pose2d(config: Pose2dConfig) -> TrainResult:
    """Train, and write the run's folder; `pgtfast.networks.files.load_pose_network` reads the result and recipe 2
    starts from it."""
    sets = [replace(s, use_3d=False) for s in open_all(config.datasets)]
    supervision = Supervision((config.landmark_set,), position_set=config.landmark_set)
    check_keypoints(sets, supervision)
    held_out: list[ImageSet] = []
    if config.held_out_every:
        sets, held_out = hold_out(sets, config.held_out_every)

    session = Session(config, POSE_NETWORK)
    fabric = session.fabric
    if session.finished:
        return session.result()
    joints = skeletons.get(config.landmark_set).joints
    network = PoseResNet(len(joints), config.depth, config.width, config.deconv_channels, config.output_stride)
    if config.backbone is not None:
        fabric.print(import_weights(network, config.backbone, source="torchvision", part="backbone"))
    network, model, optimizer = set_up(fabric, network, config)
    loading = loader_config(config, config.crop_size, config.normalize, fabric.device)
    loader = MixedLoader(
        [Stream(tuple(sets), config.batch_size)], supervision, loading, body_kind="free",
        rank=fabric.global_rank, world=fabric.world_size,
    )  # fmt: skip
    total = config.total_steps(loader.steps_per_epoch)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, total, config))
    fabric.print(f"learning {config.landmark_set} from {describe(sets)}; {total:,} steps of {config.batch_size}")
    about = PoseNetworkFile(
        landmark_set=config.landmark_set, depth=config.depth, width=config.width,
        deconv_channels=config.deconv_channels,
        output_stride=config.output_stride, crop_size=config.crop_size, normalize=config.normalize,
    )  # fmt: skip

    map_size = (config.crop_size[0] // STRIDE, config.crop_size[1] // STRIDE)
    with session.begin(
        network, optimizer, scheduler, loader, total=total, header=header(about), sets=sets, best_by="error_px"
    ):
        for batch in session.steps(loader.batches(session.step, total)):
            batch = batch.to(fabric.device)
            annotated = crop_targets(batch, supervision, config.crop_size)
            counted = (annotated.weights > 0) & annotated.inside
            target = heatmap_targets(annotated.keypoints, map_size, STRIDE, config.sigma)
            image = in_memory_order(batch.image, config)
            maps_counted = sum_over_processes({"maps": counted.sum().float()})["maps"].clamp_min(1)

            optimizer.zero_grad()
            total_loss = torch.zeros((), device=fabric.device)
            distance = torch.zeros_like(total_loss)
            for people in session.parts(model, config.accumulate):
                prediction = model(image[people])
                loss = heatmap_loss(prediction, target[people], counted[people]) / maps_counted
                session.guard({"total": loss}, batch.rows(people))
                fabric.backward(loss * fabric.world_size)  # processes average their gradients
                total_loss += loss.detach()
                if session.due(config.log_every):
                    distance += pixel_errors(prediction.detach(), annotated.keypoints[people], counted[people]).sum()
            session.clip(model)
            optimizer.step()
            scheduler.step()

            if session.due(config.log_every):
                session.log({"total": total_loss, "error_px": distance / maps_counted})
            if session.due(config.overlay_every):
                session.draw(overlay, batch.rows(people), prediction.detach(), annotated.rows(people), config)
            if held_out and session.due(config.validate_every):
                session.evaluate(validate_pose2d, network, held_out, supervision, loading, config, fabric)
            session.checkpoint()
        loader.close()
        return session.finish(lambda file: save_pose_network(file, network, about), skipped=loader.skipped)


def heatmap_pixels(maps: Tensor) -> Tensor:
    """Peaks (B, J, 2) of heat maps, pixels of the crop."""
    return (heatmap_keypoints(maps.float())[..., :2] + 0.5) * STRIDE - 0.5


def pixel_errors(maps: Tensor, keypoints: Tensor, counted: Tensor) -> Tensor:
    """Distance (B, J) of predicted to annotated keypoints, pixels of the crop; 0 where they do not count."""
    return torch.where(counted, (heatmap_pixels(maps) - keypoints).norm(dim=-1), 0.0)


@torch.no_grad()
def validate_pose2d(
    network: PoseResNet,
    held_out: Sequence[ImageSet],
    supervision: Supervision,
    loading: LoaderConfig,
    config: Pose2dConfig,
    fabric: Fabric,
) -> dict[str, float]:
    """`error_px`, the mean distance of predicted to annotated keypoints over the held-out images, pixels of the
    crop."""
    network.eval()
    distance, count = 0.0, 0
    for image_set in held_out:
        for batch in OrderedLoader(image_set, supervision, loading):
            batch = batch.to(fabric.device)
            annotated = crop_targets(batch, supervision, config.crop_size)
            counted = (annotated.weights > 0) & annotated.inside
            with fabric.autocast():
                prediction = network(batch.image)
            distance += pixel_errors(prediction, annotated.keypoints, counted)[counted].sum().item()
            count += int(counted.sum())
    return {"error_px": distance / max(1, count)}


def overlay(batch: Batch, maps: Tensor, annotated: Targets, config: Pose2dConfig) -> np.ndarray:
    """The first people of a part of a step with their annotated and predicted keypoints, for a look."""
    shown = slice(OVERLAY_PEOPLE)
    counted = (annotated.weights > 0) & annotated.inside
    keypoints = torch.cat((annotated.keypoints, counted[..., None].float()), -1)[shown].cpu().numpy()
    predicted = heatmap_pixels(maps[shown]).cpu().numpy()
    images = to_images(batch.image[shown], config.normalize)
    return overlay_row(images, predicted, keypoints, skeletons.get(config.landmark_set).edges)
