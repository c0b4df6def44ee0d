"""Train a pose prior: a variational autoencoder in VPoser's shape."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from .._errors import PgtfastError
from ..priors import PriorSource, VPoser, load_vposer
from ..priors._network import NUM_LATENTS, PoseDecoder, PoseEncoder
from ..reference import forward_kinematics
from ._augment import PARENTS, PoseSampler, rest_offsets
from ._checkpoint import load_checkpoint, save_checkpoint
from ._config import MOST_SEED
from ._evaluate_prior import evaluate_prior, rounding_degrees
from ._poses import PoseSet, read_poses
from ._run import CHECKPOINT, RESULT, open_run, resolved, write_json

PRIOR = "prior.npz"


@dataclass(frozen=True, kw_only=True)
class PriorConfig:
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
    clip_gradient: float = 50.0
    """Largest gradient norm."""
    encoder_width: int = 256
    """Hidden units of the encoder. The decoder always has VPoser's shape, 32-512-512-126, because the fused op serves that."""
    mixed: float = 0.5
    """Share of each batch with limbs mixed, drawn or straightened, 0 to 1; the rest is captured poses, mirrored and slightly shaken."""
    rotation_sigma: float = 0.1
    """Radians: scale of a joint's rotation error beside the KL term. Smaller reconstructs closer and strays further from N(0, I)."""
    position_sigma: float = 0.04
    """Metres: the same for joint positions on an adult's bones."""
    moment_weight: float = 1.0
    """Weight of the pull of a batch's latents to mean 0 and covariance I."""
    kl_rise: float = 0.25
    """Share of the steps over which the KL term rises from 0 to its weight of 1."""
    seed: int = 0
    """Of weights, batches and latent noise. On the CPU the result is the same to the last bit for the same thread count."""
    threads: int = 1
    """CPU threads. One is enough for batches of this size, and keeps the result the same on every number of cores."""
    accelerator: Literal["cpu", "cuda", "mps", "auto"] = "cpu"
    """Where to train."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Of the arithmetic, by Lightning Fabric's names."""
    checkpoint_every: int = 1000
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "learning_rate", "clip_gradient", "encoder_width", "rotation_sigma", "position_sigma",
                     "threads", "checkpoint_every"):  # fmt: skip
            if not getattr(self, name) > 0:
                raise PgtfastError(f"{name}: wanted a number above 0, got {getattr(self, name)!r}")
        for name in ("mixed", "kl_rise"):
            if not 0 <= getattr(self, name) <= 1:
                raise PgtfastError(f"{name}: wanted a share from 0 to 1, got {getattr(self, name)!r}")
        for name in ("held_out_every", "weight_decay", "moment_weight"):
            if not getattr(self, name) >= 0:
                raise PgtfastError(f"{name}: wanted 0 or more, got {getattr(self, name)!r}")
        if not 0 <= self.seed <= MOST_SEED:
            raise PgtfastError(f"seed: wanted 0 to {MOST_SEED}, got {self.seed!r}")
        if not self.held_out and not self.held_out_every:
            raise PgtfastError(
                "held_out: name at least one clip, or give held_out_every; a prior that nothing was held out from cannot be judged"
            )


class PoseAutoencoder(nn.Module):
    """Encoder and decoder, trained together."""

    def __init__(self, encoder_width: int) -> None:
        super().__init__()
        self.encoder = PoseEncoder("free-1", encoder_width)
        self.decoder = PoseDecoder("free-1")

    def forward(self, rotations: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean, spread and sample (B, 32) of the latent and the reconstruction (B, 21, 3, 3) of rotations (B, 21, 3, 3)."""
        mean, spread = self.encoder(rotations)
        latent = mean + spread * noise
        return mean, spread, latent, self.decoder(latent)


def prior_loss(
    rotations: Tensor,
    result: tuple[Tensor, Tensor, Tensor, Tensor],
    offsets: Tensor,
    kl_weight: float,
    config: PriorConfig,
) -> dict[str, Tensor]:
    """Terms of the loss, each a mean over the batch of a sum over joints or latents; `total` adds them up.

    Args:
        rotations: (B, 21, 3, 3) wanted.
        result: of :class:`PoseAutoencoder`.
        offsets: (22, 3) metres.
        kl_weight: 0 to 1.
    """
    mean, spread, latent, decoded = result
    count = len(rotations)
    root = torch.eye(3, dtype=rotations.dtype, device=rotations.device).expand(2 * count, 1, 3, 3)
    both = torch.cat((root, torch.cat((rotations, decoded))), 1)
    wanted, got = forward_kinematics(both, offsets.expand(2 * count, *offsets.shape), PARENTS)[1].split(count)
    terms = {
        # |A - B|^2 = 8 sin^2(angle / 2), twice the squared angle when it is small
        "rotation": (rotations - decoded).square().sum((1, 2, 3)).mean() / (4 * config.rotation_sigma**2),
        "position": (wanted - got).square().sum((1, 2)).mean() / (2 * config.position_sigma**2),
        "kl": (0.5 * (mean.square() + spread.square() - 1) - spread.log()).sum(1).mean() * kl_weight,
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
    held = set(config.held_out)
    if config.held_out_every:
        held.update(poses.clips[config.held_out_every - 1 :: config.held_out_every])
    training, held_out = poses.select(set(poses.clips) - held), poses.select(held)
    for name, part in (("training", training), ("evaluation", held_out)):
        if not len(part):
            raise PgtfastError(
                f"held_out: no poses left for {name}; held out are {len(held)} of {len(poses.clips)} clips"
            )
    return training, held_out


def train_prior(config: PriorConfig) -> Path:
    """Train, evaluate on the held-out clips, and write the run's folder.

    Returns:
        The prior's npz, which :func:`pgtfast.load_vposer` reads.
    """
    from lightning.fabric import Fabric
    from tqdm import tqdm

    training, held_out = split(read_poses(config.poses, config.amass), config)
    out = Path(config.out)
    if open_run(config) == "finished":
        print(f"{out} is a finished run of this config; its result is {out / PRIOR}")
        return out / PRIOR
    print(
        f"training on {training.describe()}, held out {held_out.describe()}; {training.mended} glitched joints mended"
    )

    torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)  # moments of unused weights decay into denormals, which halve the speed of a CPU
    fabric = Fabric(accelerator=config.accelerator, devices=1, precision=config.precision)
    fabric.seed_everything(config.seed, verbose=False)
    generator = torch.Generator().manual_seed(config.seed)
    sampler = PoseSampler(training.pose, training.clip, generator, config.mixed)
    bare = PoseAutoencoder(config.encoder_width)
    model, optimizer = fabric.setup(
        bare, torch.optim.AdamW(bare.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _schedule(step, config.steps))
    offsets = rest_offsets().to(fabric.device)

    first = 0
    checkpoint = out / CHECKPOINT
    if checkpoint.exists():
        state = load_checkpoint(checkpoint)
        bare.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        generator.set_state(state["generator"])
        first = state["step"]
        print(f"resuming {out} at step {first:,} of {config.steps:,}")

    bar = tqdm(total=config.steps * config.batch_size, initial=first * config.batch_size, unit=" poses", unit_scale=True,
               mininterval=0.1 if sys.stderr.isatty() else 30)  # fmt: skip
    for step in range(first, config.steps):
        rotations = sampler(config.batch_size).to(fabric.device)
        noise = torch.randn(config.batch_size, NUM_LATENTS, generator=generator).to(fabric.device)
        kl_weight = min(1.0, (step + 1) / max(1.0, config.kl_rise * config.steps))
        terms = prior_loss(rotations, model(rotations, noise), offsets, kl_weight, config)
        optimizer.zero_grad()
        fabric.backward(terms["total"])
        norm = fabric.clip_gradients(model, optimizer, max_norm=config.clip_gradient, error_if_nonfinite=False)
        if norm is None or not torch.isfinite(norm):
            raise PgtfastError(
                f"step {step}: the loss is not finite ("
                + ", ".join(f"{name} {value.item():.4g}" for name, value in terms.items())
                + f"). The last good state is step {step - step % config.checkpoint_every} in {checkpoint}; "
                "lower --learning-rate, or look at the poses."
            )
        optimizer.step()
        scheduler.step()
        bar.update(config.batch_size)
        if (step + 1) % 100 == 0:
            bar.set_postfix({name: f"{value.item():.1f}" for name, value in terms.items()})
        if (step + 1) % config.checkpoint_every == 0 and step + 1 < config.steps:
            save_checkpoint(checkpoint, {
                "step": step + 1, "model": bare.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(),
                "generator": generator.get_state(),
            })  # fmt: skip
    bar.close()

    bare.cpu().eval()
    trained = VPoser(bare.encoder, bare.decoder, PriorSource("pgtfast.train", ""))
    trained.save(out / PRIOR, dtype=torch.float16)
    prior = load_vposer(out / PRIOR)  # what is judged is the file, its rounding included
    result = evaluate_prior(prior, training, held_out, config.seed)
    result["storage_rounding_deg"] = rounding_degrees(trained, prior, held_out)
    write_json(out / RESULT, {"config": resolved(config), **result})
    checkpoint.unlink(missing_ok=True)
    return out / PRIOR


def _schedule(step: int, steps: int) -> float:
    rise = max(1, steps // 50)
    if step < rise:
        return (step + 1) / rise
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
