"""The LSPET reader: only what is visible counts."""

from __future__ import annotations

import numpy as np
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.datasets.lspet import read_lspet
from pgtfast.images.sizes import check_image_sizes
from tests.helpers.writers2d import shared, write_lspet


def test_real_sample():
    from scipy.io import loadmat

    root = shared("lspet_sample")
    people = read_lspet(root / "joints.mat", images=root / "images")
    joints = loadmat(root / "joints.mat")["joints"].transpose(2, 0, 1)
    assert (len(people), people.landmark_set) == (60, "lsp14")
    assert people.image_path[59] == "im00060.jpg"
    visible = joints[..., 2] > 0
    assert (~visible).sum() > 50
    np.testing.assert_array_equal(people.keypoints[..., 2], visible)
    np.testing.assert_array_equal(people.keypoints[visible][:, :2], joints[visible][:, :2])
    assert not people.keypoints[~visible].any()
    sizes = check_image_sizes(people, root / "images", sample=None)
    assert (sizes.checked, sizes.missing) == (60, 0)
    # Joints lie in the pictures, and so do the middles of the boxes, which invisible joints at negative places would
    # pull out.
    reach = people.keypoints[..., :2].max(1)
    assert (reach < people.image_size + 2).all()
    middle = people.bbox[:, :2] + people.bbox[:, 2:] / 2
    assert ((middle > 0) & (middle < people.image_size)).all()


def test_box_is_that_of_the_visible_joints(tmp_path):
    joints = write_lspet(tmp_path)
    people = read_lspet(tmp_path / "joints.mat", images=tmp_path / "images")
    seen = joints[0, joints[0, :, 2] > 0, :2]
    np.testing.assert_allclose(people.bbox[0, 2:], 1.2 * (seen.max(0) - seen.min(0)))
    np.testing.assert_allclose(people.bbox[0, :2] + people.bbox[0, 2:] / 2, (seen.max(0) + seen.min(0)) / 2)
    assert people.annotation_id.tolist() == [1, 2, 3]
    assert people.image_size.tolist() == [[60, 40]] * 3


def test_pictures_may_be_png_or_jpg_or_missing(tmp_path):
    write_lspet(tmp_path, suffix=".jpg")
    (tmp_path / "images" / "im00002.jpg").unlink()
    people = read_lspet(tmp_path / "joints.mat", images=tmp_path / "images")
    assert people.image_path.tolist() == ["im00001.jpg", "im00002.png", "im00003.jpg"]
    assert people.reason[1].startswith("missing-file")
    assert not people.keypoints[1].any()
    plain = read_lspet(tmp_path / "joints.mat")
    assert plain.image_path[0] == "im00001.png"
    assert not plain.image_size.any()


def test_nobody_visible_and_axes_the_other_way_round(tmp_path):
    from scipy.io import savemat

    joints = np.zeros((3, 14, 2))
    joints[:, :, 0] = np.arange(42).reshape(3, 14)
    joints[:, :, 1] = np.nan
    savemat(tmp_path / "joints.mat", {"joints": joints})
    people = read_lspet(tmp_path / "joints.mat")
    assert people.keypoints[0, 3].tolist() == [3, 17, 1]
    assert people.reason.tolist() == [None, "no-keypoints: no joint is visible"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"joints": np.zeros((14, 2, 5))}, r"wanted numbers of shape \(14, 3, N\), got float64 \(14, 2, 5\)"),
        ({"annolist": np.zeros(3)}, "wanted 'joints' .* the file holds annolist"),
    ],
)
def test_other_matlab_files(tmp_path, value, message):
    from scipy.io import savemat

    savemat(tmp_path / "joints.mat", value)
    with pytest.raises(PgtfastError, match=message):
        read_lspet(tmp_path / "joints.mat")


def test_damaged_and_missing_files(tmp_path):
    write_lspet(tmp_path)
    path = tmp_path / "joints.mat"
    whole = path.read_bytes()
    for cut in (0, 20, len(whole) // 2):
        path.write_bytes(whole[:cut])
        with pytest.raises(PgtfastError, match="not a readable MATLAB 5 file"):
            read_lspet(path)
    with pytest.raises(PgtfastError, match="no such file"):
        read_lspet(tmp_path / "none.mat")
    path.write_bytes(whole)
    with pytest.raises(PgtfastError, match="no such folder"):
        read_lspet(path, images=tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PgtfastError, match="none of LSPET's pictures"):
        read_lspet(path, images=tmp_path / "empty")
