"""MuPoTS-3D: the authors' JSON and the official .mat files, written of free bodies whose truth is known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.datasets.mupots import read_mupots, read_mupots_sequences
from tests.helpers import writers3d
from tests.helpers.writers3d import in_front


def test_json(tmp_path):
    made = in_front()
    people = read_mupots(writers3d.mupots(tmp_path / "MuPoTS-3D.json", made))
    assert people.landmark_set == "mupots17"
    assert [reason is None for reason in people.reason] == [True, False, True, True]
    assert people.reason[1].startswith("not-valid")
    assert np.isnan(people.joints_3d[1]).all()
    assert not people.keypoints[1].any()
    np.testing.assert_allclose(people.joints_3d[[0, 2]], made.joints("mupots17")[[0, 2]], atol=1e-6)
    np.testing.assert_allclose(people.keypoints[0, :, :2], made.pixels(made.joints("mupots17"), 0)[0])
    assert people.focal[0].tolist() == made.focal[0].tolist()
    assert people.person_id.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("valid", [0, "0", False, None, "no", 0.0])
def test_ways_to_be_not_valid(tmp_path, valid):
    path = writers3d.mupots(tmp_path / "a.json", in_front())
    content = json.loads(path.read_text())
    content["annotations"][0]["is_valid"] = valid
    content["annotations"][1]["is_valid"] = True
    path.write_text(json.dumps(content))
    people = read_mupots(path)
    assert people.reason[0].startswith("not-valid")
    assert people.reason[1] is None


def test_an_image_without_intrinsics_is_named(tmp_path):
    path = writers3d.mupots(tmp_path / "a.json", in_front())
    content = json.loads(path.read_text())
    content["images"][0]["intrinsic"] = [1, 2, 3]
    path.write_text(json.dumps(content))
    with pytest.raises(PgtfastError, match=r"a.json: image 0: key 'intrinsic': wanted fx, fy, cx, cy"):
        read_mupots(path)


def test_official_files(tmp_path):
    made = in_front(bodies=6)
    for number in (10, 2):
        writers3d.mupots_mat(tmp_path / f"TS{number}" / "annot.mat", made)
    people = read_mupots_sequences(tmp_path)
    assert len(people) == 12
    assert len(set(people.annotation_id.tolist())) == 12
    assert people.image_path[:3].tolist() == [f"TS2/img_{n:06d}.jpg" for n in range(3)]
    assert people.image_path[6].startswith("TS10/")
    assert [row for row, reason in enumerate(people.reason) if reason] == [5, 11]
    order = [0, 2, 4, 1, 3]  # by person, then frame
    np.testing.assert_allclose(people.joints_3d[:5], made.joints("mupots17")[order], atol=1e-6)
    np.testing.assert_allclose(people.focal[0], made.focal[0], rtol=1e-6)
    np.testing.assert_allclose(people.center[0], made.center[0], atol=1e-4)
    one_size = read_mupots_sequences(tmp_path, universal=True)
    np.testing.assert_allclose(one_size.joints_3d[:5], people.joints_3d[:5] * 0.9, atol=1e-6)
    assert np.isnan(one_size.focal).all()
    np.testing.assert_array_equal(one_size.keypoints, people.keypoints)


def test_a_lost_field_is_named(tmp_path):
    writers3d.mupots_mat(tmp_path / "TS1" / "annot.mat", in_front(), lost=("annot3",))
    with pytest.raises(PgtfastError, match=r"annotations\(1, 1\): field 'annot3': wanted 51"):
        read_mupots_sequences(tmp_path)
    with pytest.raises(PgtfastError, match=r"no TS1/annot.mat"):
        read_mupots_sequences(tmp_path / "none")


def test_damaged_files(tmp_path):
    path = writers3d.mupots_mat(tmp_path / "TS1" / "annot.mat", in_front())
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        raw = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.3 else whole)
        for place in rng.integers(0, len(raw), 3):
            raw[place] = rng.integers(0, 256)
        path.write_bytes(bytes(raw))
        try:
            read_mupots_sequences(tmp_path)
        except PgtfastError as error:
            if "annot.mat" not in str(error):
                raise
