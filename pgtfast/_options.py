"""What several verbs share: the device that an option names, and extras that are not installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ._errors import PgtfastError

if TYPE_CHECKING:
    import torch


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
