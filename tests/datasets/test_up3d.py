"""The UP-3D reader: joints, and fits brought into the camera."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pgtfast._errors import PgtfastError
from pgtfast.body import load_body
from pgtfast.datasets.up3d import read_up3d
from pgtfast.files.unpickle import RefusedPickle
from pgtfast.reference import rotvec_to_matrix
from tests.helpers.writers2d import points, write_up3d


def test_rows(tmp_path):
    fit = write_up3d(tmp_path)
    people = read_up3d(tmp_path)
    assert people.landmark_set == "lsp14"
    assert people.image_path.tolist() == ["00000_image.png", "00001_image.png"]
    assert people.annotation_id.tolist() == [0, 1]
    np.testing.assert_array_equal(people.keypoints[1, :, :2], points(14, 1))
    assert (people.body_model, people.gender.tolist()) == ("smpl", ["neutral"] * 2)
    np.testing.assert_allclose(people.pose[0], fit["pose"], rtol=1e-6)
    np.testing.assert_allclose(people.body["transl"][0], fit["trans"] + fit["t"], rtol=1e-6)
    assert people.focal.tolist() == [[5000, 5000]] * 2
    assert people.center.tolist() == [[30, 20]] * 2
    assert np.isfinite(people.bbox).all()


def test_a_turned_camera_needs_the_body(tmp_path):
    """Every vertex must be where the fit's own camera sees it."""
    body = load_body("free").to(dtype=torch.float64)
    fit = write_up3d(tmp_path, rt=np.array([0.1, 2.8, -0.3]))
    without = read_up3d(tmp_path)
    assert np.isnan(without.body["transl"]).all()
    people = read_up3d(tmp_path, body=body)
    np.testing.assert_array_equal(people.pose, without.pose)

    def vertices(pose, betas, transl):
        p, b, t = (torch.tensor(np.asarray(v, np.float64))[None] for v in (pose, betas, transl))
        return body(global_orient=p[:, :3], body_pose=p[:, 3:], betas=b, transl=t).vertices[0].numpy()

    rotation = rotvec_to_matrix(torch.from_numpy(fit["rt"])).numpy()
    wanted = vertices(fit["pose"], fit["betas"], fit["trans"]) @ rotation.T + fit["t"]
    np.testing.assert_allclose(
        vertices(people.pose[0], people.body["betas"][0], people.body["transl"][0]), wanted, atol=2e-5
    )


def test_a_person_without_fit_or_joints(tmp_path):
    write_up3d(tmp_path, count=5)
    (tmp_path / "00000_body.pkl").unlink()
    (tmp_path / "00001_joints.npy").unlink()
    np.save(tmp_path / "00002_joints.npy", np.zeros((2, 14)))
    np.save(tmp_path / "00003_joints.npy", np.full((3, 14), np.nan))
    (tmp_path / "00004_image.png").unlink()
    people = read_up3d(tmp_path)
    assert people.reason[0] is None
    assert np.isnan(people.pose[0]).all()
    assert people.gender[0] is None
    for row, start in ((1, "bad-keypoints"), (2, "bad-keypoints"), (3, "no-keypoints"), (4, "missing-file")):
        assert people.reason[row].startswith(start)
        assert not people.keypoints[row].any()


def test_a_fit_runs_nothing(tmp_path):
    write_up3d(tmp_path)
    (tmp_path / "00001_body.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(RefusedPickle, match=r"os\.system"):
        read_up3d(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"), [({"pose": np.zeros(66)}, "key 'pose': wanted 72 numbers, got 66"), ({"f": "x"}, "key 'f'")]
)
def test_other_fits(tmp_path, changes, message):
    write_up3d(tmp_path, **changes)
    with pytest.raises(PgtfastError, match=message):
        read_up3d(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/00000_image.png\n00000_image.png\n", "listed twice"),
        ("a.png\n", "line 1: wanted a name like 00001_image.png"),
    ],
)
def test_bad_lists(tmp_path, text, message):
    write_up3d(tmp_path)
    (tmp_path / "trainval.txt").write_text(text)
    with pytest.raises(PgtfastError, match=message):
        read_up3d(tmp_path)
    with pytest.raises(PgtfastError, match=r"test\.txt: cannot be read"):
        read_up3d(tmp_path, split="test")
