"""3D pseudo-ground-truths of human meshes from 2D keypoints: images and keypoints come in, bodies come out.

Importing this package does nothing but define names; each is loaded at its first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import body, cameras, fit, metrics, ops, priors, reference, skeletons
    from .body import BodyModel, load_body
    from .cameras import Camera
    from .priors import VPoser, load_vposer

    __version__: str

_HOME = {
    "BodyModel": "body",
    "Camera": "cameras",
    "VPoser": "priors",
    "load_body": "body",
    "load_vposer": "priors",
}
_MODULES = ("body", "cameras", "fit", "metrics", "ops", "priors", "reference", "skeletons")

__all__ = [
    "BodyModel",
    "Camera",
    "VPoser",
    "__version__",
    "body",
    "cameras",
    "fit",
    "load_body",
    "load_vposer",
    "metrics",
    "ops",
    "priors",
    "reference",
    "skeletons",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("pgtfast")
    elif name in _MODULES:
        value = importlib.import_module(f"pgtfast.{name}")
    elif name in _HOME:
        value = getattr(importlib.import_module(f"pgtfast.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module 'pgtfast' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
