"""The network behind one small interface: crops in, bodies in the camera of the crop out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..body import BodyModel, LandmarkPlan, load_body
from ..engines import Engine, open_engine
from ..networks import Bodies, NetworkConfig, place
from ..networks.files import AnnotatorFile
from ..priors import VPoser, load_vposer


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A network with the body and the prior that it speaks of."""

    engine: Engine
    config: NetworkConfig
    about: AnnotatorFile
    sha256: str
    """Of the network's checkpoint; an engine names the one that it was exported from."""
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
    checkpoint: str,
    engine: str,
    device: torch.device,
    *,
    body: str | None = None,
    prior: str | None = None,
    precision: str = "fp32",
) -> LoadedNetwork:
    """Read a network's file, its body and its prior.

    Args:
        checkpoint: "torch": its file, or the folder of its run; else an engine file of ``python -m pgtfast.export``.
        engine: one of `pgtfast.engines.ENGINES`.
        device: where it shall run.
        body: name or path; None for the one that it was trained with.
        prior: likewise.
        precision: of "torch", "fp32" or "fp16"; an engine file has its own.

    Raises:
        PgtfastError: a file cannot be read, does not fit engine, library or GPU, or body or prior are not those that
            the network was trained with.
    """
    opened = open_engine(engine, checkpoint, device, precision=precision)
    about = opened.origin.about
    body_model = load_body(body or about.body)
    about.check_body(body_model)
    named = prior or about.prior
    held = None if named is None else load_vposer(named)
    if held is not None:
        about.check_prior(held)
    return LoadedNetwork(
        engine=opened,
        config=about.config,
        about=about,
        sha256=opened.origin.weights_sha256,
        body=body_model.to(device=device),
        prior=None if held is None else held.to(device),
    )
