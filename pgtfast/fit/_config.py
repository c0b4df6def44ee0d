"""What a fit of a file's people needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from .._config import MOST, Option, UsageError
from .._outputs import OutputConfig


@dataclass(frozen=True, kw_only=True)
class FitConfig(OutputConfig):
    """Fits a body to each annotated person of a COCO keypoints file. RUN gets annotations/*.parquet (one row a person,
    skipped people with their reason), run.json and, where asked for, overlays/ and an exported file. The same command
    resumes an unfinished run.
    """

    coco: Annotated[Path, Option("ANN.json")]
    """COCO person keypoints: images and annotations"""
    images: Annotated[Path | None, Option("DIR")] = None
    """folder of the images; only overlays read them"""
    out: Annotated[Path, Option("RUN")]
    """folder of the run; made if absent, never overwritten"""
    dataset: Annotated[str | None, Option("NAME")] = None
    """first part of each person's key (default: name of ANN.json)"""
    body: Annotated[str, Option("PATH|free")] = "free"
    """body model file of SMPL, SMPL-H or SMPL-X (default: free, the body in the package); hands and face stay at their
    mean"""
    prior: Annotated[str, Option("PATH|free")] = "free"
    """VPoser v1 or v2 folder or file (default: free, the prior in the package)"""
    method: Literal["smplify"] = "smplify"
    """how to fit"""
    pose_space: Literal["latent", "axis-angle"] = "latent"
    """unknowns of the pose: the prior's latent, or rotation vectors with joint limits and without a prior"""
    solver: Literal["adam"] = "adam"
    """optimiser"""
    steps: Annotated[int, Option("N", low=1, high=MOST, unit="steps")] = 100
    """steps of the second stage"""
    starts: Annotated[int, Option("N", low=1, high=64, unit="starts")] = 6
    """first orientations a person, spread over the circle"""
    batch_size: Annotated[int, Option("N", low=1, high=MOST, unit="people")] = 512
    """people fitted at once and written as one part"""
    focal: Annotated[float | None, Option("PX", low=1, high=1e7, unit="pixels")] = None
    """focal length of every image, pixels (default: the image's diagonal)"""
    intrinsics: Annotated[Path | None, Option("JSON")] = None
    """{"focal": [fx, fy], "center": [cx, cy]} in pixels, or an object of such objects keyed by file_name"""
    min_keypoints: Annotated[int, Option("N", low=3, high=17, unit="keypoints")] = 6
    """people with fewer are skipped (default: 6; two of them shoulders or hips)"""
    min_confidence: Annotated[float, Option("C", low=0, high=1, unit="confidence")] = 0.1
    """keypoints below are dropped; hidden ones (v = 1) have 0.5, visible ones 1"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.focal is not None and self.intrinsics is not None:
            raise UsageError("--focal and --intrinsics: give one of them")
        if self.overlays and self.images is None:
            raise UsageError("--overlays: needs --images DIR")
