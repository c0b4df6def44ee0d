"""Boxes and matrices of crops, against what they mean and against OpenCV's arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from pgtfast.images import crops

SIZE = (192, 256)


def random_boxes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(200, 900, (count, 2))
    corner = rng.uniform(-30, 120, (count, 2))
    return np.concatenate([corner, rng.uniform(20, 400, (count, 2))], -1), sizes


def test_a_box_is_cut_grown_and_widened():
    boxes = np.array([[-10.0, 20, 111, 61], [10, 20, 31, 201]])
    out = crops.crop_boxes(boxes, np.array([[640, 480]] * 2), SIZE)
    # 0..110 x 20..80 (what sticks out on the left moves the box, as in Pose2Pose): the height grows to 110 / 0.75.
    # 10..40 x 20..220: the width grows to 150. Then both by a quarter.
    np.testing.assert_allclose(out[0], [55 - 68.75, 50 - 68.75 * 4 / 3, 137.5, 137.5 * 4 / 3])
    np.testing.assert_allclose(out[1], [25 - 93.75, 120 - 125, 187.5, 250])


def test_a_box_is_cut_at_the_far_side():
    out = crops.crop_boxes(np.array([[600.0, 0, 100, 480]]), np.array([[640, 480]]), SIZE)
    np.testing.assert_allclose(out[0, 0] + out[0, 2] / 2, (600 + 639) / 2)


@pytest.mark.parametrize(
    "box", [(700, 10, 50, 50), (10, 10, 0, 50), (10, 10, 1, 50), (np.nan, 0, 5, 5), (0, 0, 5, np.inf)]
)
def test_a_box_without_extent_in_the_picture_is_none(box):
    out = crops.crop_boxes(np.array([box], float), np.array([[640, 480]]), SIZE)
    assert np.isnan(out).all()


def test_keypoints_stand_in_for_a_missing_box():
    points = np.zeros((3, 4, 3))
    points[0, :2] = (10, 20, 1), (30, 60, 0.5)
    points[0, 2] = 900, np.nan, 0
    points[1, 0] = 5, 5, 1
    boxes = np.full((3, 4), np.nan)
    boxes[2] = 1, 2, 3, 4
    out = crops.person_boxes(boxes, points)
    np.testing.assert_allclose(out[0], [8, 16, 24, 48])
    assert np.isnan(out[1]).all()
    np.testing.assert_array_equal(out[2], boxes[2])
    assert crops.keypoint_boxes(np.zeros((0, 17, 3))).shape == (0, 4)


def matrices(count: int, *, flip: bool | None = None, plain: bool = False):
    boxes, sizes = random_boxes(count)
    boxes = crops.crop_boxes(boxes, sizes, SIZE)
    rng = np.random.default_rng(1)
    scale = np.ones(count) if plain else rng.uniform(0.75, 1.25, count)
    rotation = np.zeros(count) if plain else rng.uniform(-1, 1, count)
    mirrored = rng.random(count) < 0.5 if flip is None else np.full(count, flip)
    out = crops.crop_matrices(boxes, sizes[:, 0], SIZE, scale=scale, rotation=rotation, flip=mirrored)
    return out, boxes, sizes, scale, rotation, mirrored


def test_matrix_is_the_three_points_of_pose2pose():
    cv2 = pytest.importorskip("cv2")
    out, boxes, sizes, scale, rotation, flip = matrices(40)
    for i in range(len(out)):
        width = sizes[i, 0]
        middle = boxes[i, :2] + boxes[i, 2:] / 2
        if flip[i]:
            middle[0] = width - middle[0] - 1
        turn = np.array([[np.cos(-rotation[i]), -np.sin(-rotation[i])], [np.sin(-rotation[i]), np.cos(-rotation[i])]])
        down, right = turn @ [0, boxes[i, 3] * scale[i] / 2], turn @ [boxes[i, 2] * scale[i] / 2, 0]
        source = np.float32([middle, middle + down, middle + right])
        there = np.float32([[96, 128], [96, 256], [192, 128]])
        wanted = cv2.getAffineTransform(source, there)
        mirror = np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]]) if flip[i] else np.eye(3)
        np.testing.assert_allclose(out[i], wanted @ mirror, atol=3e-3)


def test_matrix_has_the_parts_that_the_batch_promises():
    out, boxes, _, scale, rotation, flip = matrices(20)
    for i in range(len(out)):
        cos, sin = np.cos(rotation[i]), np.sin(rotation[i])
        wanted = SIZE[0] / (boxes[i, 2] * scale[i]) * np.array([[cos, -sin], [sin, cos]])
        np.testing.assert_allclose(out[i, :, :2], wanted @ np.diag([-1 if flip[i] else 1, 1]), atol=1e-12)


def test_mirroring_first_is_exact_in_whole_pixels():
    """A crop of the mirrored picture, by the box's mirrored centre, takes the very pixels that the folded matrix
    takes.
    """
    plain, boxes, sizes, scale, rotation, _ = matrices(20, flip=False)
    folded, *_ = matrices(20, flip=True)
    mirrored = boxes.copy()
    mirrored[:, 0] = sizes[:, 0] - 1 - (boxes[:, 0] + boxes[:, 2])
    first = crops.crop_matrices(mirrored, sizes[:, 0], SIZE, scale=scale, rotation=rotation, flip=np.zeros(20, bool))
    x = np.arange(5)
    for i in range(20):
        points = np.stack([x, 2 * x, np.ones(5)])
        reflected = np.stack([sizes[i, 0] - 1 - x, 2 * x, np.ones(5)])
        np.testing.assert_allclose(folded[i] @ points, first[i] @ reflected, atol=1e-9)
    assert not np.allclose(plain, folded)


def test_inverse_and_corner_based_maps():
    out, *_ = matrices(10)
    back = crops.inverse_matrices(out)
    point = np.array([[7.0], [9], [1]])
    there = np.concatenate([out @ point, np.ones((10, 1, 1))], 1)
    np.testing.assert_allclose(back @ there, np.broadcast_to(point[:2], (10, 2, 1)), atol=1e-9)
    # The centre of a pixel is half a pixel from its corner, in both pictures.
    corner = crops.corner_based(out)
    np.testing.assert_allclose(corner @ (point + np.array([[0.5], [0.5], [0]])), out @ point + 0.5, atol=1e-9)


def test_regions_hold_what_a_crop_shows_and_stay_within_the_picture():
    out, _, sizes, *_ = matrices(200)
    back = crops.inverse_matrices(out)
    start, shape = crops.regions(back, sizes, SIZE)
    assert (start >= 0).all()
    assert (shape >= 1).all()
    assert (start + shape <= sizes).all()
    rng = np.random.default_rng(2)
    inside = np.concatenate([rng.uniform(0, 1, (2, 500)) * (np.array(SIZE) - 1)[:, None], np.ones((1, 500))])
    places = back @ inside
    seen = (places >= 0).all(1) & (places <= sizes[:, :, None] - 1).all(1)
    kept = (places >= start[:, :, None]).all(1) & (places <= (start + shape)[:, :, None] - 1).all(1)
    assert (kept | ~seen).all()


def test_a_crop_beside_the_picture_still_has_a_region():
    back = crops.inverse_matrices(np.array([[[1.0, 0, 5000], [0, 1, 5000]]]))
    start, shape = crops.regions(back, np.array([[100, 80]]), SIZE)
    assert (shape >= 1).all()
    assert (start + shape <= [[100, 80]]).all()
