"""Backbones by config: published names and sizes, arithmetic, and weights of published layouts."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from pgtfast._errors import PgtfastError
from pgtfast.networks import ResNet, ResNetConfig, ViT, ViTConfig, import_weights
from tests.networks import names
from tests.networks.test_importers import assert_taken, untouched, write

C, DEPTH, HEADS = 24, 2, 3


def small(size=(64, 96), variant="plain", **changes):
    return ViT(size, **{"channels": C, "depth": DEPTH, "heads": HEADS, "patch": 16, "variant": variant, **changes})


def shapes(channels, tokens):
    """Shape of a weight by the last parts of its name, as published."""
    return {
        "pos_embed": (1, tokens, channels), "cls_token": (1, 1, channels),
        "proj.weight": (channels, channels), "patch_embed.proj.weight": (channels, 3, 16, 16),
        "qkv.weight": (3 * channels, channels), "qkv.bias": (3 * channels,),
        "fc1.weight": (4 * channels, channels), "fc1.bias": (4 * channels,), "fc2.weight": (channels, 4 * channels),
        "head.weight": (1000, channels), "head.bias": (1000,), "num_batches_tracked": (),
        "final_layer.weight": (17, 256, 1, 1), "final_layer.bias": (17,),
    }  # fmt: skip


def published(all_names, channels=C, tokens=197):
    """Random weights under these names."""
    known = shapes(channels, tokens)
    return {
        name: torch.randn(
            next((known[end] for end in sorted(known, key=len, reverse=True) if name.endswith(end)), (channels,))
        )
        for name in sorted(all_names)
    }


def mae():
    return published(names.vit(DEPTH) | {"cls_token", "head.weight", "head.bias"})


def vitpose(tokens=193):
    return published(names.vitpose(DEPTH), tokens=tokens)


def attend(weights, at, x, heads):
    qkv = x @ weights[f"{at}.qkv.weight"].T + weights[f"{at}.qkv.bias"]
    read = []
    for head in range(heads):
        part = x.shape[-1] // heads
        q, k, v = (qkv[..., i * x.shape[-1] + head * part :][..., :part] for i in range(3))
        read.append((q @ k.transpose(1, 2) / math.sqrt(part)).softmax(-1) @ v)
    return torch.cat(read, -1) @ weights[f"{at}.proj.weight"].T + weights[f"{at}.proj.bias"]


def written_out(weights, image, padding=0, heads=HEADS):
    """The network once more, from its names."""

    def normed(x, at):
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()
        return x * weights[f"{at}.weight"] + weights[f"{at}.bias"]

    x = functional.conv2d(
        image, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"], stride=16, padding=padding
    )
    grid = x.shape[-2:]
    x = x.flatten(2).transpose(1, 2) + weights["pos_embed"]
    for block in range(DEPTH):
        at = f"blocks.{block}"
        x = x + attend(weights, f"{at}.attn", normed(x, f"{at}.norm1"), heads)
        y = normed(x, f"{at}.norm2") @ weights[f"{at}.mlp.fc1.weight"].T + weights[f"{at}.mlp.fc1.bias"]
        y = y * (1 + torch.erf(y / math.sqrt(2))) / 2
        x = x + y @ weights[f"{at}.mlp.fc2.weight"].T + weights[f"{at}.mlp.fc2.bias"]
    return normed(x, "norm").transpose(1, 2).unflatten(2, grid)


@pytest.mark.parametrize(("size", "channels", "depth", "parameters"), [
    ("small", 384, 12, 21_665_664), ("base", 768, 12, 85_798_656), ("large", 1024, 24, 303_301_632),
])  # fmt: skip
def test_vit_has_the_published_names_and_size(size, channels, depth, parameters):
    with torch.device("meta"):
        network = ViTConfig(size=size).build((224, 224))
    assert set(network.state_dict()) == names.vit(depth)
    # the published numbers count a class token and its position
    assert sum(p.numel() for p in network.parameters()) + 2 * channels == parameters
    assert (network.channels, network.grid) == (channels, (14, 14))
    assert {block.attn.heads for block in network.blocks} == {channels // 64}


@pytest.mark.parametrize(("size", "heads"), [("small", 12), ("base", 12), ("large", 16)])
def test_vitpose_has_the_authors_heads(size, heads):
    with torch.device("meta"):
        network = ViTConfig(size=size, variant="vitpose").build((192, 256))
    assert {block.attn.heads for block in network.blocks} == {heads}
    assert network.grid == (16, 12)


@pytest.mark.parametrize("variant", ["plain", "vitpose"])
def test_vit_computes_what_its_names_say(variant):
    network = small(variant=variant).double()
    for p in network.parameters():
        torch.nn.init.normal_(p, std=0.3)
    image = torch.randn(2, 3, 96, 64, dtype=torch.float64)
    with torch.no_grad():
        got = network(image)
    assert got.shape == (2, C, 6, 4)
    torch.testing.assert_close(got, written_out(network.state_dict(), image, 2 if variant == "vitpose" else 0))


def test_vit_refuses_images_of_another_size():
    with pytest.raises(PgtfastError, match="image: wanted 64 x 96 pixels, the network's input size, got 96 x 64"):
        small()(torch.zeros(1, 3, 64, 96))


@pytest.mark.parametrize("output_stride", [16, 32])
def test_resnet_of_a_config_is_the_network_itself(output_stride):
    torch.manual_seed(3)
    wanted = ResNet(18, 8, output_stride)
    torch.manual_seed(3)
    config = ResNetConfig(depth=18, width=8, output_stride=output_stride)
    got = config.build((64, 96))
    assert_taken(got, wanted.state_dict())
    assert config.stride == output_stride
    assert got(torch.zeros(1, 3, 96, 64)).shape == (1, got.channels, 96 // output_stride, 64 // output_stride)


@pytest.mark.parametrize(("make", "told"), [
    (lambda: ResNetConfig(depth=20), "depth: wanted 18, 34, 50, 101 or 152, got 20"),
    (lambda: ResNetConfig(output_stride=8), "output_stride: wanted 16 or 32, got 8"),
    (lambda: ResNetConfig(width=0), "width: wanted 1 or more, got 0"),
    (lambda: ResNetConfig().build((100, 64)), "multiples of 32, got .100, 64."),
    (lambda: ViTConfig(size="huge"), "size: wanted small, base or large, got 'huge'"),
    (lambda: ViTConfig(variant="swin"), "variant: wanted plain or vitpose, got 'swin'"),
    (lambda: ViTConfig(patch=4), "patch: wanted 8 or more, got 4"),
    (lambda: ViTConfig(size="small").build((100, 64)), "multiples of 16, got .100, 64."),
])  # fmt: skip
def test_configs_refuse_what_there_is_not(make, told):
    with pytest.raises(PgtfastError, match=told):
        make()


@pytest.mark.parametrize("container", ["model", None, "state_dict"])
def test_plain_vit(tmp_path, container):
    state = mae()
    path = write(tmp_path / "mae_pretrain_vit.pth", {container: state} if container else state)
    report = import_weights(network := small((224, 224)), path, source="vit")
    assert set(report.loaded) == names.vit(DEPTH)
    assert (report.missing, report.mismatched) == ((), ())
    assert set(report.unexpected) == {"cls_token", "head.weight", "head.bias"}
    assert "3 left in the file (cls_token, head); pos_embed: the class token's position left in" in str(report)
    assert_taken(network, {n: v for n, v in state.items() if n != "pos_embed"})
    torch.testing.assert_close(network.pos_embed.data, state["pos_embed"][:, 1:])


def test_positions_without_a_class_token(tmp_path):
    state = published(names.vit(DEPTH), tokens=196)
    report = import_weights(network := small((224, 224)), write(tmp_path / "vit.pth", state), source="vit")
    assert_taken(network, state)
    assert report.changed == ()


def test_vitpose(tmp_path):
    state = vitpose()
    path = write(tmp_path / "vitpose.pth", {"meta": {"epoch": 210}, "state_dict": state})
    report = import_weights(network := small((192, 256), "vitpose"), path, source="vitpose")
    assert set(report.loaded) == names.vit(DEPTH)
    assert (report.missing, report.mismatched) == ((), ())
    assert set(report.unexpected) == {n for n in state if n.startswith("keypoint_head.")}
    renamed = {n.replace("last_norm", "norm"): v for n, v in state.items() if not n.endswith("pos_embed")}
    assert_taken(network, renamed, "backbone.")
    position = state["backbone.pos_embed"]
    torch.testing.assert_close(network.pos_embed.data, position[:, 1:] + position[:, :1])
    assert report.changed == ("pos_embed: the class token's position added to the others",)


@pytest.mark.parametrize(("source", "variant", "make", "grid"), [
    ("vit", "plain", mae, (14, 14)), ("vitpose", "vitpose", vitpose, (16, 12)),
])  # fmt: skip
def test_positions_of_another_grid_are_interpolated_and_said(tmp_path, source, variant, make, grid):
    state = make()
    name = next(n for n in state if n.endswith("pos_embed"))
    rows = torch.arange(grid[0], dtype=torch.float32)[:, None].expand(grid) / grid[0]
    columns = torch.arange(grid[1], dtype=torch.float32)[None].expand(grid) / grid[1]
    state[name][:] = 0
    state[name][0, 1:, 0], state[name][0, 1:, 1] = rows.flatten(), columns.flatten()
    path = write(tmp_path / "file.pth", state)
    report = import_weights(network := small((96, 128), variant), path, source=source)
    assert f"interpolated from {grid[0]} x {grid[1]} to 8 x 6 positions" in str(report)
    got = network.pos_embed.data[0].unflatten(0, (8, 6))
    for channel, (there, here), axis in ((0, (grid[0], 8), 0), (1, (grid[1], 6), 1)):
        wanted = (torch.arange(here) + 0.5) / here - 0.5 / there  # a ramp stays one, at the new cells' centres
        values = got[..., channel].transpose(0, axis)
        torch.testing.assert_close(values[1:-1, 0], wanted[1:-1], atol=0.01, rtol=0)
        assert (values - values[:, :1]).abs().max() < 1e-5


def test_every_name_of_a_vit_that_does_not_fit_is_told_and_nothing_changes(tmp_path):
    state = mae()
    del state["norm.weight"], state["blocks.1.mlp.fc2.bias"]
    state |= {"blocks.0.ls1.gamma": torch.ones(C), "reg_token": torch.ones(1, 4, C), "norm.bias": torch.zeros(7)}
    path = write(tmp_path / "odd.pth", {"model": state})
    before = untouched(network := small((224, 224)))
    with pytest.raises(PgtfastError) as error:
        import_weights(network, path, source="vit")
    for told in ("odd.pth", "nothing was loaded", "missing in the file, 2: blocks.1.mlp.fc2.bias, norm.weight",
                 "unexpected in the file, 2: blocks.0.ls1.gamma, reg_token",
                 "norm.bias (7,) in the file, (24,) in the network"):  # fmt: skip
        assert told in str(error.value)
    assert_taken(network, before)


@pytest.mark.parametrize(("source", "variant", "make", "other"), [
    ("vit", "plain", mae, "vitpose"), ("vitpose", "vitpose", vitpose, "plain"),
])  # fmt: skip
def test_a_variant_that_computes_otherwise_is_refused(tmp_path, source, variant, make, other):
    before = untouched(network := small((192, 256), other))
    with pytest.raises(PgtfastError, match=f"build it with variant='{variant}'"):
        import_weights(network, write(tmp_path / "file.pth", make()), source=source)
    assert_taken(network, before)


def test_a_size_that_is_another_is_told(tmp_path):
    path = write(tmp_path / "base.pth", published(names.vit(1), 768, 196))
    with pytest.raises(PgtfastError, match=r"have 768 \(size 'base'\) channels, the network's 24"):
        import_weights(small((224, 224), depth=1), path, source="vit")


@pytest.mark.parametrize("tokens", [1, 2, 12, 100, 190])
def test_positions_of_no_grid_are_refused(tmp_path, tokens):
    path = write(tmp_path / "odd.pth", vitpose(tokens))
    network = small((192, 256), "vitpose")
    if math.isqrt(tokens - 1) ** 2 == tokens - 1 > 0:
        assert "interpolated" in str(import_weights(network, path, source="vitpose"))
        return
    with pytest.raises(PgtfastError, match=f"odd.pth: pos_embed: {tokens - 1} positions are neither"):
        import_weights(network, path, source="vitpose")


def test_a_vit_is_no_resnet(tmp_path):
    path = write(tmp_path / "mae.pth", mae())
    with pytest.raises(PgtfastError, match="ResNet has no ViT to fill"):
        import_weights(ResNet(18, 4), path, source="vit")
    with pytest.raises(PgtfastError, match="ViT has no ResNet to fill"):
        import_weights(small((224, 224)), path)
    with pytest.raises(PgtfastError, match="hold a backbone alone: take part 'backbone'"):
        import_weights(small((224, 224)), path, source="vit", part="all")
