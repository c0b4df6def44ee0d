"""The COCO reader against pycocotools, on real annotations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pgtfast.datasets import read_coco_persons

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = sorted([GOLDEN / "coco_small.json", *(GOLDEN / "coco" / "annotations").glob("person_keypoints_*.json")])
coco = pytest.importorskip("pycocotools.coco", reason="pip install 'pgtfast[coco]'")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_people_images_boxes_and_keypoints_are_those_of_pycocotools(path, capsys):
    index = coco.COCO(str(path))
    people = read_coco_persons(path)
    assert sorted(people.annotation_id.tolist()) == sorted(index.getAnnIds())
    assert len(people) > 5
    row_of = {number: row for row, number in enumerate(people.annotation_id.tolist())}
    for image in index.loadImgs(index.getImgIds()):
        entries = index.loadAnns(index.getAnnIds(imgIds=image["id"], iscrowd=False))
        for entry in entries:
            row = row_of[entry["id"]]
            assert people.image_path[row] == image["file_name"]
            assert people.image_size[row].tolist() == [image["width"], image["height"]]
            np.testing.assert_allclose(people.bbox[row], entry["bbox"])
            points = np.reshape(entry["keypoints"], (17, 3))
            labelled = points[:, 2] > 0
            assert labelled.sum() == entry["num_keypoints"]
            np.testing.assert_array_equal(people.keypoints[row, :, 2] > 0, labelled)
            np.testing.assert_allclose(people.keypoints[row, labelled, :2], points[labelled, :2])
            assert people.usable[row] == labelled.any()
        numbers = [people.person_id[row_of[entry["id"]]] for entry in entries]
        assert len(set(numbers)) == len(numbers)
    for number in index.getAnnIds(iscrowd=True):
        assert people.reason[row_of[number]].startswith("crowd:")
