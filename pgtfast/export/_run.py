"""An export: checkpoint in, engine file and parity report out."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import onnx
import onnxruntime
import torch

from .._errors import PgtfastError
from .._options import chosen_device
from ..body import load_body
from ..engines import EngineFile, open_engine, read_engine_file, write_engine_file
from ..engines.lowered import Lowered
from ..engines.tensorrt_engine import FLAVOURS, architecture
from ..networks.files import LoadedAnnotator, load_annotator
from ..priors import load_vposer
from ._config import ExportConfig
from ._crops import drawn_crops, given_crops
from ._onnx import read_onnx, write_onnx
from ._parity import BOUNDS, Compared, Judge, Report
from ._tensorrt import Built, build, check_options

DEFAULT_ARCHITECTURES = ("sm80", "sm86", "sm89", "sm120")
"""TensorRT-RTX's own choice: an engine for these is no larger than one, Turing's (sm75) is."""


class Exported(NamedTuple):
    """What an export came to."""

    out: Path
    """Engine file; written where `passed`."""
    passed: bool
    """Whether its joints are near enough to the network's, as far as it could be run here."""
    report: Report | None
    """None where the file was finished before."""

    @property
    def exit_code(self) -> int:
        """0, or 1 where the engine is too far from the network."""
        return 0 if self.passed else 1


def run(config: ExportConfig) -> Exported:
    """Do all that a config asks.

    Raises:
        PgtfastError: an option or a file that does not fit.
    """
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    device = _device(config)
    builder = () if config.engine == "onnxruntime" else _builder(config)
    out = config.out
    reference = open_engine("torch", config.checkpoint)
    loaded = load_annotator(config.checkpoint)
    request = _request(config, reference.origin.weights_sha256, builder)
    if _finished(out, request):
        print(f"{out}: finished already; nothing is exported again")
        return Exported(out, True, None)
    body, prior = _geometry(config, loaded)
    model, opset, precision = _graph(config, loaded)
    if config.coco is None or config.images is None:
        crops = drawn_crops(loaded.config, config.crops)
    else:
        crops = given_crops(config.coco, config.images, loaded.config, config.crops)
    judge = Judge(crops, reference, loaded.config, body, prior)
    file = EngineFile(
        engine="onnxruntime",
        about=loaded.about,
        weights_sha256=reference.origin.weights_sha256,
        precision=precision,
        opset=opset,
        library="onnx",
        library_version=onnx.__version__,
        request=request,
        pgtfast_version=version("pgtfast"),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        made = Path(folder) / "graph.onnx"
        write_engine_file(made, model, file)
        compared = [judge.reference(), _compare_graph(judge, made, precision, config, device)]
        if precision == "fp16" and config.onnx is None:
            compared.append(_compare_torch(judge, loaded))
        ran = True
        if config.engine != "onnxruntime":
            built = _build(config, model, loaded)
            file = EngineFile(
                engine=config.engine,
                about=file.about,
                weights_sha256=file.weights_sha256,
                precision=precision,
                opset=opset,
                library=config.engine,
                library_version=built.library_version,
                architectures=built.architectures,
                gpu=built.gpu,
                batch=config.batch,
                request=request,
                pgtfast_version=file.pgtfast_version,
            )
            made = Path(folder) / "engine"
            write_engine_file(made, built.plan, file)
            compared.append(_compare_engine(judge, made, file, device))
            ran = compared[-1].ran
        report = Report(
            file=out.name,
            engine=config.engine,
            precision=precision,
            weights_sha256=file.weights_sha256,
            crops=crops.source,
            synthetic=crops.synthetic,
            count=len(crops.image),
            bound=BOUNDS.get(precision) if config.bound is None else config.bound,
            engine_ran=ran,
            compared=tuple(compared),
        )
        for suffix, text in ((".parity.json", report.to_json()), (".parity.txt", report.to_text())):
            partial = Path(folder) / "report"
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, out.with_name(out.name + suffix))
        if report.passed:
            os.replace(made, out)
    print(report.to_text(), end="", file=sys.stdout if report.passed else sys.stderr)
    return Exported(out, report.passed, report)


def _device(config: ExportConfig) -> torch.device:
    if config.device is not None:
        return chosen_device(config.device)
    return torch.device("cuda" if config.engine != "onnxruntime" and torch.cuda.is_available() else "cpu")


def _builder(config: ExportConfig) -> tuple[str, ...]:
    """Version of the TensorRT library, and the GPU that it builds for where it builds for none but this machine's."""
    flavour = FLAVOURS[config.engine]
    library = check_options(flavour, config.arch, config.timing_cache)
    return (library.__version__,) if flavour.ahead_of_time else (library.__version__, torch.cuda.get_device_name())


def _request(config: ExportConfig, weights: str, builder: tuple[str, ...]) -> str:
    """Hash of what decides the engine file; what it is compared on does not."""
    graph = None if config.onnx is None else hashlib.sha256(config.onnx.read_bytes()).hexdigest()
    built = (*builder, config.batch, config.arch or DEFAULT_ARCHITECTURES) if builder else ()
    asked = [weights, config.engine, _wanted_precision(config), config.opset, graph, built]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _wanted_precision(config: ExportConfig) -> str:
    return config.precision or ("fp32" if config.engine == "onnxruntime" else "fp16")


def _finished(out: Path, request: str) -> bool:
    """Whether FILE is what is asked for.

    Raises:
        PgtfastError: it is something else.
    """
    if not out.exists():
        return False
    if read_engine_file(out)[0].request != request:
        raise PgtfastError(f"--out {out}: holds another export; name another file, or remove it")
    return True


def _geometry(config: ExportConfig, loaded: LoadedAnnotator):
    body = load_body(config.body or loaded.body)
    loaded.about.check_body(body)
    named = config.prior or loaded.prior
    prior = None if named is None else load_vposer(named)
    if prior is not None:
        loaded.about.check_prior(prior)
    return body, prior


def _graph(config: ExportConfig, loaded: LoadedAnnotator) -> tuple[bytes, int, str]:
    """The ONNX model, its opset and its precision."""
    if config.onnx is None:
        precision = _wanted_precision(config)
        return write_onnx(loaded.network, precision, config.opset), config.opset, precision
    return read_onnx(config.onnx, loaded.config)


def _compare_graph(judge: Judge, path: Path, precision: str, config: ExportConfig, device: torch.device) -> Compared:
    """The ONNX file in ONNX Runtime: on the device where that is the engine, else on the CPU."""
    own = config.engine == "onnxruntime"
    place = device if own else torch.device("cpu")
    note = "" if own else "the graph that the engine is built from"
    if precision != "fp32" and place.type == "cpu":
        note = f"{note}; " * bool(note) + "this provider may multiply in float32"
    engine = open_engine("onnxruntime", path, place)
    return judge.compare(f"onnxruntime {onnxruntime.__version__} {precision} on {place}", engine, place, note=note)


def _compare_torch(judge: Judge, loaded: LoadedAnnotator) -> Compared:
    """The same layers in PyTorch, whose float16 is float16 on a CPU too: what overflows shows here."""
    network = Lowered(loaded.network, "fp16").eval()
    return judge.compare(
        f"torch {torch.__version__} fp16 on cpu", network, torch.device("cpu"), note="the same layers in true float16"
    )


def _build(config: ExportConfig, model: bytes, loaded: LoadedAnnotator) -> Built:
    flavour = FLAVOURS[config.engine]
    wanted = config.arch or (DEFAULT_ARCHITECTURES if flavour.ahead_of_time else ())
    return build(
        model,
        flavour,
        loaded.config.input_size,
        batch=config.batch,
        architectures=wanted,
        timing_cache=config.timing_cache,
    )


def _compare_engine(judge: Judge, path: Path, file: EngineFile, device: torch.device) -> Compared:
    """The engine file, where there is a GPU that it is for."""
    what = f"{file.engine} {file.library_version} {file.precision} for {','.join(file.architectures)}"
    here = architecture(device)
    if here is None:
        return Compared(what=what, note="no GPU here, or --device cpu")
    if here not in file.architectures:
        return Compared(what=what, note=f"this machine's GPU is {here}")
    return judge.compare(
        f"{what} on {torch.cuda.get_device_name(device)}", open_engine(file.engine, path, device), device
    )
