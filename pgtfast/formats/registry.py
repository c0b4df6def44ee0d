"""All formats by name. A new one is one file with a `Format` in it, and a line in `FORMATS`, or a call of
`register`."""

from __future__ import annotations

from pathlib import Path

from .._errors import PgtfastError
from .bedlam import BEDLAM
from .camsmplify import CAMSMPLIFY
from .cliff import CLIFF
from .eft import EFT
from .format import Format
from .fourd_humans import FOURD_HUMANS
from .humandata import HUMANDATA
from .neuralannot import ITW, PW3D
from .neuralannot_world import H36M, MPI_INF_3DHP
from .parquet import PARQUET
from .sam3d_body import SAM3D_BODY
from .smplify_x import SMPLIFY_X
from .spin import FITS, SPIN

FORMATS: tuple[Format, ...] = (
    PARQUET,
    EFT,
    ITW,
    PW3D,
    H36M,
    MPI_INF_3DHP,
    HUMANDATA,
    CLIFF,
    BEDLAM,
    CAMSMPLIFY,
    FITS,
    SPIN,
    FOURD_HUMANS,
    SAM3D_BODY,
    SMPLIFY_X,
)
"""Those of the package. A file is of the first that recognises it."""

_registered: list[Format] = []


def register(format: Format) -> None:
    """Let `convert` read and write another format; files that it recognises are its own before they are those of the
    package.

    Raises:
        ValueError: there is one of that name, variant and suffixes, or it can neither be read nor written.
    """
    if any((f.name, f.variant, f.suffixes) == (format.name, format.variant, format.suffixes) for f in formats()):
        raise ValueError(f"format {str(format)!r}: there is one of that name")
    if format.read is None and format.write is None:
        raise ValueError(f"format {str(format)!r}: wanted read or write")
    _registered.append(format)


def unregister(format: Format) -> None:
    """Undo `register`."""
    _registered.remove(format)


def formats() -> tuple[Format, ...]:
    """All formats, those registered first."""
    return (*_registered, *FORMATS)


def names(*, write: bool = False) -> tuple[str, ...]:
    """Names of all formats, or of those that can be written."""
    return tuple(dict.fromkeys(f.name for f in formats() if not write or f.write is not None))


def variants() -> tuple[str, ...]:
    """Names of all variants."""
    return tuple(dict.fromkeys(f.variant for f in formats() if f.variant))


def target_of(name: str, variant: str, path: Path) -> Format:
    """The format to write a file in.

    Raises:
        PgtfastError: there is none of that name that can be written, or its files have other names.
    """
    found = [f for f in formats() if f.name == name and f.variant in ("", variant) and f.write is not None]
    if not found:
        raise PgtfastError(f"--to {name}: wanted one of {', '.join(names(write=True))}")
    suffixes = [suffix for f in found for suffix in f.suffixes]
    fitting = [f for f in found if path.suffix in f.suffixes or not f.suffixes]
    if not fitting:
        raise PgtfastError(f"{path}: wanted a name that ends in {' or '.join(suffixes)} for --to {name}")
    return fitting[0]


def source_of(name: str | None, variant: str, path: Path) -> Format:
    """The format of an existing file or folder: that of a name, or the first that recognises it.

    Raises:
        PgtfastError: it is not there, or of no known format.
    """
    if not path.exists():
        raise PgtfastError(f"{path}: no such file or folder")
    found = [f for f in formats() if f.read is not None and name in (None, f.name)]
    if not found:
        raise PgtfastError(f"--from {name}: wanted one of {', '.join(names())}")
    first = found[0] if name is not None and len(found) == 1 else next((f for f in found if f.sniff(path)), None)
    if first is None and name is not None:
        first = found[0]
    if first is None:
        raise PgtfastError(f"{path}: its format cannot be told; name it with --from")
    alike = [f for f in found if f.name == first.name and f.variant == variant]
    return alike[0] if first.variant and alike else first
