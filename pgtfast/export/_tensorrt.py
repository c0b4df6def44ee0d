"""ONNX graphs as serialised engines of TensorRT or TensorRT-RTX."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .._errors import PgtfastError
from ..engines.engine import INPUT
from ..engines.tensorrt_engine import Flavour


class Built(NamedTuple):
    """A serialised engine."""

    plan: bytes
    library_version: str
    architectures: tuple[str, ...]
    gpu: str
    """That it was built on; "" where none was needed."""


def build(
    model: bytes,
    flavour: Flavour,
    crop: tuple[int, int],
    *,
    batch: tuple[int, int, int],
    architectures: Sequence[str],
    timing_cache: Path | None = None,
) -> Built:
    """Build an engine whose precisions are those of the graph (a strongly typed network), TF32 off.

    Args:
        model: ONNX.
        flavour: the library.
        crop: width and height.
        batch: fewest, usual and most crops at once, for the optimisation profile.
        architectures: to build for, such as "sm89"; TensorRT builds for the GPU of the machine, and takes none.
        timing_cache: file of TensorRT's measurements, read where it exists and written again; TensorRT-RTX measures
            nothing when it builds.

    Raises:
        PgtfastError: the library is missing, or refuses the graph.
    """
    library = check_options(flavour, architectures, timing_cache)
    gpu, here = ("", "") if flavour.ahead_of_time else _gpu_of_this_machine(flavour)
    recorder = Messages(library)
    builder = library.Builder(recorder.logger)
    network = builder.create_network(1 << int(library.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = library.OnnxParser(network, recorder.logger)
    if not parser.parse(model):
        told = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise PgtfastError(f"{flavour.name} {library.__version__} cannot read the ONNX graph: {told}")
    check_sampling(network, library)
    config = builder.create_builder_config()
    config.clear_flag(library.BuilderFlag.TF32)
    _profile(builder, config, crop, batch)
    if architectures:
        _target(config, library, architectures)
    cache = None if timing_cache is None else _read_cache(config, timing_cache)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise PgtfastError(
            f"{flavour.name} {library.__version__} cannot build this network for {', '.join(architectures) or gpu}: "
            f"{recorder.last}"
        )
    if cache is not None and timing_cache is not None:
        timing_cache.write_bytes(bytes(cache.serialize()))
    return Built(bytes(plan), library.__version__, tuple(architectures) or (here,), gpu)


def check_options(flavour: Flavour, architectures: Sequence[str], timing_cache: Path | None) -> Any:
    """Refuse what cannot be built before anything is; returns the library.

    Raises:
        PgtfastError: the library is missing, or this flavour has no such option or no such architecture.
    """
    if not flavour.ahead_of_time and architectures:
        raise PgtfastError(
            f"--arch: {flavour.name} builds for the GPU of this machine alone; tensorrt-rtx builds for others"
        )
    if flavour.ahead_of_time and timing_cache is not None:
        raise PgtfastError(f"--timing-cache: {flavour.name} measures nothing when it builds; only tensorrt has one")
    library = flavour.load()
    for name in architectures:
        if not hasattr(library.ComputeCapability, name.upper()):
            raise PgtfastError(f"--arch {name}: {flavour.name} {library.__version__} does not build for it")
    if not flavour.ahead_of_time:
        _gpu_of_this_machine(flavour)
    return library


class Messages:
    """Keeps what the library says, for the message of an error."""

    def __init__(self, library: Any) -> None:
        class Keeping(library.ILogger):
            def __init__(self) -> None:
                library.ILogger.__init__(self)
                self.told: list[str] = []

            def log(self, severity: Any, text: str) -> None:
                if severity in (library.ILogger.Severity.ERROR, library.ILogger.Severity.INTERNAL_ERROR):
                    self.told.append(text)

        self.logger = Keeping()

    @property
    def last(self) -> str:
        """The last error, or that there was none."""
        return self.logger.told[-1] if self.logger.told else "it gives no reason"


def check_sampling(network: Any, library: Any) -> None:
    """Refuse a parsed network whose grid sampling is not bilinear, whatever the graph said."""
    modes = []
    for at in range(network.num_layers):
        layer = network.get_layer(at)
        if layer.type == library.LayerType.GRID_SAMPLE:
            layer.__class__ = library.IGridSampleLayer  # how TensorRT's Python casts to the layer's own class
            modes.append(layer.interpolation_mode)
    if modes != [library.InterpolationMode.LINEAR]:
        raise PgtfastError(
            f"the parser read the sampling as {[m.name for m in modes]}, wanted one of LINEAR (bilinear); export "
            "with --opset 16 to 19"
        )


def layer_types(network: Any) -> Counter[tuple[str, str]]:
    """How many layers of which kind give which type, of a parsed network."""
    layers = [network.get_layer(at) for at in range(network.num_layers)]
    return Counter((layer.type.name, layer.get_output(0).dtype.name) for layer in layers)


def _profile(builder: Any, config: Any, crop: tuple[int, int], batch: tuple[int, int, int]) -> None:
    profile = builder.create_optimization_profile()
    profile.set_shape(INPUT, *((count, 3, crop[1], crop[0]) for count in batch))
    if config.add_optimization_profile(profile) < 0:
        raise PgtfastError(f"--batch: the library refuses the profile {batch}; wanted fewest <= usual <= most")


def _target(config: Any, library: Any, architectures: Sequence[str]) -> None:
    config.num_compute_capabilities = len(architectures)
    for at, name in enumerate(architectures):
        if not config.set_compute_capability(getattr(library.ComputeCapability, name.upper()), at):
            raise PgtfastError(f"--arch {name}: the library refuses it beside {', '.join(architectures)}")


def _read_cache(config: Any, path: Path) -> Any:
    cache = config.create_timing_cache(path.read_bytes() if path.exists() else b"")
    if cache is None or not config.set_timing_cache(cache, False):
        raise PgtfastError(f"--timing-cache {path}: of another version or GPU; name a new file")
    return cache


def _gpu_of_this_machine(flavour: Flavour) -> tuple[str, str]:
    """Its name and architecture."""
    import torch

    if not torch.cuda.is_available():
        raise PgtfastError(
            f"--engine {flavour.name} builds on the GPU that it is for, and torch sees none here; --engine "
            "tensorrt-rtx --arch sm89 builds without one"
        )
    major, minor = torch.cuda.get_device_capability()
    return torch.cuda.get_device_name(), f"sm{major}{minor}"
