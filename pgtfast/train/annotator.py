"""Train an estimator, such as the annotator f, on half motion capture and half images in the wild."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn

from .. import skeletons
from .._errors import PgtfastError
from ..body import LandmarkPlan, load_body
from ..loading import Batch, Supervision
from ..loading.loader import MixedLoader, Stream
from ..loading.targets import Targets, crop_targets
from ..networks import Estimator, EstimatorConfig, LossWeights, NetworkConfig, ViT
from ..networks.files import ANNOTATOR as ANNOTATOR_FILE
from ..networks.files import POSE_NETWORK, AnnotatorFile, header, kind_of, network_file, save_annotator
from ..networks.importers import ImportReport, import_weights
from ..people import ImageSet, Role
from ..priors import VPoser, load_vposer
from ._config import TrainingConfig, loader_config
from ._datasets import (
    check_bodies,
    check_keypoints,
    check_landmarks,
    default_supervision,
    describe,
    hold_out,
    open_all,
)
from ._fabric import in_memory_order, set_up, sum_over_processes
from ._overlays import overlay_row, to_images
from ._schedule import rate_factor
from ._validate import predict_landmarks, validate_annotator
from .session import Session, TrainResult

if TYPE_CHECKING:
    from lightning.fabric import Fabric

ANNOTATOR = "annotator.ckpt"


@dataclass(frozen=True, kw_only=True)
class AnnotatorConfig(TrainingConfig):
    """Everything that decides the result. Defaults are the paper's, where it or its code tells them."""

    body: str = "free"
    """Body to speak of: "free", a name such as "smpl-neutral", or a file."""
    prior: str = "free"
    """Pose prior whose latents are learned (recipe 3): "free", or the file or folder of a VPoser."""
    network: EstimatorConfig = field(default_factory=NetworkConfig)
    """Of the network: Pose2Pose's, or another estimator's; whether it gives latents follows from recipe 3."""
    loss: LossWeights = field(default_factory=LossWeights)
    """Weights of the losses."""
    supervision: tuple[str, ...] | None = None
    """Landmark sets to compare the body by. None: the free body's own joints and those of the datasets in their own
    definition; for SMPL the 33 of Pose2Pose, and in the "improved" mode the datasets' own too."""
    recipe_1: bool = True
    """Learn from the bridge too, the sets in the wild that have 3D (3DPW)."""
    bridge_3d: bool = True
    """Learn from the bridge's 3D; False takes it as further images in the wild (the paper's Table 9)."""
    bridge_fraction: float = 0.125
    """Fraction of the batch that is bridge. It comes out of the half with 3D, or without its 3D out of the wild
    half."""
    recipe_2: bool = True
    """Start from the backbone of a 2D pose network."""
    pose_network: Path | None = None
    """That network: the folder of a pose2d run, its file, or a checkpoint of SimpleBaseline or, for a ViT, of
    ViTPose."""
    backbone: Path | None = None
    """Weights (.pth) to start from where recipe 2 is off, of torchvision or, for a ViT, of timm or MAE; None starts at
    random."""
    recipe_3: bool = True
    """Give the pose as a latent of the prior, with an L2 on it; False gives 6D rotations, and keeps the L2 on the
    shape."""
    batch_size: int = 192
    """People a step, over all processes and parts of the step: half motion capture (the bridge included), half in the
    wild."""
    epochs: float = 7
    """Epochs; one shows every person of the longest stream once."""
    learning_rate: float = 1e-4
    """Of Adam."""
    decay_epochs: tuple[float, ...] = (4, 6)
    """Epochs after which the learning rate decays."""
    best_by: Literal["pa_mpjpe_mm", "error_px"] = "pa_mpjpe_mm"
    """Score whose lowest value makes the `best` checkpoint: of the held-out bridge in 3D, or of all that is held out in
    2D."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size % 2:
            raise PgtfastError(f"batch_size: wanted an even number, half of it in the wild, got {self.batch_size}")
        if not 0 < self.bridge_fraction < 0.5:
            raise PgtfastError(f"bridge_fraction: wanted a fraction between 0 and 0.5, got {self.bridge_fraction!r}")
        if self.recipe_2 and self.pose_network is None:
            raise PgtfastError(
                "pose_network: recipe 2 starts from a 2D pose network; give the folder of a run of "
                "python_training.pose2d with --pose-network, "
                "or switch the recipe off with --no-recipe-2"
            )
        if self.recipe_2 and self.backbone is not None:
            raise PgtfastError(
                "backbone: recipe 2 starts from pose_network, and nothing would be read from these weights; leave them "
                "out, or switch the recipe off with "
                "--no-recipe-2"
            )
        if self.recipe_3 and self.network.with_prior(True) != self.network:
            raise PgtfastError(
                "network.head: it follows from recipe 3, which gives latents; for rotations switch it off with "
                "--no-recipe-3"
            )
        if self.recipe_1 and not self.datasets.of("bridge"):
            raise PgtfastError(
                "datasets.pw3d: recipe 1 learns from a bridge set; give one, or switch the recipe off with "
                "--no-recipe-1"
            )
        examples: dict[Role, str] = {"mocap": "h36m", "wild": "coco"}
        for role, example in examples.items():
            if not self.datasets.of(role):
                raise PgtfastError(
                    f"datasets: half of a batch is of role {role}, but no such set is given, e.g. --datasets.{example} "
                    "DIR"
                )

    @property
    def estimator(self) -> EstimatorConfig:
        """The network's config with the head that recipe 3 asks for."""
        return self.network.with_prior(self.recipe_3)

    def idle(self) -> dict[str, str]:
        """Fields that change nothing because of others, each with the reason and the cure."""
        idle = super().idle()
        if not self.recipe_2:
            idle["pose_network"] = "recipe 2 is off; take --recipe-2"
        return idle


def train_annotator(config: AnnotatorConfig) -> TrainResult:
    """Train, and write the run's folder; `pgtfast.networks.files.load_annotator` reads the result."""
    roles: tuple[Role, ...] = ("mocap", "wild", "bridge") if config.recipe_1 else ("mocap", "wild")
    sets = [
        replace(s, use_3d=s.role == "mocap" or (s.role == "bridge" and config.bridge_3d))
        for s in open_all(config.datasets.of(*roles))
    ]
    body, prior = load_body(config.body), load_vposer(config.prior)
    names = config.supervision or default_supervision(sets, body, own=not config.network.paper_joints_only)
    check_landmarks(names, body)
    supervision = config.network.supervision(names)
    check_keypoints(sets, supervision)
    check_bodies(sets, body.kind)
    held_out: list[ImageSet] = []
    if config.held_out_every:
        mocap = [s for s in sets if s.role == "mocap"]
        others, held_out = hold_out([s for s in sets if s.role != "mocap"], config.held_out_every)
        sets = [*mocap, *others]
        if config.best_by == "pa_mpjpe_mm" and not any(s.use_3d and s.people.joints_3d is not None for s in held_out):
            raise PgtfastError("best_by: pa_mpjpe_mm needs a held-out set with 3D; take --best-by error_px")

    session = Session(config, ANNOTATOR)
    fabric = session.fabric
    if session.finished:
        return session.result()
    network: Estimator = config.estimator.build()
    if config.recipe_2:
        fabric.print(import_backbone(network, config.pose_network))
    elif config.backbone is not None:
        backbone = backbone_of(network)
        source: Literal["torchvision", "vit"] = "vit" if isinstance(backbone, ViT) else "torchvision"
        fabric.print(import_weights(backbone, config.backbone, source=source, part="backbone"))
    network, model, optimizer = set_up(fabric, network, config)
    body, prior = body.to(fabric.device), prior.to(fabric.device)
    plan = supervision.plan(body)
    loss_of = network.loss(plan, supervision, config.loss)

    streams = mixture(sets, config)
    sets = [s for stream in streams for s in stream.sets]
    crop_size = config.network.input_size
    loading = loader_config(config, crop_size, config.network.normalize, fabric.device)
    loader = MixedLoader(
        streams, supervision, loading, body_kind=body.kind,
        gender=body.gender if body.gender != "unknown" else "neutral", rank=fabric.global_rank, world=fabric.world_size,
    )  # fmt: skip
    total = config.total_steps(loader.steps_per_epoch)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, total, config))
    shares = " + ".join(f"{s.count} {'/'.join(i.people.dataset for i in s.sets)}" for s in streams)
    fabric.print(f"learning from {describe(sets)}; {total:,} steps of {shares}")
    about = AnnotatorFile(
        config=config.estimator, body=config.body, body_sha256=body.source.sha256, sets=supervision.sets,
        prior=config.prior, prior_sha256=prior.source.sha256,
        recipes=(config.recipe_1, config.recipe_2, config.recipe_3),
    )  # fmt: skip

    with session.begin(
        network, optimizer, scheduler, loader, total=total, header=header(about), sets=sets, best_by=config.best_by
    ):
        for batch in session.steps(loader.batches(session.step, total)):
            batch = batch.to(fabric.device)
            annotated = crop_targets(batch, supervision, crop_size)
            target = loss_of.targets(batch, annotated)
            # means are over what the whole step holds: all parts, all processes
            target = target._replace(counts=sum_over_processes(target.counts))
            batch = replace(batch, image=in_memory_order(batch.image, config))

            optimizer.zero_grad()
            losses: dict[str, Tensor] = {}
            for people in session.parts(model, config.accumulate):
                prediction = model(*network.inputs(batch.rows(people), annotated.rows(people)))
                loss = loss_of(prediction, network.bodies(prediction, prior), target.rows(people))
                session.guard(loss, batch.rows(people))
                fabric.backward(loss["total"] * fabric.world_size)  # processes average their gradients
                losses = {name: losses.get(name, 0) + value.detach() for name, value in loss.items()}
            session.clip(model)
            optimizer.step()
            scheduler.step()

            if session.due(config.log_every):
                session.log(losses)
            if session.due(config.overlay_every):
                session.draw(overlay, network, prior, batch, annotated, plan, supervision, config, fabric)
            if held_out and session.due(config.validate_every):
                session.evaluate(validate_annotator, network, prior, held_out, supervision, plan, loading, fabric)
            session.checkpoint()
        loader.close()
        return session.finish(lambda file: save_annotator(file, network, about), skipped=loader.skipped)


def mixture(sets: Sequence[ImageSet], config: AnnotatorConfig) -> list[Stream]:
    """Streams of a batch: motion capture and bridge fill one half, images in the wild the other."""
    half = config.batch_size // 2
    by_role = {role: tuple(s for s in sets if s.role == role) for role in ("mocap", "wild", "bridge")}
    bridge = max(1, round(config.bridge_fraction * config.batch_size)) if config.recipe_1 else 0
    mocap, wild = (half - bridge, half) if config.bridge_3d else (half, half - bridge)
    counts = {"mocap": mocap, "wild": wild, "bridge": bridge}
    if min(mocap, wild) < 1:
        raise PgtfastError(
            f"bridge_fraction: {bridge} of {config.batch_size} people leave none for the other sets; raise --batch-size"
        )
    return [Stream(by_role[role], counts[role]) for role in by_role if counts[role]]


def import_backbone(network: Estimator, path: Path | None) -> ImportReport:
    """Take the backbone of a 2D pose network: of ours, or of a checkpoint of SimpleBaseline or, for a ViT, of ViTPose.

    Raises:
        PgtfastError: the file is not of such a network, or its backbone is another than the estimator's.
    """
    assert path is not None
    file = network_file(path, POSE_NETWORK)
    kind = kind_of(file)
    if kind == ANNOTATOR_FILE:
        raise PgtfastError(
            f"pose_network: {file} is an annotator; recipe 2 starts from a 2D pose network, a run of "
            "python_training.pose2d"
        )
    backbone = backbone_of(network)
    is_vit = isinstance(backbone, ViT)
    if is_vit and kind == POSE_NETWORK:
        raise PgtfastError(
            f"pose_network: {file} has a ResNet, the estimator {network.config.name!r} has a ViT; give a checkpoint of "
            "ViTPose, or train it with --no-recipe-2"
        )
    elsewhere: Literal["vitpose", "simplebaseline"] = "vitpose" if is_vit else "simplebaseline"
    source = "pgtfast" if kind == POSE_NETWORK else elsewhere
    return import_weights(backbone, file, source=source, part="backbone")


def backbone_of(network: Estimator) -> nn.Module:
    """The part that recipe 2 and `backbone` fill."""
    backbone = getattr(network, "backbone", None)
    if backbone is None:
        raise PgtfastError(
            f"network: the estimator {network.config.name!r} has no backbone to fill; train it with --no-recipe-2"
        )
    return backbone


def overlay(
    network: Estimator, prior: VPoser, batch: Batch, annotated: Targets, plan: LandmarkPlan, supervision: Supervision,
    config: AnnotatorConfig, fabric: Fabric,
) -> np.ndarray:  # fmt: skip
    """The first people of each set of a batch with their annotated and predicted landmarks, for a look."""
    rows = torch.cat([(batch.set_index == index).nonzero().flatten()[:3] for index in batch.set_index.unique()[:4]])
    predicted = predict_landmarks(network, prior, batch.rows(rows), annotated.rows(rows), plan, fabric).pixels
    keypoints = torch.cat((annotated.keypoints, annotated.weights[..., None]), -1)[rows].cpu().numpy()
    base = skeletons.get(supervision.sets[0])
    images = to_images(batch.image[rows], config.network.normalize)
    return overlay_row(images, predicted[:, : len(base)].cpu().numpy(), keypoints, base.edges)
