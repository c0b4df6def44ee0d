"""A network as an ONNX graph, and what a graph must be to stand for one."""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from .._errors import PgtfastError
from ..engines.engine import INPUT, OUTPUTS, output_shapes
from ..engines.lowered import Lowered
from ..networks import Annotator, NetworkConfig

OPSETS = (16, 17, 18, 19)
"""GridSample came with 16; 20 renamed its mode "bilinear" to "linear", which parsers of TensorRT have read as
nearest.
"""
WRITTEN = 18
"""What torch writes by itself."""


def write_onnx(network: Annotator, precision: str, opset: int) -> bytes:
    """The layers of a network as an ONNX model with any batch size.

    Args:
        network: to export.
        precision: "fp32", or "fp16": casts to float16 before the backbone and back behind it stand in the graph.
        opset: one of OPSETS.

    Raises:
        PgtfastError: the graph is not what it should be.
    """
    if opset not in OPSETS:
        raise PgtfastError(f"--opset: wanted {OPSETS[0]} to {OPSETS[-1]}, got {opset}: from 20 on GridSample's mode "
                           "has another name, which TensorRT's parser can read as nearest")  # fmt: skip
    width, height = network.config.input_size
    with _quiet():
        program = torch.onnx.export(
            Lowered(network, precision), (torch.zeros(2, 3, height, width),), None, input_names=[INPUT],
            output_names=list(OUTPUTS),
            opset_version=max(opset, WRITTEN), dynamic_shapes={INPUT: {0: torch.export.Dim("batch", min=1)}},
            dynamo=True, verbose=False,
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    _forget_origin(model)
    if opset < WRITTEN:
        _lower_opset(model, opset)
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString(deterministic=True)
    found = check_graph(content, network.config, "the exported graph")
    if found != (opset, precision):
        raise PgtfastError(f"the exported graph has opset {found[0]} and is {found[1]}, wanted {opset} and {precision}")
    return content


def read_onnx(path: Path, config: NetworkConfig) -> tuple[bytes, int, str]:
    """A graph that another tool wrote, such as a quantised one.

    Returns:
        The model without metadata, its opset and its precision.

    Raises:
        PgtfastError: it cannot stand for the network.
    """
    content = path.read_bytes()
    opset, precision = check_graph(content, config, f"--onnx {path}")
    model = onnx.load_model_from_string(content)
    model.ClearField("metadata_props")
    return model.SerializeToString(deterministic=True), opset, precision


def check_graph(content: bytes, config: NetworkConfig, name: str) -> tuple[int, str]:
    """Check that an ONNX model can stand for a network.

    Args:
        content: the model.
        config: of the network.
        name: of the model in messages.

    Returns:
        Its opset, and its precision: "fp32", "fp16", or for a quantised graph "int8" or "fp8".

    Raises:
        PgtfastError: input, outputs, opset or sampling are others, or the heads are not float32.
    """
    try:
        model = onnx.load_model_from_string(content)
        onnx.checker.check_model(model)
    except Exception as error:  # onnx and protobuf raise kinds of their own
        raise PgtfastError(f"{name}: no valid ONNX model ({str(error).splitlines()[0]})") from error
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if opset not in OPSETS:
        raise PgtfastError(f"{name}: opset {opset}, wanted {OPSETS[0]} to {OPSETS[-1]}: from 20 on GridSample's mode "
                           "has another name, which TensorRT's parser can read as nearest")  # fmt: skip
    width, height = config.input_size
    _check_values(f"{name}: input", list(model.graph.input), {INPUT: (3, height, width)})
    _check_values(f"{name}: output", list(model.graph.output), output_shapes(config))
    grids = [node for node in model.graph.node if node.op_type == "GridSample"]
    modes = [_text(node, "mode", "bilinear") for node in grids]
    if modes != ["bilinear"]:
        raise PgtfastError(f"{name}: wanted one GridSample node of mode bilinear, got {modes or 'none'}")
    return opset, _precision(model, grids[0], name)


def _check_values(where: str, values: list, wanted: dict[str, tuple[int, ...]]) -> None:
    found = {}
    for value in values:
        shape = value.type.tensor_type.shape.dim
        found[value.name] = tuple(d.dim_value for d in shape[1:])
        if value.type.tensor_type.elem_type != TensorProto.FLOAT:
            raise PgtfastError(f"{where} {value.name}: wanted float32")
        if not shape or shape[0].HasField("dim_value"):
            raise PgtfastError(f"{where} {value.name}: wanted a batch of any size, got a fixed one")
    if list(found.items()) != list(wanted.items()):
        raise PgtfastError(f"{where}: wanted {wanted} behind the batch, got {found}")


def _precision(model: ModelProto, grid: NodeProto, name: str) -> str:
    """Of the weights of convolutions and matrix products; the sampling must read float32 in all of them."""
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    try:
        shapes = onnx.shape_inference.infer_shapes(model)
    except onnx.shape_inference.InferenceError as error:
        reason = str(error).splitlines()[0]
        raise PgtfastError(
            f"{name}: its types contradict each other ({reason}); wanted the backbone alone in float16, or none"
        ) from error
    sampled = {v.name: v.type.tensor_type.elem_type for v in shapes.graph.value_info}
    if {sampled.get(value) for value in grid.input} != {TensorProto.FLOAT}:
        raise PgtfastError(f"{name}: wanted GridSample in float32")
    quantised = {types.get(n.input[2]) for n in model.graph.node if n.op_type == "QuantizeLinear" and len(n.input) > 2}
    if quantised:
        return "int8" if quantised <= {TensorProto.INT8, TensorProto.UINT8} else "fp8"
    halves = {n.output[0] for n in model.graph.node if n.op_type == "Cast" and _number(n, "to") == TensorProto.FLOAT16}
    weights = [types.get(n.input[1]) for n in model.graph.node if n.op_type in ("Conv", "Gemm", "MatMul")]
    if TensorProto.FLOAT16 not in weights:
        return "fp32"
    after = weights[len(weights) - weights[::-1].index(TensorProto.FLOAT16) :]
    if not halves or set(after) != {TensorProto.FLOAT} or len(after) < len(OUTPUTS):
        raise PgtfastError(f"{name}: wanted the backbone alone in float16, and the heads behind a cast in float32")
    return "fp16"


def _lower_opset(model: ModelProto, opset: int) -> None:
    """From opset 18 to 17 or 16. Of what these graphs hold only ReduceMean changed: its axes were an attribute."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "ReduceMean":
            axes = numpy_helper.to_array(constants[node.input[1]]).tolist()
            del node.input[1:]
            for at in [i for i, a in enumerate(node.attribute) if a.name == "noop_with_empty_axes"]:
                del node.attribute[at]
            node.attribute.append(helper.make_attribute("axes", axes))
        elif onnx.defs.get_schema(node.op_type, WRITTEN).since_version > opset:
            raise PgtfastError(
                f"--opset {opset}: {node.op_type} changed between {opset} and {WRITTEN}; say --opset {WRITTEN}"
            )
    used = {name for node in model.graph.node for name in node.input}
    for at in reversed(range(len(model.graph.initializer))):
        if model.graph.initializer[at].name not in used:
            del model.graph.initializer[at]
    model.opset_import[0].version = opset


def _forget_origin(model: ModelProto) -> None:
    """Take out what the exporter notes of files, lines and classes."""
    graph = model.graph
    held = (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for part in held:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    model.producer_name = "pgtfast"


def _text(node: NodeProto, name: str, default: str) -> str:
    return next((a.s.decode() for a in node.attribute if a.name == name), default)


def _number(node: NodeProto, name: str) -> int:
    return next((a.i for a in node.attribute if a.name == name), 0)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's notes on its own insides."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, message=re.escape("`isinstance(treespec"))
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            yield
    finally:
        log.setLevel(before)
