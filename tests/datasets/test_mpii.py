"""The MPII reader: both JSON forms, MATLAB's first pixel, and visibility that never counts twice."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgtfast._errors import PgtfastError
from pgtfast.datasets.mpii import read_mpii
from tests.helpers.mutation import mutated
from tests.helpers.writers2d import coco_content, mpii_entry, shared, write_json


def test_real_list():
    path = shared("mmpose", "mpii", "test_mpii.json")
    people, raw = read_mpii(path), json.loads(path.read_text())
    assert (len(people), people.landmark_set) == (5, "mpii16")
    assert all(reason is None for reason in people.reason)
    for row, entry in enumerate(raw):
        weights = np.array(entry["joints_vis"], float)
        np.testing.assert_array_equal(people.keypoints[row, :, 2], weights)
        known = weights > 0
        np.testing.assert_allclose(people.keypoints[row, known, :2], np.array(entry["joints"])[known] - 1)
        assert not people.keypoints[row, ~known].any()
        x, y, w, h = people.bbox[row]
        inside = (people.keypoints[row, known, :2] > (x, y)) & (people.keypoints[row, known, :2] < (x + w, y + h))
        assert inside.all()
        # MPII's own centre and height agree with the box, where the whole person is labelled.
        assert np.abs(np.array(entry["center"]) - 1 - (x + w / 2, y + h / 2)).max() < 0.5 * entry["scale"] * 200


def test_list_with_strings_and_people_of_one_image(tmp_path):
    first = mpii_entry(1, scale="0.2", center=["30", "20"])
    first["joints"] = [[str(v) for v in point] for point in first["joints"]]
    second = mpii_entry(2, image=first["image"])
    people = read_mpii(write_json(tmp_path / "train.json", [first, second]))
    assert people.annotation_id.tolist() == [0, 1]
    assert people.person_id.tolist() == [0, 1]
    np.testing.assert_allclose(people.keypoints[0, :, :2], np.array(mpii_entry(1)["joints"]) - 1)


def test_first_pixel_can_be_zero(tmp_path):
    path = write_json(tmp_path / "train.json", [mpii_entry(1)])
    np.testing.assert_allclose(
        read_mpii(path, first_pixel=0).keypoints[0, :, :2], read_mpii(path).keypoints[0, :, :2] + 1
    )


@pytest.mark.parametrize("visible", [1, 2, 3])
def test_a_visibility_never_counts_more_than_one(tmp_path, visible):
    people = read_mpii(write_json(tmp_path / "train.json", [mpii_entry(1, joints_vis=[visible] * 16)]))
    assert (people.keypoints[0, :, 2] == 1).all()


def test_coco_layout(tmp_path):
    content = coco_content("mpii16", flag=1)
    people = read_mpii(write_json(tmp_path / "a.json", content))
    assert (people.keypoints[..., 2] == 1).all()
    np.testing.assert_allclose(
        people.keypoints[0, :, :2], np.reshape(content["annotations"][0]["keypoints"], (16, 3))[:, :2] - 1
    )
    np.testing.assert_allclose(people.bbox[0, :2], np.array(content["annotations"][0]["bbox"][:2]) - 1)
    content["annotations"][2]["keypoints"][2::3] = [2] * 16
    weights = read_mpii(write_json(tmp_path / "b.json", content)).keypoints[..., 2]
    assert (weights[:2] == 0.5).all()
    assert (weights[2] == 1).all()


def test_a_missing_box_is_that_of_the_keypoints(tmp_path):
    content = coco_content("mpii16")
    box = content["annotations"][0].pop("bbox")
    x, y, w, h = read_mpii(write_json(tmp_path / "a.json", content)).bbox[0]
    np.testing.assert_allclose((w, h), 1.2 * np.array(box[2:]))
    np.testing.assert_allclose((x + w / 2, y + h / 2), np.array(box[:2]) + np.array(box[2:]) / 2 - 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"joints_vis": [0] * 16}, "no-keypoints"),
        ({"joints": [[-1, -1]] * 16}, "no-keypoints"),
        ({"joints": [[1, 2]] * 15}, r"bad-keypoints: joints: wanted \(16, 2\)"),
        ({"joints": [[float("nan"), 2]] * 16}, "bad-keypoints: joints: a labelled"),
        ({"joints_vis": [-1] * 16}, "bad-keypoints: joints_vis"),
        ({"joints_vis": None}, "bad-keypoints: joints_vis"),
        ({"image": ""}, "bad-image"),
    ],
)
def test_a_bad_person_keeps_a_row(tmp_path, changes, reason):
    people = read_mpii(write_json(tmp_path / "train.json", [mpii_entry(1, **changes), mpii_entry(2)]))
    assert people.reason[1] is None
    assert re.search(reason, people.reason[0])
    assert not people.keypoints[0].any()


def test_a_person_without_extent_has_the_box_of_center_and_scale(tmp_path):
    entry = mpii_entry(1, joints_vis=[1] + [0] * 15, center=[31, 21], scale=0.1)
    people = read_mpii(write_json(tmp_path / "train.json", [entry]))
    np.testing.assert_allclose(people.bbox[0], (20, 10, 20, 20))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.json", [3], r"\[0\]: wanted an object"),
        ("train.json", [{"a": 1}], "wanted people with 'image'"),
        ("train.json", 3, "wanted a JSON object"),
        ("train.json", coco_content("coco17"), "categories: keypoints: wanted 16"),
        ("train.h5", [], "MPII is read from JSON"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path, name, content, message):
    with pytest.raises(PgtfastError, match=message) as error:
        read_mpii(write_json(tmp_path / name, content))
    assert name in str(error.value)


def test_the_other_real_sample_has_other_joints():
    with pytest.raises(PgtfastError, match="wanted 16"):
        read_mpii(shared("mmpose", "mpii", "test_mpii_trb.json"))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutated_file_reads_right_or_says_why(tmp_path, data):
    path = tmp_path / "train.json"
    path.write_text(mutated(data.draw, coco_content("mpii16")))
    try:
        people = read_mpii(path)
    except PgtfastError as error:
        if "train.json" in str(error):
            return
        raise
    for row in range(len(people)):
        points = people.keypoints[row]
        assert np.isfinite(points).all()
        assert (people.reason[row] is None) == bool(points[:, 2].any())
        assert (points[:, 2] <= 1).all()
