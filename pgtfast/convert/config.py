"""What to convert, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .._errors import PgtfastError


@dataclass(frozen=True, kw_only=True)
class ConvertConfig:
    """Reads pseudo-ground-truths of one format and writes those of another.

    People are keyed by annotation id; formats without ids are matched with --people by image name and box. All that is ignored, omitted,
    approximated or not matched is counted and named at the end. DST appears whole or not at all, and is never overwritten.
    """

    src: Path
    """file or folder to read"""
    dst: Path
    """file to write; a folder for parquet and smplify-x. Must not exist"""
    to: str
    """format to write"""
    source: str | None = None
    """format of SRC (default: told by its content)"""
    variant: str = "itw"
    """of NeuralAnnot's JSON: itw and 3dpw are keyed by annotation id in camera space (3dpw has no cameras in the file), h36m and mpi-inf-3dhp are
    nested in the world and need --people, --cameras and --body (default: itw; reading tells 3dpw from itw by itself)"""
    src_variant: str | None = None
    """the same of SRC, where both are NeuralAnnot's (default: --variant when writing another format, else itw)"""
    people: Path | None = None
    """annotation file of the people: JSON in COCO's layout, or an npz in SPIN's; brings images, sizes, boxes, ids"""
    cameras: Path | None = None
    """camera JSON of Human3.6M or MPI-INF-3DHP, in mm and pixels"""
    images: Path | None = None
    """folder of the images: sizes where --people has none (headers alone are read), images for 4dhumans"""
    dataset: str | None = None
    """first part of each person's key (default: name of SRC)"""
    body: str | None = None
    """PATH or free: body model file of the parameters. World frames and hands that change between flat and mean need it; cameras that change are
    measured with it (default for measuring: free)"""
    body_model: Literal["smpl", "smplx", "smplh", "mano", "free"] | None = None
    """what the parameters of SRC are of, where its layout does not say (default: smpl)"""
    hands: Literal["flat", "mean"] | None = None
    """what the hands of SRC are measured from, where its layout does not say: a flat hand (flat_hand_mean=True) or the model's mean hand (False)"""
    focal: float = 5000.0
    """focal length of smplify-x results, which do not hold theirs, pixels from 1 to 1e7 (default: 5000)"""
    prior: str | None = None
    """PATH or free: VPoser file that decodes the 32-number latents of smplify-x results"""
    prior_version: str | None = None
    """version of that VPoser (vposer-v1, vposer-v2, free): latents are read only where you name it"""
    min_quality: float | None = None
    """of the store's people: omit those of a lower quality, from 0 to 1, or of none"""

    def __post_init__(self) -> None:
        if (self.prior is None) != (self.prior_version is None):
            raise PgtfastError("--prior and --prior-version: give both or none")
        if not 1 <= self.focal <= 1e7:
            raise PgtfastError(f"--focal {self.focal:g}: wanted pixels from 1 to 1e7")
        if self.min_quality is not None and not 0 <= self.min_quality <= 1:
            raise PgtfastError(f"--min-quality {self.min_quality:g}: wanted a quality from 0 to 1")


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
