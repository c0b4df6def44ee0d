"""FP8 graphs, as NVIDIA Model Optimizer writes them, give what they say."""

from __future__ import annotations

import pytest
import torch

from pgtfast.engines import open_engine
from pgtfast.engines._file import read_engine_file
from pgtfast.engines.engine import INPUT, OUTPUTS
from pgtfast.export import ExportConfig, export
from pgtfast.export._onnx import write_onnx
from tests.engines.networks import crops, lively

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def fp8_graph() -> bytes:
    """The network with FP8 in front of every convolution behind a Relu."""
    from onnx import TensorProto, helper

    model = onnx.load_model_from_string(write_onnx(lively(), "fp32", 19))
    graph = model.graph
    relus = {node.output[0] for node in graph.node if node.op_type == "Relu"}
    graph.initializer.append(helper.make_tensor("scale", TensorProto.FLOAT, [], [0.1]))
    graph.initializer.append(helper.make_tensor("zero", TensorProto.FLOAT8E4M3FN, [], [0]))
    nodes = []
    for node in graph.node:
        if node.op_type == "Conv" and node.input[0] in relus:
            held, back = f"{node.name}_fp8", f"{node.name}_back"
            nodes.append(helper.make_node("QuantizeLinear", [node.input[0], "scale", "zero"], [held]))
            nodes.append(helper.make_node("DequantizeLinear", [held, "scale", "zero"], [back]))
            node.input[0] = back
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return model.SerializeToString()


def test_relus_in_front_of_fp8_stay(checkpoint, tmp_path):
    """ONNX Runtime's optimisations drop them."""
    graph, engine = tmp_path / "q.onnx", tmp_path / "f.onnx"
    graph.write_bytes(fp8_graph())
    assert export(ExportConfig(checkpoint=checkpoint, engine="onnxruntime", onnx=graph, out=engine)).passed
    assert read_engine_file(engine)[0].precision == "fp8"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    image = crops(4)
    wanted = plain.run(OUTPUTS, {INPUT: image.numpy()})
    for got, values in zip(open_engine("onnxruntime", engine)(image), wanted, strict=True):
        torch.testing.assert_close(got, torch.from_numpy(values), rtol=0, atol=1e-4)
