"""The data sets that are opened by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .._errors import PgtfastError
from . import coco, crowdpose, h36m, instavariety, lspet, mpi_inf_3dhp, mpii, muco, mupots, pw3d, up3d
from .dataset import Dataset

_REGISTERED: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        h36m.DATASET,
        mpi_inf_3dhp.DATASET,
        muco.DATASET,
        coco.DATASET,
        mpii.DATASET,
        lspet.DATASET,
        crowdpose.DATASET,
        instavariety.DATASET,
        up3d.DATASET,
        pw3d.DATASET,
        mupots.DATASET,
    )
}

DATASETS: Mapping[str, Dataset] = MappingProxyType(_REGISTERED)
"""Every registered data set by its name; grows by :func:`register`."""


def register(dataset: Dataset) -> None:
    """Let a data set be opened by its name, in training and annotation too.

    Call it where the data set is declared: importing that module makes it known.

    Raises:
        PgtfastError: there is a data set of this name, or the name is not lower-case letters, digits and underscores.
    """
    if not dataset.name.isidentifier() or dataset.name != dataset.name.lower():
        raise PgtfastError(f"data set {dataset.name!r}: wanted a name of lower-case letters, digits and underscores")
    if dataset.name in _REGISTERED:
        raise PgtfastError(f"data set {dataset.name!r}: there is one of that name; choose another")
    _REGISTERED[dataset.name] = dataset


def unregister(dataset: Dataset) -> None:
    """Undo :func:`register`."""
    del _REGISTERED[dataset.name]


def dataset_of(name: str) -> Dataset:
    """The data set of this name.

    Raises:
        PgtfastError: it is not registered; the message lists those that are.
    """
    if name not in _REGISTERED:
        raise PgtfastError(f"kind {name!r} is not known; known are: {', '.join(_REGISTERED)}")
    return _REGISTERED[name]
