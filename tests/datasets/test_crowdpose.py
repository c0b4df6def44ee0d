"""The CrowdPose reader, and sizes that are the wrong way round."""

from __future__ import annotations

import logging

import numpy as np

from pgtfast import skeletons
from pgtfast.datasets.crowdpose import read_crowdpose
from pgtfast.images.sizes import check_image_sizes
from tests.helpers.writers2d import coco_content, shared, write_json, write_pictures


def swapped(content: dict) -> dict:
    for image in content["images"]:
        image["width"], image["height"] = image["height"], image["width"]
    return content


def test_real_sample(caplog):
    root = shared("mmpose", "crowdpose")
    people = read_crowdpose(root / "test_crowdpose.json", images=root)
    assert (len(people), sum(r is None for r in people.reason)) == (5, 4)
    assert people.image_size[0].tolist() == [640, 425]
    assert check_image_sizes(people, root).checked == 2
    assert not caplog.records


def test_flip_pairs_are_left_and_right():
    skeleton = skeletons.get("crowdpose14")
    assert sorted(tuple(sorted(pair)) for pair in skeleton.flip_pairs) == [
        (0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11),
    ]  # fmt: skip


def test_swapped_sizes_are_put_right_by_the_pictures(tmp_path, caplog):
    content = coco_content("crowdpose14", people=4)
    write_pictures(tmp_path / "images", content)
    path = write_json(tmp_path / "a.json", swapped(content))
    with caplog.at_level(logging.WARNING):
        people = read_crowdpose(path, images=tmp_path / "images")
    assert people.image_size.tolist() == [[60, 40]] * 4
    assert "3 pictures were swapped" in caplog.text


def test_swapped_sizes_are_put_right_by_the_keypoints(tmp_path):
    content = coco_content("crowdpose14", people=4)
    straight = read_crowdpose(write_json(tmp_path / "a.json", content))
    assert straight.image_size.tolist() == [[60, 40]] * 4
    turned = read_crowdpose(write_json(tmp_path / "b.json", swapped(content)))
    np.testing.assert_array_equal(turned.image_size, straight.image_size)


def test_one_picture_in_another_shape_is_left_alone(tmp_path):
    content = coco_content("crowdpose14", people=4)
    write_pictures(tmp_path, content)
    entry = content["images"][2]
    entry["width"], entry["height"] = 40, 60
    people = read_crowdpose(write_json(tmp_path / "a.json", content), images=tmp_path)
    assert people.image_size.tolist() == [[60, 40]] * 4
    (tmp_path / entry["file_name"]).unlink()
    people = read_crowdpose(write_json(tmp_path / "a.json", content), images=tmp_path)
    assert people.image_size[3].tolist() == [40, 60]
