"""What a bulk annotation needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from .._config import MOST, Option, UsageError
from .._outputs import OutputConfig

INPUTS = ("coco", "index", "whole_images", "root")
"""Fields that say who is annotated."""


@dataclass(frozen=True, kw_only=True)
class AnnotateConfig(OutputConfig):
    """Finds a body for each annotated person of a dataset with a trained annotator: one crop a person, one pass of the
    network. It needs a box;
    keypoints, where there are any, measure the result, and refine it with --refine. RUN gets annotations/*.parquet (one
    row a person, skipped people
    with their reason), run.json and, where asked for, overlays/ and an exported file. The same command resumes an
    unfinished run, however it
    ended; Ctrl-C and SIGTERM end it after the shards in work, a second one at once.
    """

    checkpoint: Annotated[str, Option("CKPT|ENGINE")]
    """folder of a finished run of pgtfast.train, or one of its files; for other engines than torch a file of
    pgtfast.export"""
    coco: Annotated[Path | None, Option("ANN.json")] = None
    """COCO person keypoints, of any size: images and annotations"""
    index: Annotated[Path | None, Option("FILE|DIR")] = None
    """in place of --coco: Parquet (or a folder of it) or CSV with columns image_path, bbox_xywh or x, y, width, height
    (pixels), and any of
    annotation_id, image_width, image_height, keypoints"""
    whole_images: bool = False
    """in place of --coco: each image shows one person and little else"""
    images: Annotated[tuple[Path, ...], Option("DIR|TAR")] = ()
    """folder of the images, or uncompressed tars (*.tar); tars alone are WebDataset samples, whose *.json hold COCO
    annotations"""
    follow_links: bool = False
    """read images that are links out of their folder (default: refused)"""
    root: Annotated[Path | None, Option("DIR")] = None
    """in place of all these: root folder of a dataset of the kind --dataset"""
    dataset: Annotated[str | None, Option("NAME|KIND")] = None
    """first part of each person's key (default: name of the file, or of the folder); with --root: kind of the dataset,
    such as mpii, lspet, pw3d"""
    split: str = "train"
    """with --root: which part of the dataset"""
    out: Annotated[Path, Option("RUN")]
    """folder of the run; made if absent, never overwritten"""
    engine: Literal["torch", "onnxruntime", "tensorrt", "tensorrt-rtx"] = "torch"
    """what runs the network; others than torch need a file that pgtfast.export made for them"""
    precision: Literal["fp32", "fp16"] = "fp32"
    """of --engine torch: fp32, or fp16 for the backbone in float16; an engine file has its own"""
    body: Annotated[str | None, Option("PATH|free")] = None
    """body model file (default: the one the network was trained with)"""
    prior: Annotated[str | None, Option("PATH|free")] = None
    """VPoser folder or file (default: the one the network was trained with)"""
    batch_size: Annotated[int, Option("N", low=1, high=MOST, unit="people")] = 64
    """people that pass the network at once"""
    part_size: Annotated[int, Option("N", low=1, high=MOST, unit="people")] = 1024
    """people written as one part, on average; what a killed run repeats (default: 1024); a resumed run keeps the size
    it began with"""
    refine: Annotated[int, Option("N", low=0, high=MOST, unit="steps")] = 0
    """steps of fitting from the network's body to the keypoints, held to that body"""
    flip_test: bool = False
    """also annotate the mirrored crop and note how far the joints of the two lie apart, millimetres; twice the time"""
    jitter: Annotated[int, Option("N", low=0, high=MOST, unit="crops")] = 0
    """also annotate N shifted and scaled copies of each crop and note how far the joints lie apart, millimetres"""
    exif: bool = False
    """rotate images as their EXIF orientation says (COCO's annotations do not)"""
    processes: Annotated[int, Option("N", low=1, high=MOST, unit="processes")] = 1
    """processes that annotate; with --device cuda process i has GPU i"""
    workers: Literal["processes", "ray"] = "processes"
    """processes of this machine, or N workers of the Ray cluster that RAY_ADDRESS names (without it, one of this
    machine)"""
    loader_threads: Annotated[int, Option("N", low=1, high=256, unit="threads")] = 2
    """threads of each process that decode and crop images"""

    def __post_init__(self) -> None:
        super().__post_init__()
        named = [f"--{name.replace('_', '-')}" for name in INPUTS if getattr(self, name)]
        if len(named) > 1:
            raise UsageError(f"{', '.join(named)}: give one of them")
        if self.root is None and not self.images:
            wanted = "--coco, --index, --whole-images, --root: give one of them"
            raise UsageError(f"{named[0]}: needs --images DIR" if named else wanted)
        if self.root is not None and self.dataset is None:
            raise UsageError("--root: needs --dataset KIND")
        if self.root is not None and self.images:
            raise UsageError("--images: --root knows its images")
