"""Writers of files in the published layouts, and the published networks written down a second time from their key
tables.
"""

from __future__ import annotations

import argparse
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

V1_FOLDER, V1_SNAPSHOT = "vposer_v1_0", "TR00_E096.pt"
V2_FOLDER, V2_SNAPSHOT = "V02_05", "V02_05_epoch=13_val_loss=0.03.ckpt"


class PublishedV1(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bodyprior_enc_bn1 = nn.BatchNorm1d(63)
        self.bodyprior_enc_fc1 = nn.Linear(63, 512)
        self.bodyprior_enc_bn2 = nn.BatchNorm1d(512)
        self.bodyprior_enc_fc2 = nn.Linear(512, 512)
        self.bodyprior_enc_mu = nn.Linear(512, 32)
        self.bodyprior_enc_logvar = nn.Linear(512, 32)
        self.bodyprior_dec_fc1 = nn.Linear(32, 512)
        self.bodyprior_dec_fc2 = nn.Linear(512, 512)
        self.bodyprior_dec_out = nn.Linear(512, 126)

    def decode(self, z: Tensor) -> Tensor:
        x = F.leaky_relu(self.bodyprior_dec_fc1(z), 0.2)
        x = F.leaky_relu(self.bodyprior_dec_fc2(x), 0.2)
        return gram_schmidt(self.bodyprior_dec_out(x))

    def encode(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        x = F.leaky_relu(self.bodyprior_enc_fc1(self.bodyprior_enc_bn1(pose.flatten(1))), 0.2)
        x = F.leaky_relu(self.bodyprior_enc_fc2(self.bodyprior_enc_bn2(x)), 0.2)
        return self.bodyprior_enc_mu(x), F.softplus(self.bodyprior_enc_logvar(x))


class _TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mu = nn.Linear(512, 32)
        self.logvar = nn.Linear(512, 32)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.mu(x), F.softplus(self.logvar(x))


class PublishedV2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder_net = nn.Sequential(
            nn.Flatten(), nn.BatchNorm1d(63), nn.Linear(63, 512), nn.LeakyReLU(), nn.BatchNorm1d(512), nn.Dropout(0.1),
            nn.Linear(512, 512), nn.Linear(512, 512), _TwoHeads(),
        )  # fmt: skip
        self.decoder_net = nn.Sequential(
            nn.Linear(32, 512),
            nn.LeakyReLU(),
            nn.Dropout(0.1),
            nn.Linear(512, 512),
            nn.LeakyReLU(),
            nn.Linear(512, 126),
        )

    def decode(self, z: Tensor) -> Tensor:
        return gram_schmidt(self.decoder_net(z))

    def encode(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder_net(pose)


def gram_schmidt(x: Tensor) -> Tensor:
    pair = x.reshape(-1, 3, 2)
    b1 = F.normalize(pair[:, :, 0], dim=1)
    b2 = F.normalize(pair[:, :, 1] - (b1 * pair[:, :, 1]).sum(1, keepdim=True) * b1, dim=1)
    return torch.stack((b1, b2, torch.linalg.cross(b1, b2)), -1).reshape(*x.shape[:-1], 21, 3, 3)


def published(version: str) -> PublishedV1 | PublishedV2:
    """A network with random weights and batch statistics, in evaluation mode."""
    torch.manual_seed(7)
    model = PublishedV1() if version == "v1" else PublishedV2()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.2, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.eval()


class Trap:
    """Pickles as a call that would leave a file behind."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.witness}",)


def write_v1(folder: Path, model: PublishedV1, name: str = V1_SNAPSHOT, legacy: bool = False) -> Path:
    """The folder as published: raw state dict, settings, and the code that the original loader runs."""
    (folder / "snapshots").mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), folder / "snapshots" / name, _use_new_zipfile_serialization=not legacy)
    (folder / "TR00_004_00_WO_accad.ini").write_text("[All]\nnum_neurons = 512\n")
    (folder / "vposer_smpl.py").write_text(f"open({str(folder / 'EXECUTED')!r}, 'w')\n")
    return folder


def write_v2(
    folder: Path, model: PublishedV2, name: str = V2_SNAPSHOT, parameters: object = None, body: bool = True
) -> Path:
    """The folder as published: a Lightning checkpoint with prefixed weights, body-model buffers and
    hyper-parameters.
    """
    (folder / "snapshots").mkdir(parents=True, exist_ok=True)
    state = OrderedDict((f"vp_model.{k}", v) for k, v in model.state_dict().items())
    if body:
        state["bm_train.v_template"] = torch.zeros(1, 10, 3)
        state["bm_train.f"] = torch.zeros(4, 3, dtype=torch.int64)
    checkpoint = {
        "epoch": 13, "global_step": 100, "pytorch-lightning_version": "1.1.8", "state_dict": state,
        "optimizer_states": [], "hyper_parameters": argparse.Namespace(lr=1e-3) if parameters is None else parameters,
    }  # fmt: skip
    torch.save(checkpoint, folder / "snapshots" / name)
    (folder / "V02_05.yaml").write_text("model_params:\n  num_neurons: 512\n")
    return folder
