"""Residual networks and the 2D pose network: names, sizes, arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pgtfast._errors import PgtfastError
from pgtfast.networks import PoseResNet, ResNet, heatmap_keypoints
from tests.networks import names


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("depth", "channels", "parameters"), [
    (18, 512, 11_176_512), (34, 512, 21_284_672), (50, 2048, 23_508_032), (101, 2048, 42_500_160),
    (152, 2048, 58_143_808),
])  # fmt: skip
def test_resnet_has_torchvisions_names_and_size(depth, channels, parameters):
    network = ResNet(depth)
    assert set(network.state_dict()) == names.resnet(depth)
    assert (network.channels, count(network)) == (channels, parameters)


def test_pose_network_has_the_authors_names_and_size():
    network = PoseResNet(17)
    assert set(network.state_dict()) == names.resnet(50) | names.upsampling()
    assert count(network) == 33_999_697
    assert network.deconv_layers[3].weight.shape == (256, 256, 4, 4)
    assert network.final_layer.weight.shape == (17, 256, 1, 1)
    assert network.final_layer.weight.std().item() == pytest.approx(0.001, rel=0.1)


def written_out(weights, image, depth, last_stride):
    """The network once more, from its names."""

    def conv_bn(x, conv, bn, stride, padding):
        x = F.conv2d(x, weights[f"{conv}.weight"], stride=stride, padding=padding)
        args = (weights[f"{bn}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *args, eps=1e-5)

    x = F.max_pool2d(conv_bn(image, "conv1", "bn1", 2, 3).relu(), 3, 2, 1)
    for stage, blocks in enumerate(names.BLOCKS[depth], 1):
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            stride = 1 if block or stage == 1 else last_stride if stage == 4 else 2
            y = x
            # (padding, stride) of each convolution; in a bottleneck the middle one has the stride
            plan = [(0, 1), (1, stride), (0, 1)] if depth >= 50 else [(1, stride), (1, 1)]
            for number, (padding, step) in enumerate(plan, 1):
                y = conv_bn(y, f"{at}.conv{number}", f"{at}.bn{number}", step, padding)
                y = y.relu() if number < len(plan) else y
            if f"{at}.downsample.0.weight" in weights:
                x = conv_bn(x, f"{at}.downsample.0", f"{at}.downsample.1", stride, 0)
            x = (x + y).relu()
    return x


def shaken(network):
    """Statistics and scales as after training."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return network.eval()


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
@pytest.mark.parametrize("output_stride", [32, 16])
def test_resnet_computes_what_its_names_say(depth, output_stride):
    network = shaken(ResNet(depth, 8, output_stride)).double()
    image = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        got = network(image)
    assert got.shape == (2, network.channels, 64 // output_stride, 96 // output_stride)
    torch.testing.assert_close(got, written_out(network.state_dict(), image, depth, output_stride // 16))


def test_pose_network_upsamples_three_times():
    network = shaken(PoseResNet(5, 18, 8, 6)).double()
    image = torch.randn(1, 3, 64, 32, dtype=torch.float64)
    weights = network.state_dict()
    x = written_out(weights, image, 18, 2)
    for layer in (0, 3, 6):
        x = F.conv_transpose2d(x, weights[f"deconv_layers.{layer}.weight"], stride=2, padding=1)
        args = (weights[f"deconv_layers.{layer + 1}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        x = F.batch_norm(x, *args).relu()
    x = F.conv2d(x, weights["final_layer.weight"], weights["final_layer.bias"])
    with torch.no_grad():
        got = network(image)
    assert got.shape == (1, 5, 16, 8)
    torch.testing.assert_close(got, x)


@pytest.mark.parametrize(("values", "named"), [((20,), "depth"), ((18, 64, 8), "output_stride")])
def test_resnet_refuses_networks_that_there_are_not(values, named):
    with pytest.raises(PgtfastError, match=named):
        ResNet(*values)


def test_peaks_move_a_quarter_towards_the_higher_neighbour():
    rng = np.random.default_rng(0)
    maps = rng.standard_normal((3, 40, 7, 5)).astype(np.float32)
    got = heatmap_keypoints(torch.from_numpy(maps)).numpy()
    for b in range(3):
        for j in range(40):
            one = maps[b, j]
            y, x = np.unravel_index(one.argmax(), one.shape)
            u, v = float(x), float(y)
            if 0 < x < 4:
                u += 0.25 if one[y, x + 1] > one[y, x - 1] else -0.25
            if 0 < y < 6:
                v += 0.25 if one[y + 1, x] > one[y - 1, x] else -0.25
            np.testing.assert_array_equal(got[b, j], (np.float32(u), np.float32(v), one.max()))
    flat = heatmap_keypoints(torch.zeros(1, 1, 7, 5))
    assert flat.tolist() == [[[0, 0, 0]]]
