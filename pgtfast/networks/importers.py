"""Weights from files of other projects and of other networks of this one: strict, and nothing in silence."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from .._errors import PgtfastError
from ..files.torch_zip import read_torch_zip
from .vit import ViT

Source = Literal["torchvision", "simplebaseline", "pose2pose", "3dcrowdnet", "pgtfast", "vit", "vitpose"]

STEM = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.")
"""What the names of a residual network's weights start with."""
LEFTOVERS: dict[str, tuple[str, ...]] = {
    "torchvision": ("fc.",),
    "simplebaseline": ("deconv_layers.", "final_layer."),
    "pose2pose": ("position_net.", "rotation_net."),
    "3dcrowdnet": ("pose2feat.", "position_net.", "rotation_net.", "vposer."),
    "pgtfast": ("deconv_layers.", "final_layer.", "position_net.", "rotation_net."),
    "vit": ("cls_token", "head.", "pre_logits.", "mask_token", "decoder_"),
    "vitpose": ("keypoint_head.",),
}
"""What a source's files hold beside the backbone; left in the file where the backbone alone is wanted."""
CONTAINERS = ("state_dict", "network", "model", "model_state_dict")
"""Under which names checkpoints keep their weights."""
PREFIXES = ("module.", "_orig_mod.", "_forward_module.", "network.", "model.")
"""What wrappers put before every name."""


class ImportReport(NamedTuple):
    """What became of every name in the file and in the network."""

    file: str
    loaded: tuple[str, ...]
    """Weights of the network that were taken from the file."""
    missing: tuple[str, ...]
    """Weights of the network that the file does not hold, and that files of its kind need not hold."""
    unexpected: tuple[str, ...]
    """Weights of the file that are of no use here, as known of files of its kind."""
    mismatched: tuple[str, ...]
    """Weights of another shape than the network's; none in a successful import."""
    changed: tuple[str, ...] = ()
    """What was made of weights before they were loaded, a sentence each."""

    def __str__(self) -> str:
        parts = [f"{self.file}: {len(self.loaded)} weights loaded"]
        for what, names in (
            ("not in the file", self.missing),
            ("left in the file", self.unexpected),
            ("of another shape", self.mismatched),
        ):
            if names:
                parts.append(f"{len(names)} {what} ({', '.join(_groups(names))})")
        return "; ".join([*parts, *self.changed])


def import_weights(
    module: nn.Module,
    path: str | os.PathLike,
    source: Source = "torchvision",
    part: Literal["backbone", "all"] = "backbone",
) -> ImportReport:
    """Fill a network with weights from a file. Either all of the wanted part is filled, or nothing is changed.

    Args:
        module: a ResNet, ViT, PoseResNet or Annotator.
        path: the file. Nothing in it is executed.
        source: "torchvision" (its ResNets), "simplebaseline" (pose_resnet), "pose2pose", "3dcrowdnet" (snapshots),
            "pgtfast" (networks and checkpoints), "vit" (of timm and MAE) or "vitpose" (of mmpose).
        part: "backbone" fills the ResNet (of a PoseResNet or an Annotator, too) or the ViT; "all" fills the whole
            network.

    Raises:
        PgtfastError: the file is damaged or of another kind, lacks weights, has others, or of another shape; names each
            of them.
    """
    if source not in LEFTOVERS or part not in ("backbone", "all"):
        raise PgtfastError(
            f"import_weights: wanted source in {', '.join(LEFTOVERS)} and part backbone or all, got {source!r}, "
            f"{part!r}"
        )
    path = Path(path)
    weights = _weights(path)
    inner: Any = getattr(module, "backbone", module) if part == "backbone" else module
    wanted = inner.state_dict()
    changed: tuple[str, ...] = ()
    if part == "backbone":
        is_vit = source in ("vit", "vitpose")
        if not is_vit:
            wanted = {name: value for name, value in wanted.items() if name.startswith(STEM)}
        if not wanted or (is_vit and not isinstance(inner, ViT)):
            kind = "ViT" if is_vit else "ResNet"
            raise PgtfastError(f"import_weights: {type(module).__name__} has no {kind} to fill")
        if any(name.startswith("backbone.") for name in weights):
            weights = {name.removeprefix("backbone."): value for name, value in weights.items()}
        if is_vit:
            weights, changed = _as_vit(path, weights, source, inner)

    common = [name for name in wanted if name in weights]
    loaded = tuple(name for name in common if weights[name].shape == wanted[name].shape)
    mismatched = tuple(name for name in common if weights[name].shape != wanted[name].shape)
    missing = tuple(name for name in wanted if name not in weights)
    unexpected = tuple(name for name in weights if name not in wanted)
    report = ImportReport(str(path), loaded, missing, unexpected, mismatched, changed)

    # files written before torch 0.4.1 do not count the batches that their statistics are of
    needed = [name for name in missing if not name.endswith(".num_batches_tracked")]
    allowed = LEFTOVERS[source] if part == "backbone" else ("fc.",) if source == "torchvision" else ()
    foreign = [name for name in unexpected if not name.startswith(allowed)]
    if needed or foreign or mismatched:
        raise PgtfastError(_complaint(path, source, part, weights, wanted, needed, foreign, mismatched))
    broken = [name for name in loaded if not torch.isfinite(weights[name]).all()]
    if broken:
        raise PgtfastError(
            f"{path}: weights that are not finite: {', '.join(broken)}. The training that wrote it failed"
        )
    with torch.no_grad():
        for name in loaded:
            wanted[name].copy_(weights[name])  # the tensors of a state dict are the module's own
    return report


def _as_vit(
    path: Path, weights: dict[str, Tensor], source: str, network: ViT
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Weights by the network's names, with its positions, and what was done to them.

    Raises:
        PgtfastError: the network's variant computes otherwise than the file's, or its positions are of no known grid.
    """
    wanted = "vitpose" if source == "vitpose" else "plain"
    if network.variant != wanted:
        raise PgtfastError(
            f"{path}: {source} weights are of variant {wanted!r}, the network is of variant {network.variant!r}, "
            f"whose patches lie elsewhere: build it with variant={wanted!r}"
        )
    if source == "vitpose":
        weights = {f"norm.{n[10:]}" if n.startswith("last_norm.") else n: value for n, value in weights.items()}
    position = weights.get("pos_embed")
    if position is None or position.ndim != 3 or len(position) != 1 or not position.is_floating_point():
        return weights, ()
    position = position.float()
    changed = []
    if source == "vitpose":  # which adds the first position, left by a class token, to all others
        position = position[:, 1:] + position[:, :1]
        changed.append("pos_embed: the class token's position added to the others")
    elif "cls_token" in weights:
        position = position[:, 1:]
        changed.append("pos_embed: the class token's position left in the file")
    grid = _grid(position.shape[1], network.grid)
    if grid is None:
        raise PgtfastError(
            f"{path}: pos_embed: {position.shape[1]} positions are neither of a square grid, nor of one of 4 rows to 3 "
            f"columns, nor of the network's, {network.grid[0]} x {network.grid[1]}"
        )
    if grid != network.grid:
        maps = position.transpose(1, 2).unflatten(2, grid)
        maps = nn.functional.interpolate(maps, network.grid, mode="bicubic", align_corners=False)
        position = maps.flatten(2).transpose(1, 2)
        changed.append(
            f"pos_embed: interpolated from {grid[0]} x {grid[1]} to {network.grid[0]} x {network.grid[1]} positions"
        )
    return {**weights, "pos_embed": position}, tuple(changed)


def _grid(count: int, own: tuple[int, int]) -> tuple[int, int] | None:
    """Rows and columns of so many positions: square, 4 : 3, or the network's own; no number is of two of the first."""
    side, unit = math.isqrt(count), math.isqrt(count // 12)
    if count and side * side == count:
        return side, side
    if count and 12 * unit * unit == count:
        return 4 * unit, 3 * unit
    return own if count == own[0] * own[1] else None


def _weights(path: Path) -> dict[str, Tensor]:
    """Weights of a file by name, wrappers' prefixes taken off."""
    value = _read(path)
    for _ in range(2):
        if isinstance(value, Mapping):
            value = next((value[name] for name in CONTAINERS if isinstance(value.get(name), Mapping)), value)
    found = {str(k): v for k, v in value.items() if isinstance(v, Tensor)} if isinstance(value, Mapping) else {}
    if not found:
        what = f"the keys {list(value)[:8]}" if isinstance(value, Mapping) else type(value).__name__
        raise PgtfastError(
            f"{path}: no weights in it; wanted tensors by name, bare or under one of {', '.join(CONTAINERS)}, got "
            f"{what}"
        )
    while prefix := next((p for p in PREFIXES if all(name.startswith(p) for name in found)), ""):
        found = {name.removeprefix(prefix): weight for name, weight in found.items()}
    return found


def _read(path: Path) -> Any:
    if not path.is_file():
        raise PgtfastError(f"{path}: no such file; wanted a file of weights (.pth, .pth.tar, .ckpt)")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for damaged and foreign files
        with path.open("rb") as file:
            is_zip = file.read(2) == b"PK"
        if is_zip:  # objects of other libraries beside the weights, perhaps, which are left aside
            return read_torch_zip(path)[0]
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PgtfastError(f"{path}: not a readable file of weights ({reason}). Copy or download it again") from error


def _complaint(
    path: Path,
    source: str,
    part: str,
    weights: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    missing: Iterable[str],
    unexpected: Iterable[str],
    mismatched: Iterable[str],
) -> str:
    lines = [f"{path}: does not fit as {source} weights ({part}); nothing was loaded."]
    for what, names in (("missing in the file", missing), ("unexpected in the file", unexpected)):
        if names := list(names):
            lines.append(f"  {what}, {len(names)}: {', '.join(names)}")
    if names := list(mismatched):
        shapes = (f"{n} {tuple(weights[n].shape)} in the file, {tuple(wanted[n].shape)} in the network" for n in names)
        lines.append(f"  of another shape, {len(names)}: {'; '.join(shapes)}")
    lines += [f"  {hint}" for hint in _hints(source, part, weights, wanted, set(missing), set(mismatched))]
    return "\n".join(lines)


def _hints(
    source: str,
    part: str,
    weights: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    missing: set[str],
    mismatched: set[str],
) -> list[str]:
    """What the differences mean, where that can be told."""
    hints = []
    final, pose, conv = "final_layer.weight", "rotation_net.pose_out.0.weight", "conv1.weight"
    if final in mismatched:
        names = {16: "16 (MPII)", 17: "17 (COCO)"}
        got, want = len(weights[final]), len(wanted[final])
        hints.append(
            f"The file finds {names.get(got, got)} joints, the network {names.get(want, want)}: "
            f"build the network with {got}, or take part 'backbone'."
        )
    if pose in mismatched:
        kinds = {32: "latents (head 'vposer')", 126: "rotations (head 'rotations')"}
        got, want = len(weights[pose]), len(wanted[pose])
        hints.append(f"The file gives {kinds.get(got, got)}, the network {kinds.get(want, want)}.")
    for prefix in ("", "backbone."):
        if prefix + conv in mismatched:
            got, want = len(weights[prefix + conv]), len(wanted[prefix + conv])
            hints.append(f"The file's first stage is {got} channels wide, the network's {want}: set `width`.")
    patches = "patch_embed.proj.weight"
    if patches in mismatched:
        sizes = {384: "384 (size 'small')", 768: "768 (size 'base')", 1024: "1024 (size 'large')"}
        got, want = len(weights[patches]), len(wanted[patches])
        hints.append(f"The file's tokens have {sizes.get(got, got)} channels, the network's {sizes.get(want, want)}.")
    deep = [_layers(names) for names in (weights, wanted)]
    if all(deep) and deep[0] != deep[1]:
        hints.append(f"The file is of a ResNet-{deep[0]}, the network has a ResNet-{deep[1]}: set `depth`.")
    if missing and not any(name in weights for name in wanted):
        hints.append(f"No name agrees. The file's names start with {', '.join(_groups(weights)[:8])}.")
    elif part == "all" and source in ("torchvision", "vit", "vitpose"):
        hints.append("These files hold a backbone alone: take part 'backbone'.")
    return hints


def _layers(names: Iterable[str]) -> int | None:
    """Depth of the ResNet whose weights these are; None where there is none."""
    plain = {name.removeprefix("backbone.") for name in names}
    if "layer1.0.conv1.weight" not in plain:
        return None
    blocks = len({name.split(".")[1] for name in plain if name.startswith("layer3.")})
    bottleneck = "layer1.0.conv3.weight" in plain
    return {(2, False): 18, (6, False): 34, (6, True): 50, (23, True): 101, (36, True): 152}.get((blocks, bottleneck))


def _groups(names: Iterable[str]) -> list[str]:
    """First parts of names, each once."""
    return list(
        dict.fromkeys(
            "*." + n.rsplit(".", 1)[1] if n.endswith(".num_batches_tracked") else n.split(".")[0] for n in names
        )
    )
