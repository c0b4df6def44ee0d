"""Weights from other files: taken whole or not at all, and every name accounted for."""

from __future__ import annotations

import argparse
import pickle
from collections import OrderedDict

import pytest
import torch

from pgtfast._errors import PgtfastError
from pgtfast.networks import Annotator, NetworkConfig, PoseResNet, ResNet, import_weights
from pgtfast.networks.files import PoseNetworkFile, header, save_pose_network

WIDTH = 4
CONFIG = NetworkConfig(depth=18, width=WIDTH, input_size=(64, 64), head="rotations")


def weights(module, prefix=""):
    """Every value told apart from every other."""
    state = module.state_dict()
    return OrderedDict(
        (f"{prefix}{n}", torch.randn(v.shape) if v.is_floating_point() else v + 7) for n, v in state.items()
    )


def write(path, value, **options):
    torch.save(value, path, **options)
    return path


def assert_taken(module, state, prefix=""):
    for name, value in module.state_dict().items():
        if prefix + name in state:
            torch.testing.assert_close(value, state[prefix + name])


def untouched(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("legacy", [False, True])
def test_torchvision(tmp_path, legacy):
    state = weights(ResNet(18, WIDTH))
    state |= {"fc.weight": torch.randn(1000, 32), "fc.bias": torch.randn(1000)}
    if legacy:  # before torch 1.6, and without counts of batches
        state = OrderedDict((n, v) for n, v in state.items() if not n.endswith("num_batches_tracked"))
    path = write(tmp_path / "resnet18.pth", state, _use_new_zipfile_serialization=not legacy)
    for module in (ResNet(18, WIDTH), PoseResNet(3, 18, WIDTH, 4), Annotator(CONFIG)):
        report = import_weights(module, path, source="torchvision")
        assert_taken(getattr(module, "backbone", module), state)
        assert report.unexpected == ("fc.weight", "fc.bias")
        assert report.mismatched == ()
        assert len(report.loaded) == len(state) - 2
        assert len(report.missing) == (20 if legacy else 0)
        assert "2 left in the file (fc)" in str(report)


@pytest.mark.parametrize("form", ["bare", "state_dict", "module", "both"])
def test_simple_baselines(tmp_path, form):
    state = weights(PoseResNet(17, 18, WIDTH, 4))
    prefix = "module." if form in ("module", "both") else ""
    value = OrderedDict((prefix + n, v) for n, v in state.items())
    if form in ("state_dict", "both"):
        value = {"epoch": 3, "model": "pose_resnet", "state_dict": value, "perf": 0.7, "optimizer": {"state": {}}}
    path = write(tmp_path / "pose_resnet.pth.tar", value)
    network = PoseResNet(17, 18, WIDTH, 4)
    report = import_weights(network, path, source="simplebaseline", part="all")
    assert len(report.loaded) == len(state)
    assert_taken(network, state)
    annotator = Annotator(CONFIG)
    before = untouched(annotator.position_net)
    report = import_weights(annotator, path, source="simplebaseline")
    assert_taken(annotator.backbone, state)
    assert {name.split(".")[0] for name in report.unexpected} == {"deconv_layers", "final_layer"}
    assert_taken(annotator.position_net, before)


def test_sixteen_joints_are_not_seventeen(tmp_path):
    path = write(tmp_path / "mpii.pth", weights(PoseResNet(16, 18, WIDTH, 4)))
    with pytest.raises(PgtfastError, match=r"final_layer.weight \(16, .*17, (.|\n)*16 \(MPII\) joints, the network "
                                           r"17 \(COCO\)"):  # fmt: skip
        import_weights(PoseResNet(17, 18, WIDTH, 4), path, source="simplebaseline", part="all")
    import_weights(PoseResNet(17, 18, WIDTH, 4), path, source="simplebaseline", part="backbone")


def snapshot(network, **others):
    state = weights(network, "module.")
    adam = torch.optim.Adam(network.parameters(), lr=1e-4).state_dict()
    return state, {"epoch": 6, "network": OrderedDict(state) | others, "optimizer": adam}


def test_pose2pose(tmp_path):
    state, value = snapshot(Annotator(CONFIG))
    path = write(tmp_path / "snapshot_6.pth.tar", value)
    network = Annotator(CONFIG)
    report = import_weights(network, path, source="pose2pose", part="all")
    assert len(report.loaded) == len(state)
    assert_taken(network, state, "module.")
    report = import_weights(backbone := ResNet(18, WIDTH), path, source="pose2pose")
    assert_taken(backbone, state, "module.backbone.")
    assert {name.split(".")[0] for name in report.unexpected} == {"position_net", "rotation_net"}


def test_pose2pose_start_file_made_of_simple_baselines(tmp_path):
    state = weights(PoseResNet(17, 18, WIDTH, 4), "module.backbone.")
    path = write(tmp_path / "snapshot_0.pth.tar", {"epoch": 0, "network": state})
    network = Annotator(CONFIG)
    with pytest.raises(PgtfastError, match=r"unexpected in the file, 20: deconv_layers.0.weight"):
        import_weights(network, path, source="pose2pose")
    import_weights(network, path, source="simplebaseline")
    assert_taken(network.backbone, state, "module.backbone.")


def test_rotations_are_not_latents(tmp_path):
    path = write(tmp_path / "snapshot_6.pth.tar", snapshot(Annotator(CONFIG))[1])
    latent = Annotator(NetworkConfig(depth=18, width=WIDTH, input_size=(64, 64)))
    before = untouched(latent)
    with pytest.raises(PgtfastError, match=r"gives rotations \(head 'rotations'\), the network latents \(head "
                                           r"'vposer'\)"):  # fmt: skip
        import_weights(latent, path, source="pose2pose", part="all")
    assert_taken(latent, before)


def test_3dcrowdnet(tmp_path):
    others = {"module.pose2feat.conv.0.weight": torch.zeros(2), "module.position_net.conv.0.weight": torch.zeros(2),
              "module.rotation_net.graph_block.0.W": torch.zeros(2),
              "module.vposer.vposer.bodyprior_dec_fc1.weight": torch.zeros(2)}  # fmt: skip
    state = weights(ResNet(18, WIDTH), "module.backbone.")
    path = write(
        tmp_path / "snapshot_6.pth.tar", {"epoch": 6, "network": state | others, "optimizer": {}, "scale": 1.0}
    )
    report = import_weights(network := Annotator(CONFIG), path, source="3dcrowdnet")
    assert_taken(network.backbone, state, "module.backbone.")
    assert len(report.unexpected) == 4
    with pytest.raises(PgtfastError, match="missing in the file"):
        import_weights(network, path, source="3dcrowdnet", part="all")


@pytest.mark.parametrize("kind", ["network", "checkpoint"])
def test_own_pose_network(tmp_path, kind):
    trained = PoseResNet(17, 18, WIDTH, 4)
    trained.load_state_dict(weights(trained))
    about = PoseNetworkFile(landmark_set="coco17", depth=18, width=WIDTH, deconv_channels=4)
    path = tmp_path / "pose2d.ckpt"
    if kind == "network":
        save_pose_network(path, trained, about)
    else:
        write(
            path,
            {**header(about), "step": 10, "network": trained.state_dict(), "optimizer": {"state": {}}, "best": None},
        )
    report = import_weights(network := Annotator(CONFIG), path, source="pgtfast")
    assert_taken(network.backbone, trained.state_dict())
    assert {name.split(".")[0] for name in report.unexpected} == {"deconv_layers", "final_layer"}


def test_every_name_that_does_not_fit_is_told_and_nothing_changes(tmp_path):
    state = weights(ResNet(18, WIDTH))
    del state["layer3.1.bn2.weight"], state["layer4.0.downsample.1.bias"]
    state |= {
        "layer5.0.conv1.weight": torch.zeros(3),
        "neck.weight": torch.zeros(1),
        "conv1.weight": torch.zeros(8, 3, 7, 7),
    }
    path = write(tmp_path / "odd.pth", state)
    network = ResNet(18, WIDTH)
    before = untouched(network)
    with pytest.raises(PgtfastError) as error:
        import_weights(network, path)
    for told in ("odd.pth", "nothing was loaded", "missing in the file, 2: layer3.1.bn2.weight, "
                                                  "layer4.0.downsample.1.bias",
                 "unexpected in the file, 2: layer5.0.conv1.weight, neck.weight", "conv1.weight (8, 3, 7, 7) in the "
                                                                                  "file, (4, 3, 7, 7) in the network",
                 "8 channels wide, the network's 4: set `width`"):  # fmt: skip
        assert told in str(error.value)
    assert_taken(network, before)


@pytest.mark.parametrize(("has", "wants"), [(18, 34), (34, 18), (50, 34), (34, 50), (101, 50), (50, 152)])
def test_another_depth_is_named(tmp_path, has, wants):
    path = write(tmp_path / "resnet.pth", weights(ResNet(has, WIDTH)))
    with pytest.raises(PgtfastError, match=f"of a ResNet-{has}, the network has a ResNet-{wants}"):
        import_weights(ResNet(wants, WIDTH), path)


def test_a_network_of_another_kind_is_told_by_its_names(tmp_path):
    path = write(tmp_path / "vit.pth", {"blocks.0.attn.qkv.weight": torch.zeros(3), "pos_embed": torch.zeros(1)})
    with pytest.raises(PgtfastError, match=r"No name agrees\. The file's names start with blocks, pos_embed"):
        import_weights(ResNet(18, WIDTH), path)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    state = weights(ResNet(18, WIDTH))
    state["bn1.running_var"][1] = float("nan")
    with pytest.raises(PgtfastError, match=r"not finite: bn1.running_var"):
        import_weights(ResNet(18, WIDTH), write(tmp_path / "nan.pth", state))


def test_halves_are_widened(tmp_path):
    state = OrderedDict((n, v.half() if v.is_floating_point() else v) for n, v in weights(ResNet(18, WIDTH)).items())
    import_weights(network := ResNet(18, WIDTH), write(tmp_path / "half.pth", state))
    assert network.conv1.weight.dtype == torch.float32
    torch.testing.assert_close(network.conv1.weight, state["conv1.weight"].float())


def test_objects_of_known_libraries_beside_the_weights_are_left_aside(tmp_path):
    state = weights(ResNet(18, WIDTH))
    path = write(tmp_path / "run.ckpt", {"state_dict": state, "args": argparse.Namespace(lr=1e-3)})
    import_weights(network := ResNet(18, WIDTH), path)
    assert_taken(network, state)


class Evil:
    def __reduce__(self):
        return (print, ("run!",))


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_nothing_in_a_file_is_run(tmp_path, capsys, form):
    path = tmp_path / "evil.pth"
    value = {"state_dict": weights(ResNet(18, WIDTH)), "config": Evil()}
    if form == "pickle":
        path.write_bytes(pickle.dumps(value))
    else:
        write(path, value, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(PgtfastError, match=r"evil.pth"):
        import_weights(ResNet(18, WIDTH), path)
    assert "run!" not in capsys.readouterr().out


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.999])
def test_cut_files_are_named(tmp_path, legacy, kept):
    path = write(tmp_path / "cut.pth", weights(ResNet(18, WIDTH)), _use_new_zipfile_serialization=not legacy)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    network = ResNet(18, WIDTH)
    before = untouched(network)
    with pytest.raises(PgtfastError, match=r"cut.pth"):
        import_weights(network, path)
    assert_taken(network, before)


@pytest.mark.parametrize("value", [{}, {"epoch": 3}, [1, 2], torch.zeros(3), {"state_dict": {}}, {"network": {"a": 1}}])
def test_files_without_weights_are_named(tmp_path, value):
    with pytest.raises(PgtfastError, match=r"empty.pth: no weights in it"):
        import_weights(ResNet(18, WIDTH), write(tmp_path / "empty.pth", value))


def test_what_is_not_there(tmp_path):
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(PgtfastError, match="no such file"):
            import_weights(ResNet(18, WIDTH), path)
    (tmp_path / "page.pth").write_text("<html>Not found</html>")
    with pytest.raises(PgtfastError, match=r"page.pth: not a readable file of weights"):
        import_weights(ResNet(18, WIDTH), tmp_path / "page.pth")
    with pytest.raises(PgtfastError, match="source"):
        import_weights(ResNet(18, WIDTH), tmp_path / "page.pth", source="timm")
    with pytest.raises(PgtfastError, match="no ResNet"):
        import_weights(torch.nn.Linear(2, 2), write(tmp_path / "ok.pth", weights(ResNet(18, WIDTH))))
