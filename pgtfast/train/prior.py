"""Train a pose prior: a variational autoencoder in VPoser's shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from .._errors import PgtfastError
from ..files.atomic import disk_errors
from ..priors import PriorSource, VPoser, load_vposer
from ..priors.network import NUM_LATENTS, PoseDecoder, PoseEncoder
from ..reference import forward_kinematics
from ._augment import PARENTS, PoseSampler, rest_offsets
from ._config import SessionConfig, require
from ._evaluate_prior import evaluate_prior, rounding_degrees
from ._poses import PoseSet, read_poses
from .session import Session, TrainResult

PRIOR = "prior.npz"


@dataclass(frozen=True, kw_only=True)
class PriorConfig(SessionConfig):
    """Everything that decides the result."""

    poses: Path | None
    """npz with `poses` (N, 24, 3) in radians at 10 Hz and `src` (N,), the clip of each; None to use --amass alone."""
    amass: Path | None = None
    """Folder of AMASS npz files, read at 10 Hz, in addition."""
    out: Path = Path("runs/prior")
    """Folder of the run. A finished run is recognised, an unfinished one resumed, another config's refused."""
    held_out: tuple[str, ...] = ()
    """Clips kept for evaluation, by name."""
    held_out_every: int = 0
    """Also keep every n-th clip by name for evaluation (for AMASS); 0 for none."""
    steps: int = 6000
    """Optimisation steps."""
    batch_size: int = 512
    """Poses a step."""
    learning_rate: float = 1.5e-3
    """Peak of the one-cycle schedule: linear rise over 2 % of the steps, then half a cosine down to 1 % of it."""
    weight_decay: float = 1e-4
    """Of AdamW."""
    clip_gradient: float | None = 50.0
    """Largest gradient norm; None for no limit."""
    encoder_width: int = 256
    """Hidden units of the encoder. The decoder always has VPoser's shape, 32-512-512-126, because the fused op serves
    that."""
    mixed: float = 0.5
    """Fraction of each batch with limbs mixed, drawn or straightened, 0 to 1; the rest is captured poses, mirrored and
    slightly shaken."""
    rotation_sigma: float = 0.1
    """Radians: scale of a joint's rotation error beside the KL term. Smaller reconstructs closer and strays further
    from N(0, I)."""
    position_sigma: float = 0.04
    """Metres: the same for joint positions on an adult's bones."""
    moment_weight: float = 1.0
    """Weight of the pull of a batch's latents to mean 0 and covariance I."""
    kl_rise: float = 0.25
    """Fraction of the steps over which the KL term rises from 0 to its weight of 1."""
    seed: int = 0
    """Of weights, batches and latent noise. On the CPU the result is the same to the last bit for the same thread
    count."""
    threads: int = 1
    """CPU threads. One is enough for batches of this size, and keeps the result the same on every number of cores."""
    accelerator: Literal["cpu", "cuda", "mps", "auto"] = "cpu"
    """Where to train."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Of the arithmetic, by Lightning Fabric's names."""
    log_every: int = 100
    """Steps between readings of the losses."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, ("steps", "encoder_width", "rotation_sigma", "position_sigma", "threads"))
        require(self, ("held_out_every", "moment_weight"), zero=True)
        for name in ("mixed", "kl_rise"):
            if not 0 <= getattr(self, name) <= 1:
                raise PgtfastError(f"{name}: wanted a fraction from 0 to 1, got {getattr(self, name)!r}")
        if not self.held_out and not self.held_out_every:
            raise PgtfastError(
                "held_out: name at least one clip, or give held_out_every; a prior that nothing was held out from "
                "cannot be judged"
            )


class Autoencoded(NamedTuple):
    """What the autoencoder makes of B poses."""

    mean: Tensor
    """(B, 32) of the latent."""
    stddev: Tensor
    """(B, 32) of the latent."""
    latent: Tensor
    """(B, 32) sample."""
    rotations: Tensor
    """(B, 21, 3, 3) decoded from the sample."""


class PoseAutoencoder(nn.Module):
    """Encoder and decoder, trained together."""

    def __init__(self, encoder_width: int) -> None:
        super().__init__()
        self.encoder = PoseEncoder("free-1", encoder_width)
        self.decoder = PoseDecoder("free-1")

    def forward(self, rotations: Tensor, noise: Tensor) -> Autoencoded:
        """Rotations (B, 21, 3, 3) and noise (B, 32) from N(0, I) -> latents and the poses decoded from them."""
        mean, stddev = self.encoder(rotations)
        latent = mean + stddev * noise
        return Autoencoded(mean, stddev, latent, self.decoder(latent))


def prior_loss(
    prediction: Autoencoded, target: Tensor, offsets: Tensor, kl_weight: float, config: PriorConfig
) -> dict[str, Tensor]:
    """Terms of the loss, each a mean over the batch of a sum over joints or latents; `total` adds them up.

    Args:
        prediction: of B poses.
        target: (B, 21, 3, 3) rotations.
        offsets: (22, 3) metres.
        kl_weight: 0 to 1.
        config: of the run.
    """
    mean, stddev, latent, rotations = prediction
    count = len(target)
    root = torch.eye(3, dtype=target.dtype, device=target.device).expand(2 * count, 1, 3, 3)
    both = torch.cat((root, torch.cat((target, rotations))), 1)
    target_joints, joints = forward_kinematics(both, offsets.expand(2 * count, *offsets.shape), PARENTS)[1].split(count)
    terms = {
        # |A - B|^2 = 8 sin^2(angle / 2), twice the squared angle when it is small
        "rotation": (target - rotations).square().sum((1, 2, 3)).mean() / (4 * config.rotation_sigma**2),
        "position": (target_joints - joints).square().sum((1, 2)).mean() / (2 * config.position_sigma**2),
        "kl": (0.5 * (mean.square() + stddev.square() - 1) - stddev.log()).sum(1).mean() * kl_weight,
        "moments": _moment_gap(latent) * config.moment_weight * kl_weight,
    }
    terms["total"] = torch.stack(list(terms.values())).sum()
    return terms


def _moment_gap(latent: Tensor) -> Tensor:
    """Squared distance of a batch's mean and covariance from 0 and I."""
    centre = latent.mean(0)
    spread = (latent - centre).T @ (latent - centre) / len(latent)
    return centre.square().sum() + (spread - torch.eye(latent.shape[1], device=latent.device)).square().sum()


def split(poses: PoseSet, config: PriorConfig) -> tuple[PoseSet, PoseSet]:
    """Training and held-out poses; no clip is in both."""
    missing = [name for name in config.held_out if name not in poses.clips]
    if missing:
        raise PgtfastError(f"held_out: no clip named {missing}; the data has {list(poses.clips)[:40]}")
    kept_out = set(config.held_out)
    if config.held_out_every:
        kept_out.update(poses.clips[config.held_out_every - 1 :: config.held_out_every])
    training, held_out = poses.select(set(poses.clips) - kept_out), poses.select(kept_out)
    for name, subset in (("training", training), ("evaluation", held_out)):
        if not len(subset):
            raise PgtfastError(
                f"held_out: no poses left for {name}; held out are {len(kept_out)} of {len(poses.clips)} clips"
            )
    return training, held_out


def train_prior(config: PriorConfig) -> TrainResult:
    """Train, score on the held-out clips, and write the run's folder; :func:`pgtfast.load_vposer` reads the result."""
    training, held_out = split(read_poses(config.poses, config.amass), config)
    session = Session(config, PRIOR)
    fabric = session.fabric
    if session.finished:
        return session.result()
    fabric.print(
        f"training on {training.describe()}, held out {held_out.describe()}; {training.replaced} glitched joints "
        "replaced"
    )
    network = PoseAutoencoder(config.encoder_width)
    model, optimizer = fabric.setup(
        network, torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: one_cycle(step, config.steps))
    sampler = PoseSampler(training.pose, training.clip, torch.Generator().manual_seed(config.seed), config.mixed)
    offsets = rest_offsets().to(fabric.device)

    with session.begin(network, optimizer, scheduler, sampler, total=config.steps, unit="poses"):
        for step in session.steps(range(session.step, config.steps)):
            target = sampler(config.batch_size).to(fabric.device)
            noise = sampler.normal(config.batch_size, NUM_LATENTS).to(fabric.device)
            kl_weight = min(1.0, (step + 1) / max(1.0, config.kl_rise * config.steps))

            optimizer.zero_grad()
            prediction = model(target, noise)
            loss = prior_loss(prediction, target, offsets, kl_weight, config)
            session.guard(loss)
            fabric.backward(loss["total"])
            session.clip(model)
            optimizer.step()
            scheduler.step()

            if session.due(config.log_every):
                session.log(loss)
            session.checkpoint()
        return session.finish(lambda file: write_prior(file, network, training, held_out, config))


def write_prior(
    file: Path, network: PoseAutoencoder, training: PoseSet, held_out: PoseSet, config: PriorConfig
) -> dict[str, Any]:
    """Write the prior's file and score it, the rounding of its storage included."""
    network.cpu().eval()
    trained = VPoser(network.encoder, network.decoder, PriorSource("pgtfast.train", ""))
    with disk_errors(file):
        trained.save(file, dtype=torch.float16)
    prior = load_vposer(file)
    scores = evaluate_prior(prior, training, held_out, config.seed)
    return {**scores, "storage_rounding_deg": rounding_degrees(trained, prior, held_out)}


def one_cycle(step: int, steps: int) -> float:
    """Factor of the learning rate at a step (from 0) of `steps`: a linear rise, then half a cosine."""
    rise = max(1, steps // 50)
    if step < rise:
        return (step + 1) / rise
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
