"""Boxes around keypoints, numbers of people, and words for genders."""

from __future__ import annotations

import numpy as np

from pgtfast.people import gender_of, person_ids
from pgtfast.people.boxes import box_side, keypoint_boxes


def test_boxes_are_a_fifth_larger_than_the_labelled_keypoints():
    keypoints = np.array(
        [[[10, 20, 1], [30, 60, 0.5], [999, 999, 0]], [[5, 5, 1], [5, 9, 1], [0, 0, 0]], [[0, 0, 0]] * 3]
    )
    np.testing.assert_allclose(keypoint_boxes(keypoints)[0], [8, 16, 24, 48])
    np.testing.assert_allclose(keypoint_boxes(keypoints, 1)[0], [10, 20, 20, 40])
    assert np.isnan(keypoint_boxes(keypoints)[1:]).all()  # no area, no keypoint
    assert box_side(np.full((3, 4), np.nan), keypoints).tolist() == [40, 4, 1]
    assert box_side(np.full((3, 4), 7.0), keypoints).tolist() == [7, 7, 7]


def test_people_are_numbered_within_their_image():
    assert person_ids(["a", "b", "a", None, "a", None]).tolist() == [0, 0, 1, 0, 2, 1]
    assert person_ids([]).dtype == np.int64


def test_genders():
    words = ["m", " Male", "F", "female", "neutral", "", "x", 3]
    assert [gender_of(word) for word in words] == ["male", "male", "female", "female", "neutral", None, None, None]
