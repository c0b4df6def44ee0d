"""How far an engine's joints are from those of the network in float32."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import ops
from ..body import BodyModel
from ..networks import NetworkConfig, Prediction, place
from ..priors import VPoser
from ._crops import Crops

BOUNDS = {"fp32": 0.01, "fp16": 1.0}
"""Most millimetres, and most pixels of the crop, at the 99th percentile of the joints, by precision."""
BATCH = 32
"""Crops at once."""
SECONDS = 2.0
"""Spent on timing each engine, about."""


class Joints(NamedTuple):
    """The 24 joints of the bodies that N predictions mean."""

    relative: Tensor
    """(N, 24, 3) metres from the pelvis."""
    pixels: Tensor
    """(N, 24, 2) of the crop."""
    depth: Tensor
    """(N,) metres."""


@dataclass(frozen=True)
class Spread:
    """Of distances."""

    mean: float
    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, distances: Tensor) -> Spread:
        """All of them together."""
        flat = distances.double().flatten()
        p50, p99 = torch.quantile(flat, torch.tensor([0.5, 0.99], dtype=torch.float64)).tolist()
        return cls(flat.mean().item(), p50, p99, flat.max().item())


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One way to run the network, beside the network in float32."""

    what: str
    """What ran, with versions and device."""
    decides: bool = True
    """Whether the bound holds for it; False where it is only told beside others."""
    joints_mm: Spread | None = None
    """Joints, pelvis on pelvis, millimetres. None: it was not run."""
    pixels: Spread | None = None
    """The same joints where the crop's camera sees them, pixels of the crop."""
    depth_mm: Spread | None = None
    """Depths of the bodies in the crop's camera, tens of metres, millimetres."""
    crops_per_second: float | None = None
    """Median rate with `batch` crops at once."""
    core_ms: float | None = None
    """Processor time of all threads, milliseconds a crop: what a machine that does other work does not change much."""
    batch: int | None = None
    note: str = ""

    @property
    def ran(self) -> bool:
        """Whether there are figures."""
        return self.joints_mm is not None

    def keeps(self, bound: float | None) -> bool:
        """Whether it is within the bound; what was not run is neither. A NaN is not."""
        if bound is None or self.joints_mm is None or self.pixels is None or not self.decides:
            return True
        return self.joints_mm.p99 <= bound and self.pixels.p99 <= bound


class Judge:
    """Holds engines against the network in float32.

    Args:
        crops: to compare on.
        network: the reference, prediction of crops on the CPU.
        config: of the network.
        body: that it speaks of.
        prior: of its latents.
    """

    def __init__(
        self,
        crops: Crops,
        network: Callable[[Tensor], Prediction],
        config: NetworkConfig,
        body: BodyModel,
        prior: VPoser | None,
    ) -> None:
        self.crops, self._config, self._body, self._prior = crops, config, body, prior
        self._network = network
        self._wanted = self._joints(network, torch.device("cpu"))

    def compare(
        self,
        what: str,
        engine: Callable[[Tensor], Prediction],
        device: torch.device,
        *,
        decides: bool = True,
        note: str = "",
    ) -> Compared:
        """Run an engine on all crops and measure it."""
        found = self._joints(engine, device)
        wanted = self._wanted
        batch = min(BATCH, len(self.crops.image))
        rate, core_ms = self._speed(engine, device, batch)
        return Compared(
            what=what,
            decides=decides,
            joints_mm=Spread.of((found.relative - wanted.relative).norm(dim=-1) * 1000),
            pixels=Spread.of((found.pixels - wanted.pixels).norm(dim=-1)),
            depth_mm=Spread.of((found.depth - wanted.depth).abs() * 1000),
            crops_per_second=rate,
            core_ms=core_ms,
            batch=batch,
            note=note,
        )

    def reference(self) -> Compared:
        """The network in float32 beside itself: its rate."""
        return self.compare(
            f"torch {torch.__version__} fp32 on cpu",
            self._network,
            torch.device("cpu"),
            decides=False,
            note="the reference",
        )

    def _joints(self, engine: Callable[[Tensor], Prediction], device: torch.device) -> Joints:
        terms = self._body.landmarks("smpl24").terms
        parts = []
        with torch.inference_mode():
            for image in self.crops.image.split(BATCH):
                prediction = Prediction(*(values.cpu() for values in engine(image.to(device))))
                bodies = place(prediction, self._config, self._prior)
                betas = bodies.betas[:, : self._body.num_betas]
                joints = ops.landmarks(bodies.rotations, betas, torch.zeros_like(bodies.transl), terms)
                points = joints + bodies.transl[:, None]
                pixels = points[..., :2] / points[..., 2:] * bodies.focal + bodies.center
                parts.append(Joints(joints - joints[:, :1], pixels, bodies.transl[:, 2]))
        return Joints(*map(torch.cat, zip(*parts, strict=True)))

    def _speed(self, engine: Callable[[Tensor], Prediction], device: torch.device, batch: int) -> tuple[float, float]:
        """Crops a second, and milliseconds of processor time a crop; medians over rounds behind a first call."""
        image = self.crops.image[:batch].to(device)

        def once() -> tuple[float, float]:
            start, used = time.perf_counter(), time.process_time()
            engine(image).camera.cpu()
            return time.perf_counter() - start, time.process_time() - used

        first, _ = once()
        rounds = [once() for _ in range(max(3, min(20, int(SECONDS / max(first, 1e-6)))))]
        wall, used = (statistics.median(values) for values in zip(*rounds, strict=True))
        return batch / wall, used / batch * 1000


@dataclass(frozen=True, kw_only=True)
class Report:
    """What an export is held against, in one JSON file and as a few lines."""

    file: str
    engine: str
    precision: str
    weights_sha256: str
    crops: str
    synthetic: bool
    count: int
    bound: float | None
    """Millimetres and pixels at the 99th percentile."""
    engine_ran: bool
    """Whether the engine file itself was run; else the ONNX graph alone stands for it."""
    compared: tuple[Compared, ...]

    @property
    def passed(self) -> bool:
        """Whether all that was run is within the bound."""
        return all(c.keeps(self.bound) for c in self.compared)

    def to_json(self) -> str:
        """All figures."""
        told: dict[str, Any] = {**asdict(self), "passed": self.passed}
        for entry, compared in zip(told["compared"], self.compared, strict=True):
            entry["ran"] = compared.ran
        return json.dumps(told, indent=1) + "\n"

    def to_text(self) -> str:
        """For people."""
        width = max(len(c.what) for c in self.compared)
        bound = "no bound" if self.bound is None else f"bound {self.bound:g} mm and {self.bound:g} px at p99"
        lines = [
            f"{self.file}: {self.engine} {self.precision} against torch fp32, {bound}",
            f"crops: {self.crops}{' (SYNTHETIC; --coco and --images take photographs)' if self.synthetic else ''}",
            f"{'':{width}s}   joints, mm: p50      p99      max   pixels: p99      max   depth, mm: p99   crops/s   "
            "core ms/crop",
        ]
        for c in self.compared:
            if c.joints_mm is None or c.pixels is None or c.depth_mm is None:
                lines.append(f"{c.what:{width}s}   NOT RUN: {c.note}")
                continue
            state = "" if not c.decides or self.bound is None else "  kept" if c.keeps(self.bound) else "  BROKEN"
            lines.append(
                f"{c.what:{width}s}   {c.joints_mm.p50:15.5f}  {c.joints_mm.p99:7.5f}  {c.joints_mm.max:7.5f}   "
                f"{c.pixels.p99:11.5f}  {c.pixels.max:7.5f}"
                f"   {c.depth_mm.p99:14.3f}   {c.crops_per_second:7.1f}   "
                f"{c.core_ms:12.2f}{state}{'  (' + c.note + ')' if c.note else ''}"
            )
        if not self.passed:
            lines.append("FAILED: the bound is broken; no engine file was written")
        elif not self.engine_ran:
            lines.append("The engine file itself was not run; the figures are of its ONNX graph.")
        return "\n".join(lines) + "\n"
