"""What the command lines of several verbs share: numbers with bounds, the device, extras that are not installed."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ._errors import PgtfastError

if TYPE_CHECKING:
    import torch


def number(low: float, high: float, unit: str, kind: Callable = float) -> Callable[[str], float]:
    """An argparse type: a number from `low` to `high`."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            noun = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"wanted {noun} of {unit} from {low:g} to {high:g}, got {text!r}")
        return value

    return parse


def count(low: int, unit: str) -> Callable[[str], float]:
    """An argparse type: a whole number."""
    return number(low, 2**31 - 1, unit, int)


EXPORTS = ("neuralannot",)
"""Formats that a run writes its people in beside the store."""


def add_quality(parser: argparse.ArgumentParser) -> None:
    """The option of a run that names its calibration."""
    parser.add_argument(
        "--quality",
        metavar="FILE",
        help="calibration of the quality, of pgtfast.evaluate --calibrate (default: the one in the package)",
    )


def add_extras(parser: argparse.ArgumentParser) -> None:
    """Options of what a run makes beside its store."""
    add = parser.add_argument
    add(
        "--overlays",
        type=count(0, "images"),
        default=0,
        metavar="N",
        help="draw N of the images with their bodies, and a contact sheet (default: 0)",
    )
    add("--export", choices=EXPORTS, help="also write the valid people in this format")
    add(
        "--min-quality",
        type=number(0, 1, "quality"),
        metavar="Q",
        help="with --export: leave out people of a lower quality, or of none",
    )


def check_extras(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the program with code 2 where an option of `add_extras` would change nothing."""
    if options.min_quality is not None and options.export is None:
        parser.error("--min-quality: needs --export; the run itself keeps everybody with their quality")


def chosen_device(name: str) -> torch.device:
    """The device that --device names.

    Raises:
        PgtfastError: it is none, or not here.
    """
    import torch

    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise PgtfastError(f"--device {name}: wanted cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise PgtfastError(f"--device {name}: wanted cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise PgtfastError(
            f"--device {name}: torch sees {torch.cuda.device_count()} CUDA devices here; `pgtfast doctor` says more"
        )
    return device


@contextlib.contextmanager
def needing(extra: str, what: str) -> Iterator[None]:
    """Around imports of optional libraries: what is missing is an error that names the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "pgtfast").startswith("pgtfast"):
            raise
        raise PgtfastError(f"{what}: {error.name} is not installed: pip install 'pgtfast[{extra}]'") from error
