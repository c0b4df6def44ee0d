"""Estimators: networks that make bodies of crops, and what trains, exports and runs them knows of each.

A new one is one file: a config that is registered under a name and builds the network, and the network with `forward`
and `bodies`. Everything else has a default::

    @register("mine")
    @dataclass(frozen=True, kw_only=True)
    class MyConfig(EstimatorConfig):
        width: int = 64

        def build(self) -> Estimator:
            return MyNetwork(self)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from torch import Tensor, nn

from .._errors import PgtfastError
from ..body import LandmarkPlan
from ..loading import Batch, Supervision
from ..loading.targets import Targets
from ..priors import VPoser
from .bodies import Bodies
from .losses import BodyLoss, LossUnits, LossWeights

C = TypeVar("C", bound="type[EstimatorConfig]")
ESTIMATORS: dict[str, type[EstimatorConfig]] = {}
"""Configs by the name that files of trained networks say."""


def register(name: str) -> Callable[[C], C]:
    """Decorate a config: files of its networks say `name` and can be read wherever it is registered."""

    def add(config: C) -> C:
        if name in ESTIMATORS and ESTIMATORS[name].__qualname__ != config.__qualname__:
            raise PgtfastError(f"estimator {name!r}: registered already, by {ESTIMATORS[name].__qualname__}")
        config.name = name
        ESTIMATORS[name] = config
        return config

    return add


def config_of(name: str) -> type[EstimatorConfig]:
    """The registered config.

    Raises:
        PgtfastError: there is none of the name.
    """
    if name not in ESTIMATORS:
        raise PgtfastError(
            f"estimator {name!r} is not known; known are {', '.join(ESTIMATORS)}. Import the module that registers it"
        )
    return ESTIMATORS[name]


@dataclass(frozen=True, kw_only=True)
class EstimatorConfig(ABC):
    """What decides a network's layers and how its output is read: numbers, strings and tuples of them."""

    name: ClassVar[str]
    """Under which it is registered."""
    input_size: tuple[int, int] = (192, 256)
    """Width and height of the crop, pixels."""
    normalize: Literal["unit", "imagenet"] = "unit"
    """Of the image: "unit" divides by 255, "imagenet" also takes off ImageNet's mean and divides by its deviation."""

    @abstractmethod
    def build(self) -> Estimator:
        """The network, with random weights."""

    def supervision(self, sets: Sequence[str]) -> Supervision:
        """The landmarks of its losses, of these joint sets."""
        return Supervision(tuple(sets), position_set=sets[0])

    def with_prior(self, latents: bool) -> EstimatorConfig:
        """The config whose network gives poses as latents of a prior, or as rotations; itself where it knows one
        way."""
        return self

    @property
    def paper_joints_only(self) -> bool:
        """Whether supervision without a choice is by Pose2Pose's joints alone, without the datasets' own."""
        return False


class Estimator(nn.Module, ABC):
    """A network that makes bodies of crops.

    Attributes:
        config: what it was built from.
        backbone: image to feature map, which recipe 2 fills; None where there is none.
    """

    config: EstimatorConfig
    backbone: nn.Module | None

    forward: Callable[..., Any]
    """What the layers give for B people, of `inputs`: a NamedTuple of float32 tensors (B, ...)."""

    def inputs(self, batch: Batch, annotated: Targets) -> tuple[Tensor, ...]:
        """What `forward` takes of a batch: the crops and, if it uses them, what is known of the people."""
        return (batch.image,)

    @abstractmethod
    def bodies(self, prediction: Any, prior: VPoser | None) -> Bodies:
        """Bodies in the virtual camera of their crops, differentiable.

        Args:
            prediction: of `forward`.
            prior: whose latents the network gives, if it does.
        """

    def loss(self, plan: LandmarkPlan, supervision: Supervision, weights: LossWeights) -> BodyLoss:
        """The loss of a training: by default of its bodies alone, in units of 32 pixels of the crop."""
        return BodyLoss(plan, supervision, LossUnits(), weights)
