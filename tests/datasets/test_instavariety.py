"""The InstaVariety reader, and joblib files that must not run."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from pgtfast import skeletons
from pgtfast._errors import PgtfastError
from pgtfast.datasets.instavariety import read_instavariety
from pgtfast.files.joblib import load_joblib
from pgtfast.files.unpickle import MalformedPickle, RefusedPickle
from tests.helpers.writers2d import insta_columns, write_joblib


@pytest.mark.parametrize("pad", [True, False])
def test_joblib_values(tmp_path, pad):
    content = {
        "flat": np.arange(5, dtype=np.int32),
        "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "text": np.array(["ab", "c"]),
        "things": np.array(["a", 3], dtype=object),
        "none": np.zeros((0, 3)),
        "list": [1, "two", np.float32(3)],
    }
    read = load_joblib(write_joblib(tmp_path / "a.pt", content, pad=pad))
    for key, value in content.items():
        np.testing.assert_array_equal(read[key], value)


def test_joblib_runs_nothing(tmp_path):
    class Bad:
        def __reduce__(self):
            return (print, ("ran",))

    with pytest.raises(RefusedPickle, match="print"):
        load_joblib(write_joblib(tmp_path / "a.pt", {"a": np.zeros(3), "b": Bad()}))
    (tmp_path / "zip.pt").write_bytes(b"\x78\x9c123")
    with pytest.raises(RefusedPickle, match="zlib compression"):
        load_joblib(tmp_path / "zip.pt")


def test_truncated_joblib(tmp_path):
    whole = write_joblib(tmp_path / "a.pt", insta_columns()).read_bytes()
    for cut in np.linspace(0, len(whole) - 1, 40).astype(int):
        (tmp_path / "b.pt").write_bytes(whole[:cut])
        with pytest.raises((MalformedPickle, RefusedPickle), match=r"b\.pt"):
            load_joblib(tmp_path / "b.pt")


def test_rows_and_names(tmp_path):
    columns = insta_columns()
    path = write_joblib(tmp_path / "insta_train_db.pt", columns)
    people = read_instavariety(path, anchor="insta_variety_img")
    assert people.landmark_set == "insta25"
    assert people.image_path.tolist() == [
        "train/walk.tfrecord/0/0.jpg", "train/walk.tfrecord/0/1.jpg", "train/walk.tfrecord/1/0.jpg",
        "train/walk.tfrecord/1/1.jpg",
    ]  # fmt: skip
    assert people.annotation_id.tolist() == [0, 1, 2, 3]
    assert not people.keypoints[:, 3].any()
    np.testing.assert_array_equal(people.keypoints[:, 4], columns["joints2D"][:, 4])
    assert np.isfinite(people.bbox).all()
    assert not people.image_size.any()


def test_order_of_the_joints():
    joints = skeletons.get("insta25").joints
    assert (joints[0], joints[5], joints[12], joints[13], joints[23]) == (
        "R_Heel", "L_Heel", "Neck", "Head_top", "L_Ankle",
    )  # fmt: skip


def test_columns_of_the_papers_authors(tmp_path):
    columns = insta_columns()
    more = {
        "joints2D": columns["joints2D"],
        "file_name": [f"v/{at}.jpg" for at in (0, 0, 1, 2)],
        "ann_id": np.array([7, 8, 9, 12]),
        "img_shape": np.array([[40, 60]] * 4),
        "bbox": np.array([[1, 2, 3, 4]] * 3 + [[0, 0, 0, 0]]),
    }
    more["joints2D"][1, :, 2] = 0
    more["joints2D"][2, 0] = (np.nan, 1, 1)
    more["joints2D"][2, 1, 2] = 7
    people = read_instavariety(write_joblib(tmp_path / "a.pt", more))
    assert people.annotation_id.tolist() == [7, 8, 9, 12]
    assert people.person_id.tolist() == [0, 1, 0, 0]
    assert people.image_size.tolist() == [[60, 40]] * 4
    assert people.bbox[:3].tolist() == [[1, 2, 3, 4]] * 3
    assert (people.bbox[3, 2:] > 0).all()
    assert people.reason[1].startswith("no-keypoints")
    assert not people.keypoints[2, 0].any()
    assert people.keypoints[2, 1, 2] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joints2D": None}, "wanted the column 'joints2D'"),
        ({"joints2D": np.zeros((4, 14, 3))}, r"wanted numbers of shape \(N, 25, 3\), got float64 \(4, 14, 3\)"),
        ({"frame_id": np.arange(3)}, "frame_id: wanted an array of the 4 rows"),
        ({"vid_name": None}, "wanted 'file_name', 'img_name', or 'vid_name' with 'frame_id'"),
        ({"ann_id": np.zeros(4, int)}, "ann_id 0 is given twice"),
        ({"ann_id": np.array(["a"] * 4)}, "ann_id: wanted 4 whole numbers"),
        ({"bbox": np.zeros((4, 3))}, r"bbox: wanted numbers of shape \(4, 4\)"),
    ],
)
def test_bad_columns_are_one_clear_error(tmp_path, changes, message):
    columns = {k: v for k, v in {**insta_columns(), **changes}.items() if v is not None}
    with pytest.raises(PgtfastError, match=message) as error:
        read_instavariety(write_joblib(tmp_path / "a.pt", columns))
    assert "a.pt" in str(error.value)


def test_other_files(tmp_path):
    (tmp_path / "list.pt").write_bytes(pickle.dumps([1]))
    with pytest.raises(PgtfastError, match="wanted a dict of columns, got list"):
        read_instavariety(tmp_path / "list.pt")
    (tmp_path / "a.tfrecord").write_bytes(b"1")
    with pytest.raises(PgtfastError, match="TFRecords"):
        read_instavariety(tmp_path / "a.tfrecord")
    with pytest.raises(PgtfastError, match="no such file"):
        read_instavariety(tmp_path / "none.pt")


def test_hdf5_says_what_it_needs_or_reads(tmp_path):
    path = tmp_path / "insta_train_db.h5"
    path.write_bytes(b"not HDF5")
    with pytest.raises(PgtfastError, match=r"needs h5py|not a readable HDF5 file"):
        read_instavariety(path)


def test_hdf5_columns_are_those_of_joblib(tmp_path):
    h5py = pytest.importorskip("h5py")
    columns = insta_columns()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, value in {**columns, "features": np.zeros((4, 8))}.items():
            file[name] = value.astype("S") if value.dtype.kind == "U" else value
    read = read_instavariety(tmp_path / "a.h5")
    plain = read_instavariety(write_joblib(tmp_path / "a.pt", columns))
    assert read.image_path.tolist() == plain.image_path.tolist()
    np.testing.assert_array_equal(read.keypoints, plain.keypoints)
