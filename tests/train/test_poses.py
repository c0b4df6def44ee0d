from __future__ import annotations

import numpy as np
import pytest
import torch

from pgtfast._errors import PgtfastError
from pgtfast.priors import limit_violation
from pgtfast.reference import matrix_to_rotvec
from pgtfast.train._augment import PoseSampler
from pgtfast.train._poses import read_poses, replace_glitches
from pgtfast.train.prior import PriorConfig, split


def amass_sequence(path, frames=240, rate=120.0, columns=156, key="mocap_framerate", **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    poses = np.zeros((frames, columns))
    poses[:, 3:66] = np.linspace(0, 1, frames)[:, None]
    np.savez(path, **{"poses": poses, key: rate, "betas": np.zeros(16), **more})
    return poses


def test_reads_amass_at_ten_hertz(tmp_path):
    poses = amass_sequence(tmp_path / "CMU" / "01" / "01_01_poses.npz")
    amass_sequence(tmp_path / "X" / "s_stageii.npz", columns=165, key="mocap_frame_rate", rate=30.0)
    np.savez(tmp_path / "CMU" / "01" / "shape.npz", betas=np.zeros(16))
    found = read_poses(None, tmp_path)
    assert found.clips == ("CMU/01/01_01_poses", "X/s_stageii")
    assert found.clip.bincount().tolist() == [20, 80]
    torch.testing.assert_close(found.pose[3, 5], torch.from_numpy(poses[36, 3:6]).float())


def test_amass_mistakes_are_named(tmp_path):
    with pytest.raises(PgtfastError, match=r"no \*\.npz sequence"):
        read_poses(None, tmp_path)
    np.savez(tmp_path / "a.npz", poses=np.zeros((4, 156)))
    with pytest.raises(PgtfastError, match=r"a\.npz: wanted keys poses and mocap_framerate"):
        read_poses(None, tmp_path)
    np.savez(tmp_path / "a.npz", poses=np.full((4, 156), np.nan), mocap_framerate=30)
    with pytest.raises(PgtfastError, match=r"a\.npz: wanted finite poses"):
        read_poses(None, tmp_path)
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(PgtfastError, match=r"a\.npz: not a readable \.npz"):
        read_poses(None, tmp_path)


def test_file_mistakes_are_named(tmp_path):
    path = tmp_path / "p.npz"
    np.savez(path, poses=np.zeros((4, 24, 3)))
    with pytest.raises(PgtfastError, match="no key 'src'"):
        read_poses(path, None)
    np.savez(path, poses=np.zeros((4, 23, 3)), src=np.array(["a"] * 4))
    with pytest.raises(PgtfastError, match=r"got \(4, 23, 3\)"):
        read_poses(path, None)
    bad = np.zeros((4, 24, 3))
    bad[2, 5] = np.inf
    np.savez(path, poses=bad, src=np.array(["a"] * 4))
    with pytest.raises(PgtfastError, match="row 2"):
        read_poses(path, None)
    np.savez(path, poses=np.array([{"a": 1}], dtype=object), src=np.array(["a"]))
    with pytest.raises(PgtfastError, match="wanted poses"):
        read_poses(path, None)
    with pytest.raises(PgtfastError, match="no source of poses"):
        read_poses(None, None)


def test_glitches_are_replaced():
    pose = torch.zeros(3, 21, 3)
    pose[1, 6, 2], pose[2, 20, 0], pose[2, 3, 0] = 3.1, -2.9, 2.0  # an ankle, a wrist, and a knee that may
    replaced, count = replace_glitches(pose)
    assert count == 2
    assert replaced[1].abs().sum() == 0
    assert replaced[2].abs().sum() == 2


def test_no_clip_is_on_both_sides(poses_file, tmp_path):
    poses = read_poses(poses_file, None)
    training, held_out = split(poses, PriorConfig(poses=poses_file, held_out=("b",), held_out_every=4))
    assert set(held_out.clip.tolist()) == {1, 3}
    assert set(training.clip.tolist()) == {0, 2}
    with pytest.raises(PgtfastError, match=r"no clip named \['z'\]"):
        split(poses, PriorConfig(poses=poses_file, held_out=("z",)))
    with pytest.raises(PgtfastError, match="no poses left for training"):
        split(poses, PriorConfig(poses=poses_file, held_out=("a", "b", "c", "d")))


def test_batches_are_rotations_within_limits_and_repeatable(poses_file):
    poses = read_poses(poses_file, None)

    def sampler():
        return PoseSampler(poses.pose * 0.3, poses.clip, torch.Generator().manual_seed(3), 0.7)

    batch = sampler()(256)
    assert batch.shape == (256, 21, 3, 3)
    torch.testing.assert_close(batch @ batch.mT, torch.eye(3).expand_as(batch), rtol=0, atol=1e-4)
    assert (torch.linalg.det(batch) > 0).all()
    assert torch.equal(batch, sampler()(256))
    # elbows of the random test poses bend about any axis; the rest of the body is what is asked about here
    over = limit_violation(matrix_to_rotvec(batch))
    assert over.mean() < 0.1


def test_arms_keep_their_place_when_collars_share(poses_file):
    poses = read_poses(poses_file, None)
    sampler = PoseSampler(poses.pose, poses.clip, torch.Generator().manual_seed(3), 0.0)
    before = sampler.matrices[:50].clone()
    before[:, [12, 13]] = torch.eye(3)
    after = sampler._share_with_collar(before)
    for collar, shoulder in ((12, 15), (13, 16)):
        torch.testing.assert_close(after[:, collar] @ after[:, shoulder], before[:, shoulder], rtol=0, atol=1e-5)
    assert not torch.allclose(after[:, 12], before[:, 12])
