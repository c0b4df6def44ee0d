"""The DALI graph that turns encoded pictures into normalised crops."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from .._errors import PgtfastError
from .augment import Draws
from .crops import corner_based, inverse_matrices, regions

Normalize = Literal["unit", "imagenet"]
MEAN = {"unit": (0.0, 0.0, 0.0), "imagenet": (0.485, 0.456, 0.406)}
STD = {"unit": (1.0, 1.0, 1.0), "imagenet": (0.229, 0.224, 0.225)}
"""Of red, green and blue in [0, 1]."""
GREY = (124.0, 116.0, 104.0)
"""What hides an occluded rectangle: ImageNet's mean."""
BLUR_WINDOW = 11
"""Pixels; odd."""
_SHARP = 0.01
"""A sigma so small that the window is one pixel."""


@dataclass(frozen=True, kw_only=True)
class Graph:
    """What a pipeline is built for."""

    crop_size: tuple[int, int]
    """Width and height."""
    normalize: Normalize
    adjust_orientation: bool
    """Turn pictures as their EXIF block says."""
    occlusion: bool
    blur: bool
    color: bool
    """Channels are multiplied, so that they may exceed full brightness and are cut there."""
    threads: int
    device: str
    """"cpu", "cuda" or "cuda:<index>"."""
    shared: bool = False
    """Several crops may be of one picture, which is decoded once."""

    @property
    def cuda(self) -> bool:
        return self.device.startswith("cuda")


def load_dali() -> None:
    """Import DALI.

    Raises:
        PgtfastError: it is not installed.
    """
    try:
        import nvidia.dali  # noqa: F401
    except ImportError as error:
        raise PgtfastError(
            f"NVIDIA DALI, which reads images, cannot be imported ({error}): pip install nvidia-dali-cuda130 (Linux "
            "only)"
        ) from error


class Inputs(dict[str, Any]):
    """A batch of inputs by name, ready to be fed; keep it until its crops are there, for DALI reads from these very
    arrays.
    """

    def row(self, at: int) -> Inputs:
        """A batch of one."""
        return Inputs((name, values[at : at + 1]) for name, values in self.items())


def make_inputs(
    graph: Graph, encoded: Sequence[np.ndarray], matrices: np.ndarray, sizes: np.ndarray, draws: Draws
) -> Inputs:
    """Lay out what a pipeline is fed with.

    Args:
        encoded: B files, (bytes,) uint8 each.
        matrices: (B, 2, 3) float64 from picture to crop.
        sizes: (B, 2) width and height of the decoded pictures.
        draws: the changes of the B crops; only colour, occlusion and blur are looked at here.
    """
    inverse = inverse_matrices(matrices)
    start, shape = regions(inverse, sizes, graph.crop_size)
    inverse[:, :, 2] -= start
    color = draws.color.astype(np.float64)
    inputs = Inputs(
        encoded=list(encoded),
        start=start,
        shape=shape,
        matrix=_warp_matrix(graph, inverse),
        mean=(255 * np.array(MEAN[graph.normalize]) / color).astype(np.float32),
        std=(255 * np.array(STD[graph.normalize]) / color).astype(np.float32),
    )
    if graph.occlusion:
        inputs["hidden_at"], inputs["hidden_shape"] = (
            np.ascontiguousarray(draws.occlusion[:, :2]),
            np.ascontiguousarray(draws.occlusion[:, 2:]),
        )
    if graph.blur:
        inputs["sigma"] = np.where(draws.blur > 0, draws.blur, np.float32(_SHARP)).astype(np.float32)[:, None]
    return inputs


_NO_PICTURE = np.frombuffer(b"P6 1 1 255\n\0\0\0", np.uint8)
"""A PPM of one pixel, for the places of a batch whose crops are of a picture in another place."""
_APART = 1 << 24
"""Pixels around all crops of a picture up to which they are always decoded together."""


def share_images(graph: Graph, inputs: Inputs, owner: np.ndarray) -> None:
    """Let the crops of a picture share one decode of the part that they all lie in.

    Crops of few pixels that lie far apart in a huge picture are still decoded apart.

    Args:
        graph: with `shared`.
        inputs: of B crops, each with its picture; changed in place.
        owner: (B,) which picture each is of; crops of one picture follow each other.
    """
    start, shape = inputs["start"], inputs["shape"]
    picture = np.arange(len(owner), dtype=np.int32)
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    counts = np.diff(first, append=len(owner))
    low, high = np.minimum.reduceat(start, first), np.maximum.reduceat(start + shape, first)
    around = np.prod(high - low, axis=1, dtype=np.int64)
    apart = np.add.reduceat(np.prod(shape, axis=1, dtype=np.int64), first)
    together = (counts > 1) & ((around <= _APART) | (around <= 2 * apart))
    crops = np.repeat(together, counts)
    inputs["matrix"][crops, :2, 2] += (start - np.repeat(low, counts, axis=0))[crops]
    picture[crops] = np.repeat(first, counts)[crops]
    start[crops], shape[crops] = 0, 1
    start[first[together]], shape[first[together]] = low[together], (high - low)[together]
    for at in np.flatnonzero(picture != np.arange(len(owner))):
        inputs["encoded"][at] = _NO_PICTURE
    inputs["picture"] = picture


def _warp_matrix(graph: Graph, inverse: np.ndarray) -> np.ndarray:
    if graph.cuda:
        return corner_based(inverse).astype(np.float32)
    full = np.zeros((len(inverse), 3, 3), np.float32)
    full[:, :2], full[:, 2, 2] = inverse, 1
    return full


class CropPipeline:
    """Feeds inputs and hands out crops, in order.

    The decoder is given the part of each picture that its crop needs and decodes little more. On the CPU the crop is
    then warped by the operator that rests on OpenCV, which takes pixel centres; on a GPU by `warp_affine`, which takes
    pixel corners.

    Args:
        graph: what to build.
        batch_size: most crops at once.
        depth: batches in flight.
    """

    def __init__(self, graph: Graph, batch_size: int, depth: int) -> None:
        load_dali()
        from nvidia.dali import Pipeline

        self.graph, self.depth = graph, depth
        self._device = torch.device(graph.device)
        index = None
        if graph.cuda:
            index = self._device.index if self._device.index is not None else torch.cuda.current_device()
        self._pipe = Pipeline(
            batch_size=batch_size,
            num_threads=graph.threads,
            device_id=index,
            prefetch_queue_depth=depth,
            exec_dynamic=True,
        )
        with self._pipe:
            self._pipe.set_outputs(_crops(graph))
        self._pipe.build()
        self._fed = 0
        mean, std = np.array(MEAN[graph.normalize]), np.array(STD[graph.normalize])
        self._most = torch.tensor((1 - mean) / std, dtype=torch.float32, device=graph.device)[None, :, None, None]

    def feed(self, inputs: Inputs) -> None:
        """Put a batch in flight. The first `depth` of them start together."""
        for name, values in inputs.items():
            self._pipe.feed_input(name, values)
        self._fed += 1
        if self._fed >= self.depth:
            self._pipe.schedule_run()

    def fetch(self) -> Tensor:
        """(B, 3, H, W) float32: the crops of the batch that was fed first.

        Raises:
            RuntimeError: a picture of it cannot be decoded; the pipeline is to be thrown away.
        """
        stream = torch.cuda.current_stream(self._device) if self.graph.cuda else None
        (crops,) = self._pipe.share_outputs(cuda_stream=stream)
        image = torch.from_dlpack(crops.as_tensor())
        self._pipe.release_outputs()
        if self.graph.color:
            # The same as cutting the picture at 255 before it is normalised.
            if self.graph.normalize == "unit":
                image.clamp_(max=1.0)
            else:
                torch.minimum(image, self._most, out=image)
        return image


def _crops(graph: Graph) -> Any:
    """The graph's nodes."""
    from nvidia.dali import fn
    from nvidia.dali import types as dali_types

    types: Any = dali_types  # whose names are made at run time

    def given(name: str, dtype: Any, ndim: int) -> Any:
        # A GPU may still read when its crops are handed out, so there DALI takes copies.
        return fn.external_source(name=name, dtype=dtype, ndim=ndim, no_copy=not graph.cuda)

    encoded = given("encoded", types.UINT8, 1)
    image = fn.decoders.image_slice(
        encoded,
        given("start", types.INT32, 1),
        given("shape", types.INT32, 1),
        device="mixed" if graph.cuda else "cpu",
        axis_names="WH",
        normalized_anchor=False,
        normalized_shape=False,
        adjust_orientation=graph.adjust_orientation,
        output_type=types.RGB,
        # As libjpeg's default, which annotators saw and OpenCV decodes.
        jpeg_fancy_upsampling=True,
    )
    if graph.shared:
        image = fn.permute_batch(image, indices=given("picture", types.INT32, 0))
    width, height = graph.crop_size
    matrix = given("matrix", types.FLOAT, 2)
    if graph.cuda:
        image = fn.warp_affine(image, matrix=matrix, size=(height, width), fill_value=0, inverse_map=True)
    else:
        image = fn.experimental.warp_perspective(
            image, matrix, size=(height, width), fill_value=[0, 0, 0], pixel_origin="center", inverse_map=True
        )
    if graph.occlusion:
        image = fn.erase(
            image,
            anchor=given("hidden_at", types.FLOAT, 1),
            shape=given("hidden_shape", types.FLOAT, 1),
            axis_names="WH",
            normalized=True,
            fill_value=list(GREY),
        )
    if graph.blur:
        image = fn.gaussian_blur(image, sigma=given("sigma", types.FLOAT, 1), window_size=BLUR_WINDOW)
    return fn.crop_mirror_normalize(
        image,
        mean=given("mean", types.FLOAT, 1),
        std=given("std", types.FLOAT, 1),
        dtype=types.FLOAT,
        output_layout="CHW",
    )


def find_damaged(graph: Graph, inputs: Inputs) -> dict[int, tuple[str, bool]]:
    """Decode a batch one picture at a time.

    Returns:
        For each picture that cannot be decoded its place in the batch: DALI's reason, and whether even the first pixel
        cannot.
    """
    found: dict[int, tuple[str, bool]] = {}
    count = len(inputs["encoded"])
    probe = CropPipeline(graph, 1, 1)
    for at in range(count):
        one = inputs.row(at)
        reason = _fails(probe, one)
        if reason is None:
            continue
        one["start"], one["shape"] = np.zeros((1, 2), np.int32), np.ones((1, 2), np.int32)
        found[at] = reason, _fails(CropPipeline(graph, 1, 1), one) is not None
        probe = CropPipeline(graph, 1, 1)
    return found


def _fails(pipeline: CropPipeline, inputs: Inputs) -> str | None:
    try:
        pipeline.feed(inputs)
        pipeline.fetch()
    except RuntimeError as error:
        return brief_reason(str(error))
    return None


def brief_reason(message: str) -> str:
    """What a DALI error says is wrong: the first line after the operator's traceback."""
    _, _, told = message.partition("encountered:")
    lines = [line.strip() for line in (told or message).splitlines() if line.strip()]
    text = lines[0] if lines else "no reason given"
    return re.sub(r"^\[[^\]]*\]\s*|\s*sample #\d+\s*:?\s*", "", text)[:200] or "no reason given"
