"""The graph: opset, batch, precisions, and sampling that stays bilinear."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, load_model_from_string, numpy_helper, shape_inference
from onnxruntime import InferenceSession

from pgtfast._errors import PgtfastError
from pgtfast.export._onnx import _lower_opset, check_graph, write_onnx
from pgtfast.networks import NetworkConfig
from tests.engines.networks import CONFIG, crops, lively


def run(content: bytes, image: torch.Tensor) -> list[np.ndarray]:
    return InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"image": image.numpy()})


def changed(content: bytes, change) -> bytes:
    model = load_model_from_string(content)
    change(model)
    return model.SerializeToString()


def node_of(model, kind: str):
    return next(n for n in model.graph.node if n.op_type == kind)


def test_batch_is_free_and_sampling_bilinear(graphs):
    for precision, opset in (("fp32", 18), ("fp16", 17)):
        assert check_graph(graphs[precision], CONFIG, "g") == (opset, precision)
        model = load_model_from_string(graphs[precision])
        (grid,) = [n for n in model.graph.node if n.op_type == "GridSample"]
        attributes = {a.name: helper.get_attribute_value(a) for a in grid.attribute}
        assert attributes == {"mode": b"bilinear", "padding_mode": b"border", "align_corners": 0}
        for value in (*model.graph.input, *model.graph.output):
            assert value.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_precisions_stand_in_the_graph(graphs):
    model = shape_inference.infer_shapes(load_model_from_string(graphs["fp16"]))
    types = {v.name: v.type.tensor_type.elem_type for v in (*model.graph.value_info, *model.graph.output)}
    weights = {w.name: w.data_type for w in model.graph.initializer}
    casts = [(i, n.attribute[0].i) for i, n in enumerate(model.graph.node) if n.op_type == "Cast"]
    assert [to for _, to in casts if to in (TensorProto.FLOAT, TensorProto.FLOAT16)] == [
        TensorProto.FLOAT16,
        TensorProto.FLOAT,
    ]
    back = casts[1][0]
    for at, node in enumerate(model.graph.node):
        if node.op_type == "Conv":
            wanted = TensorProto.FLOAT16 if at < back else TensorProto.FLOAT
            assert {weights[name] for name in node.input[1:]} == {wanted}
            assert types[node.output[0]] == wanted
    assert types[node_of(model, "GridSample").output[0]] == TensorProto.FLOAT
    assert sum(t == TensorProto.FLOAT16 for t in weights.values()) >= 40


def test_the_graph_names_no_file_and_no_class(graphs):
    for content in graphs.values():
        for word in (b".py", b"pgtfast.networks", b"/site-packages", sys.prefix.encode()):
            assert word not in content


def test_opset_16_says_the_same(graphs):
    model = load_model_from_string(graphs["fp32"])
    _lower_opset(model, 16)
    content = model.SerializeToString()
    assert check_graph(content, CONFIG, "g") == (16, "fp32")
    for a, b in zip(run(content, crops(2)), run(graphs["fp32"], crops(2)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_what_changed_between_opsets_is_not_lowered_blindly(graphs):
    model = load_model_from_string(graphs["fp32"])
    node_of(model, "Concat").op_type = "Split"  # whose outputs opset 18 counts anew
    with pytest.raises(PgtfastError, match="--opset 17: Split changed between 17 and 18; say --opset 18"):
        _lower_opset(model, 17)


def test_faithful_networks_with_rotations():
    """The other head, the other sampling (corners aligned, zeros outside), the newest opset."""
    config = NetworkConfig(depth=18, width=8, input_size=(64, 96), output_stride=16, head="rotations")
    network = lively(config)
    content = write_onnx(network, "fp32", 19)
    assert check_graph(content, config, "g") == (19, "fp32")
    grid = node_of(load_model_from_string(content), "GridSample")
    assert {a.name: helper.get_attribute_value(a) for a in grid.attribute}["align_corners"] == 1
    with torch.no_grad():
        wanted = network(crops(3, config))
    for a, b in zip(run(content, crops(3, config)), wanted, strict=True):
        np.testing.assert_allclose(a, b.numpy(), atol=2e-5)


@pytest.mark.parametrize("opset", [15, 20, 21])
def test_other_opsets_are_refused(opset, graphs):
    with pytest.raises(PgtfastError, match=f"--opset: wanted 16 to 19, got {opset}: .* nearest"):
        write_onnx(lively(), "fp32", opset)

    def say(model):
        model.opset_import[0].version = opset
        if opset >= 20:
            next(a for a in node_of(model, "GridSample").attribute if a.name == "mode").s = b"linear"

    with pytest.raises(PgtfastError, match=rf"g: (opset {opset}, wanted 16 to 19|no valid ONNX)"):
        check_graph(changed(graphs["fp32"], say), CONFIG, "g")


def mode(name: bytes):
    def say(model):
        next(a for a in node_of(model, "GridSample").attribute if a.name == "mode").s = name

    return say


def fixed(model):
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4


def renamed(model):
    model.graph.input[0].name = "picture"
    node_of(model, "Conv").input[0] = "picture"


def half_head(model):
    """The last head in float16, as careless tools leave it."""
    node = [n for n in model.graph.node if n.op_type == "Conv"][-1]
    names = set(node.input[1:])
    for at, weight in enumerate(model.graph.initializer):
        if weight.name in names:
            halved = numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name)
            model.graph.initializer[at].CopyFrom(halved)


BAD = {
    "nearest": ("fp32", mode(b"nearest"), r"wanted one GridSample node of mode bilinear, got \['nearest'\]"),
    "fixed batch": ("fp32", fixed, "input image: wanted a batch of any size"),
    "input": ("fp32", renamed, "input: wanted"),
    "half head": ("fp16", half_head, "wanted the backbone alone in float16"),
}


@pytest.mark.parametrize("case", BAD)
def test_graphs_that_are_no_such_network_are_refused(case, graphs):
    precision, change, message = BAD[case]
    with pytest.raises(PgtfastError, match=message):
        check_graph(changed(graphs[precision], change), CONFIG, "g")


def test_other_networks_and_no_models_are_refused(graphs):
    with pytest.raises(PgtfastError, match="input: wanted"):
        check_graph(graphs["fp32"], NetworkConfig(depth=18, width=8), "g")
    with pytest.raises(PgtfastError, match="g: no valid ONNX model"):
        check_graph(b"something else", CONFIG, "g")


def test_nearest_sampling_would_be_seen_in_the_numbers(graphs):
    """The check on numbers is no formality: the same graph with nearest sampling is far off."""
    wanted = run(graphs["fp32"], crops(4))
    found = run(changed(graphs["fp32"], mode(b"nearest")), crops(4))
    assert max(np.abs(a - b).max() for a, b in zip(found, wanted, strict=True)) > 1e-2
