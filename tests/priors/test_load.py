from __future__ import annotations

import argparse

import numpy as np
import pytest
import torch

from pgtfast._errors import PgtfastError
from pgtfast.priors import VPoser, load_vposer

from .vposer_files import V1_SNAPSHOT, V2_SNAPSHOT, Trap, published, write_v1, write_v2

WRITE = {"v1": write_v1, "v2": write_v2}


@pytest.fixture(scope="module", params=["v1", "v2"])
def version(request):
    return request.param


@pytest.fixture
def official(version, tmp_path):
    """The published network and the folder that holds it."""
    model = published(version)
    return model, WRITE[version](tmp_path / "download", model)


def test_reads_the_published_layout(official, version):
    model, folder = official
    prior = load_vposer(folder)
    assert prior.version == version
    assert not prior.training
    z, pose = torch.randn(5, 32), torch.randn(5, 21, 3)
    with torch.no_grad():
        mean, spread = model.encode(pose)
        torch.testing.assert_close(prior.decode(z), model.decode(z), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(prior.encode(pose).mean, mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(prior.encode(pose).stddev, spread, rtol=1e-4, atol=1e-5)
    assert not (folder / "EXECUTED").exists()


def test_parameter_count_is_the_published_one(official, version):
    prior = load_vposer(official[1])
    assert sum(p.numel() for p in prior.parameters()) == {"v1": 673_596, "v2": 936_252}[version]


def test_reads_the_bare_snapshot(official, version):
    _model, folder = official
    prior = load_vposer(folder / "snapshots" / (V1_SNAPSHOT if version == "v1" else V2_SNAPSHOT))
    assert prior.version == version
    assert len(prior.source.sha256) == 64


def test_reads_files_of_old_torch(tmp_path):
    model = published("v1")
    prior = load_vposer(write_v1(tmp_path / "old", model, legacy=True))
    z = torch.randn(3, 32)
    torch.testing.assert_close(prior.decode(z), model.decode(z).detach(), rtol=1e-4, atol=1e-5)


def test_takes_the_newest_epoch_by_name_and_says_so(tmp_path):
    old, new = published("v1"), published("v1")
    torch.nn.init.zeros_(old.bodyprior_dec_out.bias)
    folder = write_v1(tmp_path / "v", new, "TR00_E096.pt")
    write_v1(folder, old, "TR00_E009.pt")
    prior = load_vposer(folder)
    assert "TR00_E096.pt" in prior.source.file
    assert "TR00_E096.pt" in " ".join(prior.notes)


def test_body_buffers_are_ignored_by_name(tmp_path):
    prior = load_vposer(write_v2(tmp_path / "v", published("v2")))
    notes = " ".join(prior.notes)
    assert "bm_train.v_template" in notes
    assert "bm_train.f" in notes
    assert "argparse.Namespace" in notes


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape", "nan"])
def test_every_wrong_key_is_named(change, version, tmp_path):
    model = published(version)
    key = "bodyprior_dec_out.bias" if version == "v1" else "decoder_net.5.bias"
    state = model.state_dict()
    if change == "missing":
        del state[key]
    elif change == "unexpected":
        state["extra.weight"], key = torch.zeros(2), "extra.weight"
    elif change == "shape":
        state[key] = torch.zeros(3)
    else:
        state[key][2] = float("nan")
    path = tmp_path / "broken.pt"
    torch.save(state, path)
    with pytest.raises(PgtfastError, match=key.replace(".", r"\.")) as caught:
        load_vposer(path)
    assert "broken.pt" in str(caught.value)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_that_wants_code_is_refused(legacy, tmp_path):
    witness = tmp_path / "witness"
    path = tmp_path / "evil.pt"
    torch.save({**published("v1").state_dict(), "x": Trap(witness)}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(PgtfastError, match="system"):
        load_vposer(path)
    assert not witness.exists()


def test_a_checkpoint_that_wants_code_is_refused(tmp_path):
    witness = tmp_path / "witness"
    folder = write_v2(tmp_path / "v", published("v2"), parameters={"a": argparse.Namespace(b=1), "c": Trap(witness)})
    with pytest.raises(PgtfastError, match=r"posix\.system|nt\.system"):
        load_vposer(folder)
    assert not witness.exists()


@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".npz"])
def test_damaged_files_say_so(suffix, tmp_path, version):
    model = published(version)
    good = tmp_path / "good.pt"
    torch.save(model.state_dict(), good)
    if suffix == ".npz":
        good = load_vposer(good).save(tmp_path / "good.npz")
    data = good.read_bytes()
    for cut in (0, 3, len(data) // 2, len(data) - 1):
        path = tmp_path / f"cut{suffix}"
        path.write_bytes(data[:cut])
        with pytest.raises(PgtfastError, match=r"cut\."):
            load_vposer(path)


def test_what_is_no_prior_is_named(tmp_path):
    with pytest.raises(PgtfastError, match="no such file"):
        load_vposer(tmp_path / "nothing.pt")
    with pytest.raises(PgtfastError, match=r"no \*\.pt"):
        load_vposer(tmp_path)
    (tmp_path / "model.txt").write_text("x")
    with pytest.raises(PgtfastError, match=r"wanted a \.pt"):
        load_vposer(tmp_path / "model.txt")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(PgtfastError, match="neither VPoser v1"):
        load_vposer(tmp_path / "other.pt")
    torch.save([1], tmp_path / "list.pt")
    with pytest.raises(PgtfastError, match="state dict"):
        load_vposer(tmp_path / "list.pt")
    np.savez(tmp_path / "other.npz", a=np.zeros(1))
    with pytest.raises(PgtfastError, match="not a pose prior"):
        load_vposer(tmp_path / "other.npz")


def test_saved_and_read_again(official, tmp_path):
    prior = load_vposer(official[1])
    again = load_vposer(prior.save(tmp_path / "own.npz"))
    assert again.version == prior.version
    for name, value in prior.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert prior.source.file in " ".join(again.notes)
    assert (tmp_path / "own.npz").read_bytes() == prior.save(tmp_path / "twice.npz").read_bytes()
    with pytest.raises(ValueError, match=r"\.npz"):
        prior.save(tmp_path / "own.pt")


def test_against_the_published_package(tmp_path):
    """The class of human_body_prior 0.8.5.0, with random weights and batch statistics, in a folder of the published
    layout."""
    vposer = pytest.importorskip(
        "human_body_prior.train.vposer_smpl",
        reason="pip install 'pgtfast[oracles]' && pip install --no-deps human_body_prior==0.8.5.0",
    )
    model = vposer.VPoser(num_neurons=512, latentD=32, data_shape=[1, 21, 3]).eval()
    model.load_state_dict(published("v1").state_dict())
    prior = load_vposer(write_v1(tmp_path, model))
    assert prior.version == "v1"
    make = torch.Generator().manual_seed(0)
    latent, pose = torch.randn(16, 32, generator=make), torch.randn(16, 21, 3, generator=make)
    with torch.no_grad():
        single = prior.decode(latent), model.decode(latent, "matrot").view(16, 21, 3, 3)
        torch.testing.assert_close(prior.encode(pose).mean, model.encode(pose).mean, rtol=0, atol=1e-5)
        torch.testing.assert_close(prior.encode(pose).stddev, model.encode(pose).scale, rtol=0, atol=1e-5)
        exact = prior.double().decode(latent.double())
        torch.testing.assert_close(
            exact, model.double().decode(latent.double(), "matrot").view_as(exact), rtol=0, atol=1e-12
        )
    ours, theirs = ((rotations - exact).abs().max() for rotations in single)
    assert ours <= max(2 * theirs, 1e-5)  # some pairs of columns are nearly parallel, which float32 tells apart poorly


def test_free_prior_ships():
    prior = load_vposer("free")
    assert isinstance(prior, VPoser)
    assert prior.version == "free-1"
    with torch.no_grad():
        pose = prior.decode(torch.randn(64, 32))
    identity = torch.eye(3).expand_as(pose)
    torch.testing.assert_close(pose @ pose.mT, identity, rtol=0, atol=1e-5)
