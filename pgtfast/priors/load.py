"""Find and read a pose prior: the free one, the two published ones, our own files."""

from __future__ import annotations

import hashlib
import os
import re
from importlib import resources
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from .._errors import PgtfastError
from ..files.torch_zip import read_torch_zip
from ..files.unpickle import load_npz
from .network import HIDDEN, NUM_JOINTS, NUM_LATENTS, SLOPES, PoseDecoder, PoseEncoder, not_finite
from .vposer import FORMAT, PriorSource, VPoser

_PREFIX = "vp_model."
_ASIDE = ("bm_", "body_model")
"""Heads of the names of body-model buffers that the v2 checkpoint carries beside the prior."""

_KEYS_V1 = {
    "bodyprior_enc_bn1": "encoder.norm1", "bodyprior_enc_fc1": "encoder.layer1", "bodyprior_enc_bn2": "encoder.norm2",
    "bodyprior_enc_fc2": "encoder.layer2", "bodyprior_enc_mu": "encoder.mean", "bodyprior_enc_logvar": "encoder.spread",
    "bodyprior_dec_fc1": "decoder.layer1", "bodyprior_dec_fc2": "decoder.layer2", "bodyprior_dec_out": "decoder.layer3",
}  # fmt: skip
_KEYS_V2 = {
    "encoder_net.1": "encoder.norm1", "encoder_net.2": "encoder.layer1", "encoder_net.4": "encoder.norm2",
    "encoder_net.6": "encoder.layer2",
    "encoder_net.7": "encoder.layer3", "encoder_net.8.mu": "encoder.mean", "encoder_net.8.logvar": "encoder.spread",
    "decoder_net.0": "decoder.layer1", "decoder_net.3": "decoder.layer2", "decoder_net.5": "decoder.layer3",
}  # fmt: skip


def load_vposer(name_or_path: str | os.PathLike) -> VPoser:
    """Read a pose prior. No code in a file is ever run.

    Args:
        name_or_path: "free", the prior inside the package; the folder or the snapshot (.pt) of VPoser v1; the folder or
            the checkpoint (.ckpt) of VPoser v2; an .npz of :meth:`VPoser.save`. Of several snapshots the one with the
            highest epoch in its name is taken; `.notes` of the result says which.

    Returns:
        The prior on the CPU, float32, frozen.

    Raises:
        PgtfastError: there is no such file, it is none of these kinds, a tensor is missing, unexpected, of a wrong
            shape or not finite, or the file asks for code.
    """
    if str(name_or_path) == "free":
        with resources.as_file(resources.files("pgtfast") / "assets" / "free_prior.npz") as path:
            return _load_file(path, ())
    path = Path(name_or_path)
    if path.is_dir():
        return _load_file(*_newest_snapshot(path))
    if not path.exists():
        raise PgtfastError(
            f"{path}: no such file or folder. Wanted 'free', the folder of VPoser v1 (vposer_v1_0) or v2 (V02_05), a "
            ".pt, a .ckpt or an .npz"
        )
    return _load_file(path, ())


def _newest_snapshot(folder: Path) -> tuple[Path, tuple[str, ...]]:
    """The snapshot with the highest epoch, and a note where there was a choice."""
    found = [
        p
        for d in (folder / "snapshots", folder)
        if d.is_dir()
        for p in sorted(d.iterdir())
        if p.suffix in (".pt", ".ckpt")
    ]
    if not found:
        raise PgtfastError(
            f"{folder}: no *.pt (v1) or *.ckpt (v2) in it or in its folder snapshots; wanted an unpacked VPoser "
            "download, e.g. vposer_v1_0 or V02_05"
        )
    newest = max(found, key=_epoch)
    note = f"of {len(found)} snapshots in {folder} took {newest.name}, the highest epoch in the names"
    return newest, (note,) if len(found) > 1 else ()


def _epoch(path: Path) -> tuple[int, str]:
    """Epoch in names like TR00_E096.pt and V02_05_epoch=13_val_loss=0.03.ckpt, else -1."""
    match = re.search(r"epoch=(\d+)", path.name) or re.search(r"_E(\d+)", path.name)
    return int(match[1]) if match else -1, path.name


def _load_file(path: Path, notes: tuple[str, ...]) -> VPoser:
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PgtfastError(f"{path}: cannot be read ({error.strerror})") from error
    source = PriorSource(str(path), digest)
    if path.suffix == ".npz":
        return _from_npz(path, source, notes)
    if path.suffix not in (".pt", ".pth", ".ckpt"):
        raise PgtfastError(f"{path}: wanted a .pt, .ckpt or .npz file, got {path.suffix or 'no suffix'}")
    state, more = _read_state(path)
    version, table = _recognise(path, state)
    return _assemble(path, version, HIDDEN, _renamed(path, state, table), source, notes + more)


def _read_state(path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The state dict in a torch file, without the names that belong to a body model, and notes on what was left
    aside.
    """
    notes: list[str] = []
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if not _is_zip(path):
            raise PgtfastError(f"{path}: refused, nothing was executed: {_first_line(error)}") from error
        try:
            value, aside = read_torch_zip(path)
        except PgtfastError as refusal:
            cure = (
                "If you trust it, save its weights alone where it was made: torch.save(checkpoint['state_dict'], "
                "'weights.pt')"
            )
            raise PgtfastError(f"{refusal}. {cure}") from error
        notes.append(f"left aside in {path.name}: {', '.join(aside)}")
    except Exception as error:  # torch raises a dozen kinds for damaged files
        raise PgtfastError(
            f"{path}: not a readable torch file ({_first_line(error)}). Copy or download it again"
        ) from error
    if isinstance(value, dict) and isinstance(value.get("state_dict"), dict):
        value = value["state_dict"]
    if not isinstance(value, dict) or not value or not all(isinstance(v, Tensor) for v in value.values()):
        raise PgtfastError(
            f"{path}: wanted a state dict of tensors, or a checkpoint with one under 'state_dict'; got "
            f"{type(value).__name__}"
        )
    body = sorted(str(k) for k in value if str(k).startswith(_ASIDE))
    if body:
        notes.append(f"ignored {len(body)} body-model buffers in {path.name}: {', '.join(body)}")
    state = {str(k).removeprefix(_PREFIX): v for k, v in value.items() if str(k) not in set(body)}
    return state, tuple(notes)


def _recognise(path: Path, state: dict[str, Tensor]) -> tuple[str, dict[str, str]]:
    if any(k.startswith("bodyprior_") for k in state):
        return "v1", _KEYS_V1
    if any(k.startswith(("encoder_net.", "decoder_net.")) for k in state):
        return "v2", _KEYS_V2
    raise PgtfastError(
        f"{path}: neither VPoser v1 (bodyprior_* keys) nor v2 (vp_model.encoder_net.* keys); it holds "
        f"{sorted(state)[:8]} ..."
    )


def _renamed(path: Path, state: dict[str, Tensor], table: dict[str, str]) -> dict[str, Tensor]:
    """Our names for theirs. A key outside the table keeps its name and is reported as unexpected."""
    out = {}
    for key, value in state.items():
        module, _, leaf = key.rpartition(".")
        out[f"{table[module]}.{leaf}" if module in table else key] = value
    return out


def _assemble(
    path: Path, version: str, width: int, state: dict[str, Tensor], source: PriorSource, notes: tuple[str, ...]
) -> VPoser:
    prior = VPoser(PoseEncoder(version, width), PoseDecoder(version), source, notes)
    wanted = prior.state_dict()
    # counts of training batches, absent from files of torch < 0.4.1 and of no use in evaluation
    counters = {k: v for k, v in wanted.items() if k.endswith("num_batches_tracked") and k not in state}
    state = {**counters, **state}
    theirs = {v: k for k, v in (_KEYS_V1 if version == "v1" else _KEYS_V2 if version == "v2" else {}).items()}

    def name(key: str) -> str:
        module, _, leaf = key.rpartition(".")
        return f"{theirs[module]}.{leaf}" if module in theirs else key

    problems = [f"missing {name(k)}" for k in wanted if k not in state]
    problems += [f"unexpected {name(k)}" for k in state if k not in wanted]
    problems += [
        f"{name(k)} has shape {tuple(state[k].shape)}, wanted {tuple(v.shape)}" for k, v in wanted.items()
        if k in state and state[k].shape != v.shape
    ]  # fmt: skip
    if problems:
        raise PgtfastError(
            f"{path}: does not fit VPoser {version} ({NUM_LATENTS} latents, {NUM_JOINTS} joints): {'; '.join(problems)}"
        )
    prior.load_state_dict(state)
    bad = not_finite(prior)
    if bad:
        raise PgtfastError(f"{path}: NaN or infinity in {', '.join(name(k) for k in bad)}")
    return prior


def _from_npz(path: Path, source: PriorSource, notes: tuple[str, ...]) -> VPoser:
    arrays = load_npz(path)
    if str(arrays.pop("format", "")) != FORMAT:
        raise PgtfastError(f"{path}: not a pose prior of this package; wanted format {FORMAT!r}")
    version = str(arrays.pop("version", ""))
    origin = arrays.pop("source", None)
    if version not in SLOPES:
        raise PgtfastError(f"{path}: version {version!r} is not known; wanted one of {', '.join(SLOPES)}")
    if origin is not None and any(str(part) for part in origin):
        notes += (f"saved from {origin[0]} {origin[1]}".rstrip(),)
    bad = [k for k, v in arrays.items() if getattr(v, "dtype", None) is None or v.dtype.kind not in "fi"]
    if bad:
        raise PgtfastError(f"{path}: {', '.join(bad)}: wanted arrays of numbers")
    state = {k: torch.from_numpy(v) for k, v in arrays.items()}
    width = state["encoder.layer1.bias"].numel() if "encoder.layer1.bias" in state else HIDDEN
    return _assemble(path, version, width, state, source, notes)


def _is_zip(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _first_line(error: Exception) -> str:
    """The line of torch's message that names what it refused."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "GLOBAL" in line or "Unsupported" in line]
    return (named or lines or [type(error).__name__])[0]
