"""Files of trained networks: weights and what one must know to use them. Checkpoints of a run are such files too."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .._errors import PgtfastError
from ..body import BodyModel
from ..files.atomic import disk_errors, replacing
from ..priors import VPoser
from .annotator import Annotator, NetworkConfig
from .estimator import Estimator, config_of
from .pose_resnet import PoseResNet

ANNOTATOR, POSE_NETWORK = "pgtfast annotator 1", "pgtfast pose network 1"
"""What a file says that it is."""
NAMES = {ANNOTATOR: "annotator.ckpt", POSE_NETWORK: "pose2d.ckpt"}
"""The file of a finished run in the run's folder."""


@dataclass(frozen=True, kw_only=True)
class AnnotatorFile:
    """What an annotator was trained with and for."""

    config: Any
    """Of the network: an :class:`EstimatorConfig`."""
    body: str = "free"
    """Name or path of the body that it speaks of."""
    body_sha256: str = ""
    """Of that body's file; "" where unknown."""
    prior: str | None = "free"
    """Name or path of the prior whose latents it gives; None without one."""
    prior_sha256: str = ""
    """Of that prior's file; "" where unknown."""
    sets: tuple[str, ...] = ("p2p25",)
    """Landmark sets that it was supervised by."""
    recipes: tuple[bool, bool, bool] = (False, False, False)
    """Which of the three recipes were on."""

    def check_body(self, body: BodyModel) -> None:
        """Refuse another body than the network was trained with."""
        if self.body_sha256 and body.source.sha256 != self.body_sha256:
            raise PgtfastError(
                f"body: the network was trained with {self.body} (sha256 {self.body_sha256[:12]}), got "
                f"{body.source.file} ({body.source.sha256[:12]})"
            )

    def check_prior(self, prior: VPoser) -> None:
        """Refuse another prior than the network was trained with: latents of different priors are not exchangeable."""
        if self.prior_sha256 and prior.source.sha256 != self.prior_sha256:
            raise PgtfastError(
                f"prior: the network was trained with {self.prior} (sha256 {self.prior_sha256[:12]}), got "
                f"{prior.source.file} ({prior.source.sha256[:12]})"
            )


@dataclass(frozen=True, kw_only=True)
class PoseNetworkFile:
    """What a 2D pose network was trained with and for."""

    landmark_set: str
    """Keypoints that it finds."""
    depth: int = 50
    """Layers of its ResNet."""
    width: int = 64
    """Channels of the first stage."""
    deconv_channels: int = 256
    """Channels of the upsampling layers."""
    output_stride: int = 32
    """Of the ResNet."""
    crop_size: tuple[int, int] = (192, 256)
    """Width and height of a crop."""
    normalize: str = "imagenet"
    """Of the picture: "imagenet" or "unit"."""


@dataclass(frozen=True, eq=False)
class LoadedEstimator:
    """An estimator read from a file."""

    network: Estimator
    """In evaluation mode, on the CPU."""
    about: AnnotatorFile

    @property
    def body(self) -> str:
        """Name or path of its body."""
        return self.about.body

    @property
    def prior(self) -> str | None:
        """Name or path of its prior."""
        return self.about.prior


@dataclass(frozen=True, eq=False)
class LoadedAnnotator(LoadedEstimator):
    """An annotator of Pose2Pose's layers read from a file."""

    network: Annotator

    @property
    def config(self) -> NetworkConfig:
        """Of the network."""
        return self.network.config


@dataclass(frozen=True, eq=False)
class LoadedPoseNetwork:
    """A 2D pose network read from a file."""

    network: PoseResNet
    """In evaluation mode, on the CPU."""
    about: PoseNetworkFile


def header(about: AnnotatorFile | PoseNetworkFile) -> dict[str, Any]:
    """What a file holds beside the weights; they are under "network"."""
    if isinstance(about, AnnotatorFile):
        return {"format": ANNOTATOR, "estimator": about.config.name, "about": _plain(asdict(about))}
    return {"format": POSE_NETWORK, "about": _plain(asdict(about))}


def save_annotator(
    path: str | os.PathLike, network: nn.Module, about: AnnotatorFile | None = None, **fields: Any
) -> None:
    """Write an estimator; a kill leaves the former file or none.

    Args:
        path: of the file.
        network: an `Estimator`.
        about: what belongs to it; by default made of `fields` and the network's config.
        fields: of :class:`AnnotatorFile`.
    """
    _save(path, network, about or AnnotatorFile(**{"config": network.config, **fields}))


def load_estimator(path: str | os.PathLike) -> LoadedEstimator:
    """Read an estimator from its file, a checkpoint, or the folder of a run.

    Raises:
        PgtfastError: the file is damaged or of another kind, or nothing is registered under the estimator's name.
    """
    state, file = _load(path, ANNOTATOR)
    values = dict(state["about"])
    kind = config_of(state.get("estimator", NetworkConfig.name))  # files of 0.1.0 know one alone
    try:
        about = _about(AnnotatorFile, {**values, "config": _about(kind, values["config"])})
        network = about.config.build()
        network.load_state_dict(state["network"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise PgtfastError(f"{file}: its weights or its header are damaged ({' '.join(str(error).split())})") from error
    return LoadedEstimator(network.eval(), about)


def load_annotator(path: str | os.PathLike) -> LoadedAnnotator:
    """Read an annotator of Pose2Pose's layers from its file, a checkpoint, or the folder of a run."""
    loaded = load_estimator(path)
    if not isinstance(loaded.network, Annotator):
        raise PgtfastError(f"{path}: wanted an estimator {NetworkConfig.name!r}, got {loaded.about.config.name!r}")
    return LoadedAnnotator(loaded.network, loaded.about)


def save_pose_network(path: str | os.PathLike, network: nn.Module, about: PoseNetworkFile) -> None:
    """Write a 2D pose network; a kill leaves the former file or none."""
    _save(path, network, about)


def load_pose_network(path: str | os.PathLike) -> LoadedPoseNetwork:
    """Read a 2D pose network from its file, a checkpoint, or the folder of a run."""
    from .. import skeletons

    state, file = _load(path, POSE_NETWORK)
    try:
        about = _about(PoseNetworkFile, state["about"])
        network = PoseResNet(
            len(skeletons.get(about.landmark_set)), about.depth, about.width, about.deconv_channels, about.output_stride
        )
        network.load_state_dict(state["network"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise PgtfastError(f"{file}: its weights or its header are damaged ({' '.join(str(error).split())})") from error
    return LoadedPoseNetwork(network.eval(), about)


def network_file(path: str | os.PathLike, kind: str) -> Path:
    """The file that a path means: itself, or in the folder of a run the finished network.

    Raises:
        PgtfastError: there is none.
    """
    path = Path(path)
    if path.is_dir():
        file = path / NAMES[kind]
        if not file.exists():
            raise PgtfastError(
                f"{path}: no {NAMES[kind]} in it; the run is not finished, or of another network. Name a checkpoint to "
                "use one"
            )
        return file
    if not path.exists():
        raise PgtfastError(f"{path}: no such file or folder; wanted the folder of a run or its {NAMES[kind]}")
    return path


def kind_of(path: str | os.PathLike) -> str | None:
    """Which of these a file is, `ANNOTATOR` or `POSE_NETWORK`; None for one of another project."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch raises a dozen kinds for damaged and foreign files
        return None
    kind = state.get("format") if isinstance(state, dict) else None
    return kind if kind in NAMES else None


def _save(path: str | os.PathLike, network: nn.Module, about: AnnotatorFile | PoseNetworkFile) -> None:
    path = Path(path)
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with disk_errors(path), replacing(path) as partial, open(partial, "wb") as file:
        torch.save({**header(about), "network": weights}, file)


def _load(path: str | os.PathLike, kind: str) -> tuple[dict, Path]:
    file = network_file(path, kind)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for damaged and foreign files
        raise PgtfastError(f"{file}: not a readable file of a network ({str(error).splitlines()[0]})") from error
    found = state.get("format") if isinstance(state, dict) else None
    if found != kind or not isinstance(state.get("about"), Mapping) or "network" not in state:
        raise PgtfastError(f"{file}: wanted a file of kind {kind!r}, got {found!r}")
    return state, file


def _about(kind: type, values: Mapping[str, Any]) -> Any:
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
