"""What to convert, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from .._config import Option, UsageError, check


def _one_of(kind: str, **options: bool) -> Callable[[str], str]:
    """Reads a name of the registry."""

    def parse(text: str) -> str:
        from ..formats import registry

        known = getattr(registry, kind)(**options)
        if text not in known:
            raise ValueError(f"invalid choice: {text!r} (choose from {', '.join(known)})")
        return text

    return parse


class _Epilog:
    """The formats of the registry, looked up when the help text is asked for."""

    def __get__(self, instance: object, owner: type) -> str:
        from ..formats.registry import formats

        known = "\n".join(f"  {f'{format.name} {format.variant}':<25}{format.about}" for format in formats())
        return (
            f"formats:\n{known}\n\n"
            "exit code: 0 when every body was written, 1 when some were omitted (named in the output), 2 on bad "
            "usage or input."
        )


@dataclass(frozen=True, kw_only=True)
class ConvertConfig:
    """Reads pseudo-ground-truths of one format and writes those of another.

    People are keyed by annotation id; formats without ids are matched with --people by image name and box. All that is
    ignored, omitted, approximated or not matched is counted and named at the end. DST appears whole or not at all, and
    is never overwritten.
    """

    src: Annotated[Path, Option("SRC", positional=True)]
    """file or folder to read"""
    dst: Annotated[Path, Option("DST", positional=True)]
    """file to write; a folder for parquet and smplify-x. Must not exist"""
    to: Annotated[str, Option("FORMAT", parse=_one_of("names", write=True))]
    """format to write"""
    source: Annotated[str | None, Option("FORMAT", name="from", parse=_one_of("names"))] = None
    """format of SRC (default: told by its content)"""
    variant: Annotated[str, Option("VARIANT", parse=_one_of("variants"))] = "itw"
    """of NeuralAnnot's JSON: itw and 3dpw are keyed by annotation id in camera space (3dpw has no cameras in the file),
    h36m and mpi-inf-3dhp are nested in the world and need --people, --cameras and --body (default: itw; reading tells
    3dpw from itw by itself)"""
    src_variant: Annotated[str | None, Option("VARIANT", parse=_one_of("variants"))] = None
    """the same of SRC, where both are NeuralAnnot's (default: --variant when writing another format, else itw)"""
    people: Annotated[Path | None, Option("FILE")] = None
    """annotation file of the people: JSON in COCO's layout, or an npz in SPIN's; brings images, sizes, boxes, ids"""
    cameras: Annotated[Path | None, Option("FILE")] = None
    """camera JSON of Human3.6M or MPI-INF-3DHP, in mm and pixels"""
    images: Annotated[Path | None, Option("DIR")] = None
    """folder of the images: sizes where --people has none (headers alone are read), images for 4dhumans"""
    dataset: Annotated[str | None, Option("NAME")] = None
    """first part of each person's key (default: name of SRC)"""
    body: Annotated[str | None, Option("PATH|free")] = None
    """body model file of the parameters. World frames and hands that change between flat and mean need it; cameras that
    change are measured with it (default for measuring: free)"""
    body_model: Literal["smpl", "smplx", "smplh", "mano", "free"] | None = None
    """what the parameters of SRC are of, where its layout does not say (default: smpl)"""
    hands: Literal["flat", "mean"] | None = None
    """what the hands of SRC are measured from, where its layout does not say: a flat hand (flat_hand_mean=True) or the
    model's mean hand (False)"""
    focal: Annotated[float, Option("PX", low=1, high=1e7, unit="pixels")] = 5000.0
    """focal length of smplify-x results, which do not hold theirs; pixels (default: 5000)"""
    prior: Annotated[str | None, Option("PATH|free")] = None
    """VPoser file that decodes the 32-number latents of smplify-x results"""
    prior_version: Annotated[str | None, Option("NAME")] = None
    """version of that VPoser (vposer-v1, vposer-v2, free): latents are read only where you name it"""
    min_quality: Annotated[float | None, Option("Q", low=0, high=1, unit="quality")] = None
    """of the store's people: omit those of a lower quality, or of none"""

    EPILOG: ClassVar[_Epilog]

    def __post_init__(self) -> None:
        check(self)
        if (self.prior is None) != (self.prior_version is None):
            raise UsageError("--prior and --prior-version: give both or none")


ConvertConfig.EPILOG = _Epilog()  # not in the class: dataclass would look it up, and import every format


@dataclass(frozen=True, kw_only=True)
class ConvertResult:
    """What became of the people."""

    read: int
    """People of the source."""
    bodies: int
    """Of them with a body."""
    written: int
    """People written; of files of frames, frames."""
    lost: int
    """Bodies that could not be written; all of them are named in `notes`."""
    notes: tuple[str, ...]
    """What was ignored, omitted, approximated or not matched, a line each."""
    seconds: float
    """From the first byte read to the last one written."""

    @property
    def exit_code(self) -> int:
        """0 when every body was written, else 1."""
        return 1 if self.lost else 0
