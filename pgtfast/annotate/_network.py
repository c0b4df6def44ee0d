"""The network behind one small interface: crops in, bodies in the camera of the crop out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from ..body import BodyModel, LandmarkPlan, load_body
from ..formats.bulk import file_sha256
from ..networks import Bodies, NetworkConfig, Prediction, place
from ..networks.files import ANNOTATOR, AnnotatorFile, load_annotator, network_file
from ..priors import VPoser, load_vposer


class Engine(Protocol):
    """What runs the network's layers; the geometry behind them is not its part."""

    name: str

    def __call__(self, image: Tensor) -> Prediction:
        """Crops (B, 3, H, W), normalised as `NetworkConfig.normalize` says, on the engine's device."""


class TorchEngine:
    """The network as PyTorch runs it."""

    name = "torch"

    def __init__(self, network: torch.nn.Module, device: torch.device) -> None:
        self.network = network.to(device).eval()

    def __call__(self, image: Tensor) -> Prediction:
        with torch.inference_mode():
            return self.network(image)


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A network with the body and the prior that it speaks of."""

    engine: Engine
    config: NetworkConfig
    about: AnnotatorFile
    sha256: str
    """Of the network's file."""
    body: BodyModel
    prior: VPoser | None
    """Of the network's latents; None for a network that gives rotations."""

    @cached_property
    def joints(self) -> LandmarkPlan:
        """The body's kinematic joints."""
        return self.body.landmarks("smpl24")

    def __call__(self, image: Tensor) -> Bodies:
        """Bodies of crops (B, 3, H, W), in the virtual camera of the crop."""
        prediction = self.engine(image)
        with torch.inference_mode():
            return place(prediction, self.config, self.prior)


def open_network(
    checkpoint: str, engine: str, device: torch.device, *, body: str | None = None, prior: str | None = None
) -> LoadedNetwork:
    """Read a network's file, its body and its prior.

    Args:
        checkpoint: its file, or the folder of its run.
        engine: "torch".
        device: where it shall run.
        body: name or path; None for the one that it was trained with.
        prior: likewise.

    Raises:
        PgtfastError: a file cannot be read, or body or prior are not those that the network was trained with.
    """
    loaded = load_annotator(checkpoint)
    body_model = load_body(body or loaded.body)
    loaded.about.check_body(body_model)
    named = prior or loaded.prior
    held = None if named is None else load_vposer(named)
    if held is not None:
        loaded.about.check_prior(held)
    make = {"torch": TorchEngine}[engine]
    return LoadedNetwork(
        engine=make(loaded.network, device),
        config=loaded.config,
        about=loaded.about,
        sha256=file_sha256(network_file(checkpoint, ANNOTATOR)),
        body=body_model.to(device=device),
        prior=None if held is None else held.to(device),
    )
