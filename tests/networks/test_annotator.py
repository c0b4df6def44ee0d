"""The annotator against Pose2Pose's formulas, written down a second time."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

import pgtfast
from pgtfast._errors import PgtfastError
from pgtfast.cameras import flip_body
from pgtfast.networks import Annotator, NetworkConfig, Prediction, full_image_camera, place
from tests.networks import names
from tests.networks.test_resnet import count, shaken

SMALL = NetworkConfig(depth=18, width=8, input_size=(96, 128))


@pytest.fixture(scope="module")
def prior():
    return pgtfast.load_vposer("free")


@pytest.mark.parametrize(("head", "pose"), [("rotations", 1_622_376), ("vposer", 412_032)])
def test_sizes_and_names_are_pose2poses(head, pose):
    network = Annotator(NetworkConfig(head=head))
    assert set(network.state_dict()) == {f"backbone.{n}" for n in names.resnet(50)} | names.heads()
    assert count(network.position_net) == 409_800
    parts = {name: count(part) for name, part in network.rotation_net.named_children()}
    assert parts == {
        "conv": 1_050_112,
        "root_pose_out": 77_256,
        "pose_out": pose,
        "shape_out": 20_490,
        "cam_out": 6_147,
    }
    assert network.config.heatmap_size == (6, 8, 8)


def grown(network):
    """Weights large enough for each part to show."""
    shaken(network)
    for module in (network.position_net, network.rotation_net):
        for layer in module.modules():
            if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)):
                torch.nn.init.normal_(layer.weight, std=0.2)
                torch.nn.init.normal_(layer.bias)
    return network


def sampled(features, x, y):
    """Bilinear, 0 outside; x and y count cells from the centre of the first."""
    channels, height, width = features.shape
    total = np.zeros(channels)
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < height and 0 <= column < width:
                total += features[:, row, column] * (1 - abs(x - column)) * (1 - abs(y - row))
    return total


@pytest.mark.parametrize("mode", ["faithful", "improved"])
@pytest.mark.parametrize("head", ["vposer", "rotations"])
@pytest.mark.parametrize("output_stride", [32, 16])
def test_heads_compute_the_published_formulas(mode, head, output_stride):
    config = dataclasses.replace(SMALL, mode=mode, head=head, output_stride=output_stride)
    network = grown(Annotator(config))
    image = torch.randn(2, 3, 128, 96)
    with torch.no_grad():
        got = network(image)
        maps = network.backbone(image).double().numpy()
    w = {name: value.double().numpy() for name, value in network.state_dict().items()}

    def linear(name, x):
        return w[f"rotation_net.{name}.0.weight"] @ x + w[f"rotation_net.{name}.0.bias"]

    shift = 0.5 if mode == "improved" else 0.0
    for b, features in enumerate(maps):
        channels, height, width = features.shape
        heat = np.tensordot(w["position_net.conv.0.weight"][:, :, 0, 0], features, 1)
        heat = (heat + w["position_net.conv.0.bias"][:, None, None]).reshape(25, 8, height, width)
        share = np.exp(heat - heat.max((1, 2, 3), keepdims=True))
        share /= share.sum((1, 2, 3), keepdims=True)
        z, y, x = np.meshgrid(np.arange(8), np.arange(height), np.arange(width), indexing="ij")
        position = np.stack([(share * (axis + shift)).sum((1, 2, 3)) for axis in (x, y, z)], -1)
        np.testing.assert_allclose(got.position[b], position, atol=2e-4)

        inner = np.tensordot(w["rotation_net.conv.0.weight"][:, :, 0, 0], features, 1)
        inner += w["rotation_net.conv.0.bias"][:, None, None]
        mean, var, scale, bias = (
            w[f"rotation_net.conv.1.{n}"][:, None, None] for n in ("running_mean", "running_var", "weight", "bias")
        )
        inner = np.maximum((inner - mean) / np.sqrt(var + 1e-5) * scale + bias, 0)
        joined = np.concatenate([
            np.concatenate((sampled(inner, p[0] - shift, p[1] - shift), p)) for p in position
        ])  # fmt: skip
        assert joined.shape == (25 * 515,)
        average = features.reshape(channels, -1).mean(1)
        wanted = (
            linear("root_pose_out", joined),
            linear("pose_out", joined),
            linear("shape_out", average),
            linear("cam_out", average),
        )
        for found, value in zip(got[1:], wanted, strict=True):
            np.testing.assert_allclose(found[b], value, atol=2e-3, rtol=1e-4)


def peaked(network, cell):
    """A network whose heat maps all peak at one cell (x, y, depth)."""
    x, y, z = cell
    width, height, bins = network.config.heatmap_size
    conv = network.position_net.conv[0]
    with torch.no_grad():
        conv.weight.zero_()
        conv.bias.zero_()
        conv.weight[:, 0] = 1
        conv.bias.view(-1, bins)[:, z] = 100
    features = torch.zeros(1, conv.in_channels, height, width)
    features[0, 0, y, x] = 100
    return network.position_net(features)


@pytest.mark.parametrize(
    ("mode", "first", "last"), [("faithful", (0, 0, 0), (2, 3, 7)), ("improved", (0.5,) * 3, (2.5, 3.5, 7.5))]
)
def test_reach_of_the_soft_argmax(mode, first, last):
    network = Annotator(dataclasses.replace(SMALL, mode=mode))
    torch.testing.assert_close(peaked(network, (0, 0, 0)), torch.tensor(first).float().expand(1, 25, 3))
    torch.testing.assert_close(peaked(network, (2, 3, 7)), torch.tensor(last).float().expand(1, 25, 3))


def gram_schmidt(six):
    a, b = six[0::2], six[1::2]
    a = a / np.linalg.norm(a)
    b = b - (a @ b) * a
    b = b / np.linalg.norm(b)
    return np.stack((a, b, np.cross(a, b)), 1)


@pytest.mark.parametrize("size", [(192, 256), (96, 128)])
@pytest.mark.parametrize("mode", ["faithful", "improved"])
def test_bodies_stand_in_the_crops_camera(size, mode, prior):
    config = NetworkConfig(input_size=size, mode=mode)
    found = Prediction(*(torch.randn(3, *shape) for shape in ((25, 3), (6,), (32,), (10,), (3,))))
    bodies = place(found, config, prior)
    k = math.sqrt((5000 * size[0] / 192) ** 2 * 2.5**2 / (size[0] * size[1]))
    assert k == pytest.approx(56.38, abs=0.005)
    camera = found.camera.double().numpy()
    depth = k / (1 + np.exp(-camera[:, 2]))
    np.testing.assert_allclose(bodies.transl, np.column_stack((camera[:, :2], depth)), rtol=1e-6)
    np.testing.assert_allclose(bodies.rotations[:, 0], [gram_schmidt(six) for six in found.root_6d.numpy()], atol=1e-6)
    torch.testing.assert_close(bodies.rotations[:, 1:22], prior.decode(found.pose))
    torch.testing.assert_close(bodies.rotations[:, 22:], torch.eye(3).expand(3, 2, 3, 3))
    assert bodies.latent is found.pose
    assert bodies.focal.tolist() == pytest.approx([5000 * size[0] / 192] * 2)
    less = 0.5 if mode == "improved" else 0
    assert bodies.center.tolist() == [size[0] / 2 - less, size[1] / 2 - less]


def test_bodies_of_rotations():
    found = Prediction(*(torch.randn(2, *shape) for shape in ((25, 3), (6,), (126,), (10,), (3,))))
    bodies = place(found, NetworkConfig(head="rotations"), None)
    assert bodies.latent is None
    wanted = [[gram_schmidt(six) for six in one.reshape(21, 6)] for one in found.pose.numpy()]
    np.testing.assert_allclose(bodies.rotations[:, 1:22], wanted, atol=1e-5)


def test_latents_without_their_prior_are_refused():
    found = Prediction(*(torch.zeros(1, *shape) for shape in ((25, 3), (6,), (32,), (10,), (3,))))
    with pytest.raises(PgtfastError, match="prior"):
        place(found, NetworkConfig(), None)


@pytest.mark.parametrize("head", ["vposer", "rotations"])
def test_zeros_give_finite_bodies_and_gradients(head, prior):
    found = Prediction(
        *(
            torch.zeros(1, *s, requires_grad=True)
            for s in ((25, 3), (6,), (32 if head == "vposer" else 126,), (10,), (3,))
        )
    )
    bodies = place(found, NetworkConfig(head=head), prior)
    assert bodies.rotations.isfinite().all()
    (bodies.rotations * torch.randn_like(bodies.rotations)).sum().backward()
    assert found.root_6d.grad.isfinite().all()
    assert found.pose.grad.isfinite().all()


@pytest.mark.parametrize("head", ["vposer", "rotations"])
def test_an_improved_network_begins_with_an_upright_person(head, prior):
    config = dataclasses.replace(SMALL, mode="improved", head=head)
    with torch.no_grad():
        bodies = place(Annotator(config)(torch.randn(4, 3, 128, 96)), config, prior)
    turn = bodies.rotations[:, 0] @ torch.diag(torch.tensor([1.0, -1, -1])).T
    angle = ((turn.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1).acos()
    assert angle.max() < 0.5
    # a person of 1.7 m covers between half the crop's height and all of it
    covered = 1.7 * bodies.focal[1] / bodies.transl[:, 2] / config.input_size[1]
    assert (covered > 0.5).all()
    assert (covered < 1).all()
    assert bodies.betas.abs().max() < 0.5


@pytest.mark.parametrize("head", ["vposer", "rotations"])
@pytest.mark.parametrize("mode", ["faithful", "improved"])
def test_gradients_reach_every_weight_and_none_passes_the_sampling_places(head, mode, prior):
    config = dataclasses.replace(SMALL, head=head, mode=mode)
    network = Annotator(config)
    found = network(torch.randn(3, 3, 128, 96))
    bodies = place(found, config, prior)
    (bodies.rotations.square() * torch.randn_like(bodies.rotations) + 0).sum().backward(retain_graph=True)
    assert all(p.grad is None for p in network.position_net.parameters())
    loss = found.position.square().sum() + bodies.transl.square().sum() + bodies.betas.square().sum()
    (loss + (bodies.rotations * torch.randn_like(bodies.rotations)).sum()).backward()
    for name, value in network.named_parameters():
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name
        assert value.grad.abs().sum() > 0, name


def test_heads_keep_float32_under_autocast():
    network = grown(Annotator(SMALL))
    image = torch.randn(2, 3, 128, 96)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        features = network.backbone(image)
        got = network(image)
    assert features.dtype == torch.bfloat16
    assert all(value.dtype == torch.float32 for value in got)
    with torch.no_grad():
        position = network.position_net(features.float())
        torch.testing.assert_close(got.position, position)
        torch.testing.assert_close(got[1:], network.rotation_net(features.float(), position), check_stride=False)


@pytest.mark.parametrize("mode", ["faithful", "improved"])
def test_network_is_one_graph(mode):
    network = Annotator(dataclasses.replace(SMALL, mode=mode)).eval()
    image = torch.randn(1, 3, 128, 96)
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        for got, wanted in zip(compiled(image), network(image), strict=True):
            torch.testing.assert_close(got, wanted)


def test_camera_of_the_crop_in_the_whole_image(prior):
    config = NetworkConfig()
    box = torch.tensor([[100.0, 50.0, 300.0, 400.0]])
    camera = full_image_camera(box, torch.tensor([[640.0, 480.0]]), config)
    assert camera.focal.tolist() == [[5000 / 192 * 300, 5000 / 256 * 400]]
    assert camera.center.tolist() == [[96 / 192 * 300 + 100, 128 / 256 * 400 + 50]]
    assert camera.size.tolist() == [[640, 480]]
    point = torch.tensor([[[0.3, -0.4, 40.0]]])
    bodies = place(Annotator(config)(torch.zeros(1, 3, 256, 192)), config, prior)
    in_crop = bodies.focal * point[..., :2] / point[..., 2:] + bodies.center
    torch.testing.assert_close(camera.project(point), in_crop * 300 / 192 + box[:, None, :2])


def test_a_mirrored_body_in_the_improved_camera_is_the_mirrored_picture(prior):
    config = NetworkConfig(mode="improved")
    found = Prediction(*(torch.randn(1, *shape) for shape in ((25, 3), (6,), (32,), (10,), (3,))))
    bodies = place(found, config, prior)
    order = pgtfast.skeletons.get("smpl24").flip_permutation
    _, there = flip_body(bodies.rotations, bodies.transl, order)

    def pixel(transl):
        return bodies.focal * transl[:, :2] / transl[:, 2:] + bodies.center

    here, mirrored = pixel(bodies.transl), pixel(there)
    torch.testing.assert_close(mirrored[:, 0], 192 - 1 - here[:, 0])
    torch.testing.assert_close(mirrored[:, 1], here[:, 1])


@pytest.mark.parametrize(
    "changes",
    [
        {"depth": 20},
        {"output_stride": 8},
        {"input_size": (100, 128)},
        {"head": "smpl"},
        {"mode": "best"},
        {"normalize": "none"},
        {"width": 0},
        {"depth_bins": 0},
    ],
)
def test_configs_of_no_network_are_refused(changes):
    with pytest.raises(PgtfastError, match=next(iter(changes))):
        NetworkConfig(**changes)
