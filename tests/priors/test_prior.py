from __future__ import annotations

import copy

import pytest
import torch

from pgtfast import reference
from pgtfast.priors import BODY_JOINTS, MIRROR, load_vposer, mirror_pose, prior_energy

from .vposer_files import published, write_v1


@pytest.fixture(scope="module", params=["free", "v1"])
def prior(request, tmp_path_factory):
    if request.param == "free":
        return load_vposer("free")
    return load_vposer(write_v1(tmp_path_factory.mktemp("v1"), published("v1")))


@pytest.mark.parametrize("batch", [(), (0,), (1,), (2, 3)])
def test_any_leading_batch_shape(prior, batch):
    z = torch.randn(*batch, 32)
    pose = prior.decode(z)
    assert pose.shape == (*batch, 21, 3, 3)
    torch.testing.assert_close(pose, reference.vposer_decode(z, prior.terms), rtol=1e-4, atol=1e-5)
    latent = prior.encode(reference.matrix_to_rotvec(pose))
    assert latent.mean.shape == latent.stddev.shape == (*batch, 32)


def test_wrong_shapes_are_named(prior):
    with pytest.raises(ValueError, match=r"latent: wanted \(\.\.\., 32\), got \(2, 31\)"):
        prior.decode(torch.zeros(2, 31))
    with pytest.raises(ValueError, match=r"pose: wanted .*got \(2, 63\)"):
        prior.encode(torch.zeros(2, 63))


def test_gradients_reach_the_latent_and_the_pose(prior):
    z = torch.randn(3, 32, requires_grad=True)
    prior.decode(z).square().mul(torch.arange(9.0).view(3, 3)).sum().backward()
    assert torch.isfinite(z.grad).all()
    assert z.grad.abs().max() > 0
    pose = torch.zeros(2, 21, 3, requires_grad=True)
    prior.encode(pose).mean.sum().backward()
    assert torch.isfinite(pose.grad).all()
    assert pose.grad.abs().max() > 0
    assert not any(p.requires_grad for p in prior.parameters())


def test_stays_in_evaluation_and_follows_dtype(prior):
    moved = copy.deepcopy(prior).train().double()
    assert not moved.training
    assert not any(m.training for m in moved.modules())
    z = torch.randn(4, 32, dtype=torch.float64)
    assert moved.terms.w1.dtype == torch.float64
    torch.testing.assert_close(moved.decode(z).float(), prior.decode(z.float()), rtol=1e-4, atol=1e-5)


def test_new_weights_reach_the_decoder(prior):
    changed = copy.deepcopy(prior)
    before = changed.decode(torch.ones(32))
    state = {k: v * 0.5 if k == "decoder.layer3.weight" else v for k, v in changed.state_dict().items()}
    changed.load_state_dict(state)
    assert not torch.allclose(before, changed.decode(torch.ones(32)))


def test_prior_energy():
    torch.testing.assert_close(prior_energy(torch.full((2, 32), 2.0)), torch.tensor([4.0, 4.0]))


def test_mirror_is_its_own_inverse_and_agrees_with_matrices():
    for joints in (21, 23):
        pose = torch.randn(4, joints, 3)
        torch.testing.assert_close(mirror_pose(mirror_pose(pose)), pose)
        torch.testing.assert_close(
            reference.rotvec_to_matrix(mirror_pose(pose)), mirror_pose(reference.rotvec_to_matrix(pose))
        )
    assert BODY_JOINTS[MIRROR[BODY_JOINTS.index("left_knee")]] == "right_knee"
    assert BODY_JOINTS[MIRROR[BODY_JOINTS.index("neck")]] == "neck"
    with pytest.raises(ValueError, match="pose: wanted"):
        mirror_pose(torch.zeros(4, 24, 3))


def test_mirror_mirrors_the_body():
    """Forward kinematics of the mirrored pose is the mirror image of the body."""
    from pgtfast.train._augment import PARENTS, rest_offsets

    def joints(body):
        rotations = torch.cat((torch.eye(3).expand(len(body), 1, 3, 3), reference.rotvec_to_matrix(body)), 1)
        return reference.forward_kinematics(rotations, rest_offsets().expand(len(body), 22, 3), PARENTS)[1][:, 1:]

    pose = torch.randn(3, 21, 3)
    flipped = joints(pose)[:, list(MIRROR[:21])] * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(joints(mirror_pose(pose)), flipped, rtol=1e-4, atol=1e-5)


def test_free_prior_is_fit_for_use():
    """Made-up poses stay within the limits of joints and differ from each other; plain poses come back as they were."""
    from pgtfast.priors import limit_violation

    free = load_vposer("free")
    torch.manual_seed(0)
    with torch.no_grad():
        pose = reference.matrix_to_rotvec(free.decode(torch.randn(512, 32)))
    assert limit_violation(pose).sum(1).mean() < 0.05
    assert pose.std(0).norm() > 1.0
    rest = torch.zeros(3, 21, 3)
    rest[1, 15, 2], rest[1, 16, 2] = -1.3, 1.3  # arms held down
    rest[2, 15, 2], rest[2, 16, 2] = 1.0, -1.0  # arms raised
    error = reference.matrix_to_rotvec(free(rest).mT @ reference.rotvec_to_matrix(rest)).norm(dim=-1)
    assert error.mean() < 0.2, error.mean(1)
