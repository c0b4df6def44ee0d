"""The pose prior: a 32-D latent for the 21 body joints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from ..files.atomic import replacing
from ..ops import vposer_decode
from ..reference import DecoderTerms
from .network import NUM_JOINTS, NUM_LATENTS, PoseDecoder, PoseEncoder

FORMAT = "pgtfast-pose-prior-1"


class PriorSource(NamedTuple):
    """Where the weights came from."""

    file: str
    sha256: str


class VPoser(nn.Module):
    """A frozen pose prior, always in evaluation mode. Made by :func:`load_vposer`.

    Args:
        encoder: pose to latent.
        decoder: latent to pose, of the same version.
        source: file and hash of the weights.
        notes: what the loader wishes to say: which snapshot was chosen, what was left aside.

    Convention:
        Poses are SMPL's joints 1..21 without the root. Latents of different versions are not exchangeable.
    """

    def __init__(
        self, encoder: PoseEncoder, decoder: PoseDecoder, source: PriorSource, notes: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.source = source
        self.notes = notes
        self._terms: DecoderTerms | None = None
        self.requires_grad_(False)
        self.eval()

    @property
    def version(self) -> str:
        """ "v1", "v2" or "free-1"."""
        return self.encoder.version

    @property
    def terms(self) -> DecoderTerms:
        """The decoder as constants for :func:`pgtfast.ops.vposer_decode` and the fused fits, on this module's
        device."""
        if self._terms is None:
            with torch.inference_mode(False):  # they outlive the mode in which they are first asked for
                self._terms = self.decoder.terms()
        return self._terms

    def decode(self, latent: Tensor) -> Tensor:
        """Poses of latents.

        Args:
            latent: (..., 32).

        Returns:
            (..., 21, 3, 3) local rotations.
        """
        if latent.dim() == 0 or latent.shape[-1] != NUM_LATENTS:
            raise ValueError(f"latent: wanted (..., {NUM_LATENTS}), got {tuple(latent.shape)}")
        return vposer_decode(latent, self.terms)

    def encode(self, pose: Tensor) -> Normal:
        """Distribution of the latent of poses.

        Args:
            pose: (..., 21, 3) rotation vectors, radians.

        Returns:
            Normal with mean and standard deviation (..., 32).
        """
        if pose.dim() < 2 or pose.shape[-2:] != (NUM_JOINTS, 3):
            raise ValueError(
                f"pose: wanted (..., {NUM_JOINTS}, 3) rotation vectors of SMPL's joints 1..21, got "
                f"{tuple(pose.shape)}; "
                "drop the root and the hands, and view a flat (..., 63) as (..., 21, 3)"
            )
        batch = pose.shape[:-2]
        mean, spread = self.encoder(pose.reshape(-1, NUM_JOINTS, 3))
        return Normal(
            mean.unflatten(0, batch) if batch else mean[0], spread.unflatten(0, batch) if batch else spread[0]
        )

    def forward(self, pose: Tensor) -> Tensor:
        """Reconstruction (..., 21, 3, 3) of poses (..., 21, 3) from the mean of their latent."""
        return self.decode(self.encode(pose).mean)

    def train(self, mode: bool = True) -> VPoser:
        """Stays in evaluation mode: the weights are frozen, and batch normalisation must not follow the data."""
        return super().train(False)

    def save(self, path: str | os.PathLike, dtype: torch.dtype = torch.float32) -> Path:
        """Write an npz of plain arrays that :func:`load_vposer` reads.

        Args:
            path: ends in .npz; replaced at once or not at all.
            dtype: of the stored weights; they are float32 again once read.
        """
        path = Path(path)
        if path.suffix != ".npz":
            raise ValueError(f"path: wanted a name that ends in .npz, got {path}")
        arrays = {"format": np.array(FORMAT), "version": np.array(self.version), "source": np.array(list(self.source))}
        for name, value in self.state_dict().items():
            arrays[name] = (value.to(dtype) if value.is_floating_point() else value).cpu().numpy()
        with replacing(path) as partial, open(partial, "wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy types allow_pickle only
        return path

    def extra_repr(self) -> str:
        return f"version={self.version!r}, source={self.source.file!r}"

    def load_state_dict(self, state_dict, strict: bool = True, assign: bool = False):
        self._terms = None
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def _apply(self, fn, recurse: bool = True) -> VPoser:
        self._terms = None
        return super()._apply(fn, recurse)


def prior_energy(latent: Tensor) -> Tensor:
    """The prior's L2 energy: mean of the squared latent, 1 on average for a typical pose, 0 at the centre.

    Args:
        latent: (..., 32).

    Returns:
        (...,).
    """
    return latent.square().mean(-1)
