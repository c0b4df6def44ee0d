"""Index files, pictures and WebDataset samples: everybody is found, or it is said why not."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.datasets.listed import read_index, read_samples
from pgtfast.files.tars import tar_members
from pgtfast.images.listing import list_images
from tests.helpers.tars import write_tar


# ---- index files
def test_numbers_of_a_csv_may_change_their_kind_anywhere(tmp_path):
    path = tmp_path / "a.csv"
    rows = ["image_path,x,y,width,height,image_width,image_height,annotation_id,score"]
    rows += [f"{n}.jpg,1,2,30,40,640,480,{n},1" for n in range(70_000)]
    rows += ["last.jpg,1.5,2.5,30.5,40.5,640.0,,7e4,high", "none.jpg,1,2,3,4,,,x,", "no-id.jpg,1,2,3,4,,,,"]
    path.write_text("\n".join(rows))
    held = [people for people, _ in read_index([path], dataset="d")]
    assert sum(map(len, held)) == 70_003
    assert held[0].image_size[5].tolist() == [640, 480]
    assert held[0].annotation_id[5] == 5
    assert all(reason is None for people in held[:-1] for reason in people.reason)
    assert held[-1].image_path[-3] == "last.jpg"
    np.testing.assert_array_equal(held[-1].bbox[-3], [1.5, 2.5, 30.5, 40.5])
    assert held[-1].annotation_id[-3] == 70_000
    assert [str(reason).partition(":")[0] for reason in held[-1].reason[-3:]] == ["None", "no-id", "no-id"]


def test_a_column_that_is_there_twice_is_an_error(tmp_path):
    (tmp_path / "a.csv").write_text("image_path,x,y,width,height,x\na.jpg,1,2,30,40,1\n")
    with pytest.raises(PgtfastError, match=r"a.csv: column x is there 2 times"):
        list(read_index([tmp_path / "a.csv"], dataset="d"))
    (tmp_path / "b.csv").write_text("image_path,x,y,width,height,more,more\na.jpg,1,2,30,40,1,1\n")
    assert len(list(read_index([tmp_path / "b.csv"], dataset="d"))) == 1


def in_parquet(path, box: list, points: list) -> list[str | None]:
    """The reasons of some people."""
    pq.write_table(pa.table({"image_path": ["a.jpg"] * len(box), "bbox_xywh": box, "keypoints": points}), path)
    return [reason for people, _ in read_index([path], dataset="d") for reason in people.reason]


def test_odd_values_of_a_person_are_reasons(tmp_path):
    path, boxes = tmp_path / "a.parquet", [[1.0, 2.0, 30.0, 40.0]] * 3
    good = [[5.0, 6.0, 1.0]] * 17
    assert in_parquet(path, boxes, [good, [None, *good[1:]], [*good[1:], None]]) == [
        None,
        *["bad-keypoints: wanted 51 numbers (x, y, v of 17 joints), got 49"] * 2,
    ]
    assert in_parquet(path, boxes[:1], [1.5]) == ["bad-keypoints: wanted 51 numbers (x, y, v of 17 joints), got 1.5"]
    for box in (1.5, "1234"):
        (reason,) = in_parquet(path, [box], [good])
        assert reason == f"bad-box: wanted 4 finite numbers x, y, width, height, the last two above 0, got {box!r}"
    assert in_parquet(path, [None, [None] * 4], [good] * 2) == [None] * 2


def test_names_that_are_not_unicode_are_said(tmp_path):
    name = pa.array([b"\xff"]).cast(pa.string(), safe=False)
    pq.write_table(pa.table({"image_path": name, "bbox_xywh": [[1, 2, 3, 4]]}), tmp_path / "a.parquet")
    with pytest.raises(PgtfastError, match=r"a.parquet: cannot be read as an index \('utf-8' codec"):
        list(read_index([tmp_path / "a.parquet"], dataset="d"))


# ---- pictures
def test_linked_folders_are_gone_into_where_asked_for_and_never_for_ever(tmp_path):
    root, away = tmp_path / "root", tmp_path / "away"
    for folder in (root / "a", root / "b", away):
        folder.mkdir(parents=True)
        (folder / "x.jpg").write_bytes(b"x")
    (root / "a" / "b").symlink_to(root / "b")
    (root / "b" / "a").symlink_to(root / "a")
    (root / "away").symlink_to(away)
    (away / "up").symlink_to(tmp_path)
    (root / "self").symlink_to(root)
    (root / "nothing").symlink_to(tmp_path / "nothing")
    assert list_images(root) == ["a/x.jpg", "b/x.jpg"]
    found = ["a/b/x.jpg", "a/x.jpg", "away/x.jpg", "b/a/x.jpg", "b/x.jpg"]
    assert list_images(root, follow_links=True) == found


# ---- tars
def test_a_whole_tar(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"./a.jpg": b"x", "b.json": b"y" * 600})
    assert list(tar_members(path)) == [("a.jpg", 512, 1), ("b.json", 1536, 600)]
    assert list(tar_members(write_tar(tmp_path / "none.tar", {}))) == []
    path.write_bytes(path.read_bytes()[: 2560 + 512])
    assert len(list(tar_members(path))) == 2


@pytest.mark.parametrize("case", ["damaged header", "within a header", "between members", "no end mark"])
def test_a_cut_or_damaged_tar_is_said(case, tmp_path):
    path = write_tar(tmp_path / "a.tar", {"a.jpg": b"x", "b.jpg": b"y", "c.jpg": b"z"})
    content = bytearray(path.read_bytes())
    if case == "damaged header":
        content[1024 + 150] ^= 0xFF
    path.write_bytes(content[: {"within a header": 1024 + 300, "between members": 2048, "no end mark": 3072}.get(case)])
    with pytest.raises(PgtfastError, match=r"a.tar: ends without an end mark; truncated or damaged\?"):
        list(tar_members(path))


# ---- WebDataset
PERSON = json.dumps({"bbox": [1, 2, 30, 40], "id": 5}).encode()


def samples(path, members: dict[str, bytes]) -> list[tuple]:
    """Name, id and reason of everybody."""
    write_tar(path, members)
    return [
        (people.image_path[row], int(people.annotation_id[row]), people.reason[row])
        for people, _ in read_samples([path], dataset="d")
        for row in range(len(people))
    ]


def test_people_without_a_picture_beside_them_are_rows(tmp_path):
    members = {
        "about.json": b'{"made": 2020}',
        "a.jpg": b"x",
        "b.json": PERSON,
        "c.jpg": b"x",
        "c.json": PERSON,
        "d.json": PERSON,
        "d.jpg": b"x",
        "d.cam.json": PERSON,
        "e.json": b"{",
        "b.jpg": b"x",
        "f/b.json": PERSON,
    }
    found = samples(tmp_path / "a.tar", members)
    assert [(name, number) for name, number, reason in found if reason is None] == [("c.jpg", 5), ("d.jpg", 5)]
    alone = [(name, number, reason.partition(";")[0]) for name, number, reason in found if reason is not None]
    assert alone == [
        ("b.json", 5, "missing: no picture beside b.json"),
        ("e.json", 0, "missing: no picture beside e.json"),
        ("f/b.json", 5, "missing: no picture beside f/b.json"),
    ]


def test_odd_annotations_of_a_sample_are_rows(tmp_path):
    told = [{"bbox": 5}, {"bbox": {"x": 1}}, {"bbox": [1, 2, 30, 40], "keypoints": 5}, 5]
    found = samples(tmp_path / "a.tar", {"a.jpg": b"x", "a.json": json.dumps(told).encode()})
    assert [reason.partition(":")[0] for *_, reason in found] == [
        "bad-box",
        "bad-box",
        "bad-keypoints",
        "bad-annotation",
    ]


def test_pictures_first_and_their_people_after_is_an_error(tmp_path):
    members = {"a.jpg": b"x", "b.jpg": b"x", "a.json": PERSON, "b.json": PERSON}
    with pytest.raises(PgtfastError, match=r"a.tar: no \*.json has its picture beside it; .* side by side"):
        samples(tmp_path / "a.tar", members)
    with pytest.raises(PgtfastError, match=r"no sample has a \*.json"):
        samples(tmp_path / "a.tar", {"a.jpg": b"x", "about.json": b"{}"})
