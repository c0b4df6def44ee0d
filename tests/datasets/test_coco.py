"""The COCO reader: a real file, and that file damaged in every way."""

from __future__ import annotations

import copy
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgtfast._errors import PgtfastError
from pgtfast.datasets.coco import read_coco_persons, read_coco_wholebody
from pgtfast.datasets.coco_stream import stream_coco_persons
from pgtfast.people import Reason
from tests.helpers.mutation import mutated
from tests.helpers.writers2d import COCO, add_wholebody, coco_content, shared, write_json

GOLDEN = Path(__file__).parents[1] / "golden" / "coco_small.json"
CONTENT = json.loads(GOLDEN.read_text())


def read(tmp_path: Path, content: object):
    path = tmp_path / "people.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_coco_persons(path)


def changed(**changes: object) -> dict:
    """The real file with its first annotation of a person with keypoints changed."""
    content = copy.deepcopy(CONTENT)
    next(a for a in content["annotations"] if a["num_keypoints"] > 10).update(changes)
    return content


def person(people, content: dict) -> int:
    ids = [a["id"] for a in content["annotations"] if a["num_keypoints"] > 10]
    return int(np.flatnonzero(people.annotation_id == ids[0])[0])


def test_real_file():
    people = read_coco_persons(GOLDEN)
    assert len(people) == len(CONTENT["annotations"])
    assert people.dataset == "coco_small"
    for row, entry in enumerate(CONTENT["annotations"]):
        assert people.annotation_id[row] == entry["id"]
        if entry["iscrowd"]:
            assert people.reason[row].startswith("crowd:")
            continue
        assert int((people.keypoints[row, :, 2] > 0).sum()) == entry["num_keypoints"]
        assert (people.reason[row] is None) == (entry["num_keypoints"] > 0)
        np.testing.assert_allclose(people.bbox[row], entry["bbox"])
    usable = np.array([reason is None for reason in people.reason])
    assert usable.sum() >= 8
    assert "usable" in repr(people)
    assert len(people.rows(usable)) == usable.sum()


@pytest.mark.parametrize("way", [read_coco_persons, stream_coco_persons], ids=["whole", "streamed"])
def test_excerpt_of_the_real_layout(way):
    """Crowds with run lengths, outlines, truncated people: pycocotools reads the same of the same file."""
    coco = pytest.importorskip("pycocotools.coco").COCO(COCO)
    parts = [way(COCO)] if way is read_coco_persons else [part for part, _ in way(COCO)]
    seen = set()
    for people in parts:
        for row, annotation_id in enumerate(people.annotation_id.tolist()):
            entry = coco.anns[annotation_id]
            image = coco.imgs[entry["image_id"]]
            seen.add(annotation_id)
            assert people.image_path[row].endswith(image["file_name"])
            assert people.image_size[row].tolist() == [image["width"], image["height"]]
            assert (people.reason[row] is None) == (not entry["iscrowd"] and entry["num_keypoints"] > 0)
            if entry["iscrowd"]:
                continue
            np.testing.assert_allclose(people.bbox[row], entry["bbox"])
            points = np.reshape(entry["keypoints"], (17, 3))
            np.testing.assert_array_equal(people.keypoints[row, :, 2], np.array([0, 0.5, 1])[points[:, 2]])
            known = points[:, 2] > 0
            np.testing.assert_array_equal(people.keypoints[row, known, :2], points[known, :2])
    assert seen == set(coco.anns)


def test_people_of_an_image_are_numbered():
    people = read_coco_persons(GOLDEN)
    for name in set(people.image_path):
        mine = people.person_id[people.image_path == name]
        assert mine.tolist() == list(range(len(mine)))


def test_flags_and_confidences(tmp_path):
    points = [10.0, 20.0, 1] * 5 + [30, 40, 2] * 12
    people = read(tmp_path, changed(keypoints=points))
    weights = people.keypoints[person(people, CONTENT), :, 2]
    assert weights[:5].tolist() == [0.5] * 5
    assert weights[5:].tolist() == [1.0] * 12
    people = read(tmp_path, changed(keypoints=[10.0, 20.0, 0.25] * 17))
    assert people.keypoints[person(people, CONTENT), :, 2].tolist() == [0.25] * 17


def test_numbers_as_strings_are_numbers(tmp_path):
    entry = next(a for a in CONTENT["annotations"] if a["num_keypoints"] > 10)
    as_text = {k: [str(v) for v in entry[k]] for k in ("keypoints", "bbox")}
    people, plain = (
        read(tmp_path, changed(**as_text, id=str(entry["id"]), image_id=str(entry["image_id"]))),
        read_coco_persons(GOLDEN),
    )
    np.testing.assert_array_equal(people.keypoints, plain.keypoints)
    np.testing.assert_array_equal(people.annotation_id, plain.annotation_id)
    assert people.reason.tolist() == plain.reason.tolist()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"keypoints": [1, 2, 2] * 16}, "bad-keypoints: wanted 51 numbers .* got 48"),
        ({"keypoints": "abc"}, "bad-keypoints: wanted 51 numbers"),
        ({"keypoints": None}, "no-keypoints"),
        ({"keypoints": [math.nan, 1, 2] * 17}, "bad-keypoints: x, y of nose"),
        ({"keypoints": [1, [2], 2] * 17}, "bad-keypoints: x, y of nose"),
        ({"keypoints": [1, 2, 3] * 17}, "bad-keypoints: v of nose: wanted 0, 1 or 2"),
        ({"keypoints": [1, 2, -1] * 17}, "bad-keypoints: v of nose"),
        ({"keypoints": [1, 2, None] * 17}, "bad-keypoints: v of nose: wanted a number"),
        ({"keypoints": [0, 0, 0] * 17}, "no-keypoints"),
        ({"bbox": [1, 2, 0, 5]}, "bad-box: .* above 0, got 0 x 5"),
        ({"bbox": [1, 2, 3]}, "bad-box: .* wanted 4 finite"),
        ({"bbox": [1, 2, math.inf, 3]}, "bad-box"),
        ({"image_id": 77}, "no-image: image_id 77"),
        ({"image_id": None}, "no-image"),
        ({"iscrowd": 1}, "crowd"),
    ],
)
def test_a_bad_person_keeps_a_row_with_its_reason(tmp_path, changes, reason):
    content = changed(**changes)
    people = read(tmp_path, content)
    row = person(people, CONTENT)
    assert len(people) == len(CONTENT["annotations"])
    assert re.search(reason, people.reason[row])
    assert not people.keypoints[row].any()
    others = np.arange(len(people)) != row
    plain = read_coco_persons(GOLDEN)
    np.testing.assert_array_equal(people.keypoints[others], plain.keypoints[others])


def test_unlabelled_keypoints_may_hold_anything(tmp_path):
    people = read(tmp_path, changed(keypoints=[math.nan, math.nan, 0] * 8 + [5, 6, 2] * 9))
    row = person(people, CONTENT)
    assert people.reason[row] is None
    assert (people.keypoints[row, :, 2] > 0).sum() == 9


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        (GOLDEN.read_text()[:5000], "not JSON.* truncated"),
        ("[1, 2]", "wanted a JSON object"),
        ("{}", "key 'images': wanted a list of objects .* got none"),
        ('{"images": [], "annotations": {}}', "key 'annotations'"),
        ('{"images": [3], "annotations": []}', r"images\[0\]: wanted an object, got 3"),
        ('{"images": [{"id": 1}, {"id": 1}], "annotations": []}', r"images\[1\]: id 1 is already that of images\[0\]"),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat"}]}',
            "wanted one named 'person', got 'cat'",
        ),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "person", "keypoints": ["nose"]}]}',
            "COCO's 17",
        ),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path, content, message):
    with pytest.raises(PgtfastError, match=message) as error:
        read(tmp_path, content)
    assert "people.json" in str(error.value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, r"^no-id: annotations\[\d+\]: id: wanted a whole number from 0 on, got None"),
        (True, "^no-id: .* got True"),
        ("x", "^no-id: .* got 'x'"),
        (-4, "^no-id: .* got -4"),
    ],
)
def test_a_person_without_an_id_keeps_a_row_with_its_reason(tmp_path, value, reason):
    people = read(tmp_path, changed(id=value))
    rows = np.flatnonzero(people.annotation_id < 0)
    assert people.annotation_id[rows].tolist() == [-1 - rows[0]]
    assert re.search(reason, people.reason[rows[0]])
    assert len(people) == len(CONTENT["annotations"])


def test_the_second_person_of_an_id_has_that_reason(tmp_path):
    content = copy.deepcopy(CONTENT)
    content["annotations"].append({**content["annotations"][0], "id": str(content["annotations"][0]["id"])})
    people, plain = read(tmp_path, content), read_coco_persons(GOLDEN)
    assert people.reason[-1].code is Reason.DUPLICATE_ID
    assert people.reason[:-1].tolist() == plain.reason.tolist()


def test_batches_are_the_whole_in_parts(tmp_path, monkeypatch):
    """Of any size, the people are the same but for the numbers within their images."""
    monkeypatch.setattr("pgtfast.datasets.coco_stream.CHUNK", 3)
    parts = [part for part, _ in stream_coco_persons(COCO)]
    assert {len(part) for part in parts[:-1]} == {3}
    monkeypatch.undo()
    whole = read_coco_persons(COCO)
    np.testing.assert_array_equal(np.concatenate([part.keypoints for part in parts]), whole.keypoints)
    assert np.concatenate([part.reason for part in parts]).tolist() == whole.reason.tolist()
    for name in set(whole.image_path):
        mine = whole.person_id[whole.image_path == name]
        assert mine.tolist() == list(range(len(mine)))


def test_a_file_of_nobody(tmp_path):
    people = read(tmp_path, {"images": [], "annotations": []})
    assert (len(people), people.dataset, people.keypoints.shape) == (0, "people", (0, 17, 3))


def test_a_byte_order_mark_is_skipped(tmp_path):
    (tmp_path / "people.json").write_text(json.dumps(CONTENT), encoding="utf-8-sig")
    whole = read_coco_persons(tmp_path / "people.json")
    streamed = [people for people, _ in stream_coco_persons(tmp_path / "people.json")]
    assert len(whole) == sum(map(len, streamed)) == len(CONTENT["annotations"])


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(PgtfastError, match="no such file"):
        read_coco_persons(tmp_path / "none.json")
    with pytest.raises(PgtfastError, match="cannot be read"):
        read_coco_persons(tmp_path)


def test_other_categories_are_left_out(tmp_path):
    content = changed(category_id=18)
    assert len(read(tmp_path, content)) == len(CONTENT["annotations"]) - 1


@pytest.mark.parametrize("way", [read_coco_persons, stream_coco_persons])
def test_people_are_of_any_category_named_person_however_its_id_is_written(way, tmp_path):
    path = tmp_path / "people.json"

    def people(content: dict) -> int:
        path.write_text(json.dumps(content))
        held = way(path)
        return len(held) if way is read_coco_persons else sum(len(some) for some, _ in held)

    everybody = len(CONTENT["annotations"])
    for told in ("1", 1.0, None):
        assert people(changed(category_id=told)) == everybody
    content = changed(category_id=7)
    content["categories"][0]["id"] = "1"
    assert people(content) == everybody - 1
    content["categories"].append({**content["categories"][0], "id": 7})
    assert people(content) == everybody


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutated_real_file_reads_right_or_says_why(tmp_path, data):
    text = mutated(data.draw, CONTENT)
    try:
        people = read(tmp_path, text)
    except PgtfastError as error:
        if "people.json" in str(error):
            return
        raise
    for row in range(len(people)):
        if people.reason[row] is None:
            points = people.keypoints[row]
            assert np.isfinite(points).all()
            assert (points[:, 2] >= 0).all()
            assert (points[:, 2] <= 1).all()
            assert points[:, 2].any()
            assert (people.image_size[row] > 0).all()
            assert isinstance(people.image_path[row], str)
        else:
            assert not people.keypoints[row].any()


def test_wholebody_of_the_real_sample():
    path = shared("mmpose", "coco", "test_coco_wholebody.json")
    people, body = read_coco_wholebody(path), read_coco_persons(path)
    assert people.landmark_set == "coco_wholebody31"
    np.testing.assert_array_equal(people.keypoints[:, :17], body.keypoints)
    assert people.reason.tolist() == body.reason.tolist()
    raw = json.loads(path.read_text())["annotations"]
    for row, entry in enumerate(raw):
        if people.reason[row] is not None:
            assert not people.keypoints[row].any()
            continue
        for part, start, where in (
            ("foot", 17, range(6)),
            ("lefthand", 23, (5, 9, 13, 17)),
            ("righthand", 27, (5, 9, 13, 17)),
        ):
            wanted = np.reshape(entry[f"{part}_kpts"], (-1, 3))[list(where)]
            got = people.keypoints[row, start : start + len(wanted)]
            known = (wanted[:, 2] > 0) & entry[f"{part}_valid"]
            np.testing.assert_array_equal(got[:, 2] > 0, known)
            np.testing.assert_array_equal(got[known, :2], wanted[known, :2])
    feet = people.keypoints[people.keypoints[:, 17:23, 2].all(1)]
    assert len(feet) >= 3
    # Feet are nearer to the ankle of their side than to the head.
    for ankle, toes in ((15, slice(17, 20)), (16, slice(20, 23))):
        reach = np.linalg.norm(feet[:, toes, :2] - feet[:, ankle, None, :2], axis=-1).max(1)
        assert (reach < 0.5 * np.linalg.norm(feet[:, 0, :2] - feet[:, ankle, :2], axis=-1)).all()


def test_wholebody_parts_may_be_left_away(tmp_path):
    path = write_json(tmp_path / "a.json", add_wholebody(coco_content("coco17")))
    whole = read_coco_wholebody(path)
    for name, count in (("coco17", 17), ("coco17_feet", 23)):
        people = read_coco_wholebody(path, landmark_set=name)
        assert people.landmark_set == name
        np.testing.assert_array_equal(people.keypoints, whole.keypoints[:, :count])
    with pytest.raises(PgtfastError, match="landmark_set: wanted one of coco17, coco17_feet, coco_wholebody31"):
        read_coco_wholebody(path, landmark_set="p2p25")


def test_wholebody_parts_that_are_not_valid_missing_or_damaged(tmp_path):
    content = add_wholebody(coco_content("coco17", people=4))
    first, second, third, fourth = content["annotations"]
    first["lefthand_valid"] = False
    del second["foot_kpts"]
    third["righthand_kpts"] = third["righthand_kpts"][:60]
    fourth["keypoints"] = [0] * 51
    people = read_coco_wholebody(write_json(tmp_path / "a.json", content))
    assert not people.keypoints[0, 23:27].any()
    assert people.keypoints[0, 27:].all()
    assert not people.keypoints[1, 17:23].any()
    assert people.keypoints[1, 23:].all()
    assert people.reason[2].startswith("bad-keypoints: righthand_kpts: wanted 63 numbers")
    assert people.reason[3].startswith("no-keypoints")
    assert not people.keypoints[2:].any()


def test_body_only_file_is_no_wholebody(tmp_path):
    path = write_json(tmp_path / "a.json", coco_content("coco17"))
    assert len(read_coco_persons(path)) == 3
    with pytest.raises(PgtfastError, match=r"a\.json: no annotation has any of foot_kpts.* read_coco_persons"):
        read_coco_wholebody(path)
