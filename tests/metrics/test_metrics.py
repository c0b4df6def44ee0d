"""Metrics against hand-made cases and numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pgtfast import ops, reference
from pgtfast.metrics import auc, mpjpe_mm, pa_mpjpe_mm, pck3d, pve_mm


@pytest.fixture(params=["reference", "ops"], autouse=True)
def implementation(request, monkeypatch):
    monkeypatch.setattr("pgtfast.metrics._errors.ops", {"reference": reference, "ops": ops}[request.param])


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def numpy_pa(pred: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """Aligned points by the textbook: centre, SVD, reflection guard, scale."""
    p, g = pred - pred.mean(0), gt - gt.mean(0)
    u, s, vt = np.linalg.svd(p.T @ g)
    sign = np.array([1, 1, np.sign(np.linalg.det(vt.T @ u.T))])
    rotation = vt.T @ np.diag(sign) @ u.T
    return (s * sign).sum() / (p**2).sum() * p @ rotation.T + gt.mean(0)


def test_mpjpe_by_hand():
    gt = torch.zeros(2, 3, 3)
    pred = gt + torch.tensor([0.03, 0.0, 0.04])
    assert torch.allclose(mpjpe_mm(pred, gt, root=None), torch.tensor([50.0, 50.0]))
    assert torch.allclose(mpjpe_mm(pred, gt, root=0), torch.zeros(2))
    assert torch.allclose(
        mpjpe_mm(pred, gt, root=None, per_axis=True), torch.tensor([50.0, 30.0, 0.0, 40.0]).expand(2, 4)
    )
    roots = torch.stack([torch.tensor([0.03, 0.0, 0.0]).expand(2, 3), torch.zeros(2, 3)])
    assert torch.allclose(mpjpe_mm(pred, gt, root=roots), torch.tensor([40.0, 40.0]))


def test_valid_joints_alone_count():
    gt, pred = random(2, 5, 3), random(2, 5, 3, seed=1)
    valid = torch.tensor([[True, True, True, False, True], [False] * 5])
    gt[0, 3] = float("nan")
    error = mpjpe_mm(pred, gt, root=None, valid=valid)
    keep = [0, 1, 2, 4]
    assert torch.allclose(error[0], mpjpe_mm(pred[0, keep], gt[0, keep], root=None))
    assert error[1].isnan()
    aligned = pa_mpjpe_mm(pred, gt, valid=valid, per_axis=True)
    assert torch.allclose(aligned[0], pa_mpjpe_mm(pred[0, keep], gt[0, keep], per_axis=True))
    assert aligned[1].isnan().all()


def test_pa_is_blind_to_similarities():
    gt = random(6, 14, 3)
    turned = 1.7 * gt @ reference.rotvec_to_matrix(random(6, 3, seed=2)).transpose(-1, -2) + random(6, 1, 3, seed=3)
    assert pa_mpjpe_mm(turned, gt).max() < 1e-9
    assert pa_mpjpe_mm(gt * torch.tensor([-1.0, 1.0, 1.0]), gt).min() > 10


def test_pa_against_numpy_with_axes():
    gt, pred = random(6, 14, 3), random(6, 14, 3, seed=1)
    difference = np.stack([numpy_pa(p, g) - g for p, g in zip(pred.numpy(), gt.numpy(), strict=True)])
    expected = (
        np.concatenate([np.linalg.norm(difference, axis=-1).mean(1)[:, None], np.abs(difference).mean(1)], 1) * 1000
    )
    assert torch.allclose(pa_mpjpe_mm(pred, gt, per_axis=True), torch.tensor(expected))
    assert torch.allclose(pa_mpjpe_mm(pred, gt), torch.tensor(expected[:, 0]))


def test_pve():
    gt = random(2, 50, 3)
    pred = gt + torch.tensor([0.0, 0.02, 0.0]).double()
    assert torch.allclose(pve_mm(pred, gt, pred_root=None, gt_root=None), torch.tensor([20.0, 20.0]).double())
    assert torch.allclose(pve_mm(pred, gt, pred_root=pred[:, 3], gt_root=gt[:, 3]), torch.zeros(2).double(), atol=1e-9)
    with pytest.raises(ValueError, match="give both points"):
        pve_mm(pred, gt, pred_root=pred[:, 3], gt_root=None)


def test_pck_and_auc():
    gt = torch.zeros(1, 4, 3)
    pred = torch.zeros(1, 4, 3)
    pred[0, :, 0] = torch.tensor([0.0, 0.149, 0.15, float("nan")])
    assert pck3d(pred, gt, root=None) == 0.5
    assert pck3d(pred, gt, root=None, threshold_mm=151) == 0.75
    assert pck3d(pred, gt, root=None, valid=torch.tensor([[True, True, False, False]])) == 1
    steps = np.arange(0, 151, 5)
    expected = np.mean([np.mean([e < step for e in (0, 149, 150, np.inf)]) for step in steps])
    assert auc(pred, gt, root=None) == pytest.approx(expected)
    assert pck3d(gt[:0], gt[:0], root=None).isnan()


@pytest.mark.parametrize("batch", [(), (0,), (1,), (2, 3)])
def test_batch_shapes(batch):
    pred, gt = random(*batch, 5, 3), random(*batch, 5, 3, seed=1)
    assert mpjpe_mm(pred, gt, root=0).shape == pa_mpjpe_mm(pred, gt).shape == batch
    assert pa_mpjpe_mm(pred, gt, per_axis=True).shape == (*batch, 4)


def test_errors_teach():
    with pytest.raises(
        ValueError, match=r"pred, gt: wanted two \(\.\.\., K, 3\) of one shape, got \(2, 3\) and \(3, 3\)"
    ):
        mpjpe_mm(torch.zeros(2, 3), torch.zeros(3, 3), root=None)
    with pytest.raises(ValueError, match=r"valid: wanted bool \(2,\), got torch.float32 \(2,\)"):
        pa_mpjpe_mm(torch.zeros(2, 3), torch.zeros(2, 3), valid=torch.ones(2))
    with pytest.raises(ValueError, match=r"root: wanted \(2, \.\.\., 3\)"):
        mpjpe_mm(torch.zeros(2, 3), torch.zeros(2, 3), root=torch.zeros(3))
