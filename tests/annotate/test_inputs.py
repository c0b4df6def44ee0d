"""The same people from every kind of input; what an input lacks is said before anything is written."""

from __future__ import annotations

import csv
import json
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pgtfast import _cli
from pgtfast._errors import PgtfastError
from pgtfast.annotate import AnnotateConfig
from pgtfast.annotate import annotate as run_annotate
from pgtfast.annotate._inputs import open_input
from pgtfast.annotate._plan import Plan, _shard_of, image_key, write_plan
from pgtfast.annotate._spool import split
from pgtfast.datasets import read_coco_persons
from pgtfast.formats import read_records
from pgtfast.runs.parts import part_name
from tests.helpers.tars import write_tar


def annotate(network, out, *arguments) -> int:
    words = ["--checkpoint", network, "--out", out, "--batch-size", 8, "--part-size", 16, *arguments]
    return _cli.main("annotate", AnnotateConfig, run_annotate, [str(word) for word in words])


def found(out) -> dict:
    """What was found of each person, by picture and box."""
    table = read_records(out).to_pylist()
    rows = {(row["image_path"], tuple(row["bbox_xywh"])): row for row in table}
    assert len(rows) == len(table)
    return rows


def check_same(mine: dict, theirs: dict, *, keypoints: bool = True) -> None:
    assert set(mine) == set(theirs)
    for key, row in theirs.items():
        np.testing.assert_allclose(mine[key]["transl"], row["transl"], rtol=2e-3, atol=2e-3)
        if keypoints:
            assert mine[key]["reprojection_px"] == pytest.approx(row["reprojection_px"], rel=2e-3)


@pytest.fixture(scope="module")
def from_coco(crowd, network, tmp_path_factory):
    out = tmp_path_factory.mktemp("inputs") / "run"
    assert annotate(network, out, "--coco", crowd.coco, "--images", crowd.images) == 0
    return out


def pictures(crowd) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(crowd.images.iterdir())}


def test_the_parts_of_a_run_are_an_index(crowd, network, from_coco, tmp_path):
    out = tmp_path / "run"
    assert annotate(network, out, "--index", from_coco / "annotations", "--images", crowd.images) == 0
    check_same(found(out), found(from_coco))
    assert sorted(read_records(out)["annotation_id"].to_pylist()) == crowd.ids


def test_a_csv_of_boxes(crowd, network, from_coco, tmp_path):
    names = {image["id"]: image["file_name"] for image in crowd.content["images"]}
    with open(tmp_path / "boxes.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image_path", "x", "y", "width", "height"))
        writer.writerows((names[a["image_id"]], *a["bbox"]) for a in crowd.content["annotations"])
        writer.writerow(("000.jpg", 1, 2, -3, 4))
    out = tmp_path / "run"
    assert annotate(network, out, "--index", tmp_path / "boxes.csv", "--images", crowd.images) == 0
    table = read_records(out).to_pylist()
    assert sorted(row["annotation_id"] for row in table) == list(range(len(crowd.ids) + 1))
    bad = [row for row in table if not row["valid"]]
    assert [row["reason"].partition(":")[0] for row in bad] == ["bad-box"]
    good = {(row["image_path"], tuple(row["bbox_xywh"])): row for row in table if row["valid"]}
    check_same(good, found(from_coco), keypoints=False)
    assert all(row["image_width"] == 96 for row in good.values()), "sizes come from the pictures"


def test_tars_with_a_coco_file(crowd, network, from_coco, tmp_path):
    held = list(pictures(crowd).items())
    write_tar(tmp_path / "0.tar", dict(held[:10]))
    write_tar(tmp_path / "1.tar", dict(held[10:-1]))
    out, tars = tmp_path / "run", [tmp_path / "0.tar", tmp_path / "1.tar"]
    assert annotate(network, out, "--coco", crowd.coco, "--images", *tars) == 0
    table = read_records(out).to_pylist()
    missing = {row["image_path"] for row in table if not row["valid"]}
    assert missing == {held[-1][0]}
    assert all(row["reason"] == "missing: not in the tars" for row in table if not row["valid"])
    theirs = {key: row for key, row in found(from_coco).items() if key[0] not in missing}
    check_same({key: row for key, row in found(out).items() if key[0] not in missing}, theirs)


def test_a_run_goes_on_with_its_own_pictures(crowd, network, tmp_path, capsys):
    """The plan knows pictures in tars by their places; and a wrong folder must not make everybody missing."""
    held = list(pictures(crowd).items())
    write_tar(tmp_path / "0.tar", dict(held[:10]))
    write_tar(tmp_path / "1.tar", dict(held[10:]))
    words = ["--coco", crowd.coco, "--part-size", "4", "--images"]
    tars = [tmp_path / "0.tar", tmp_path / "1.tar"]
    unfinished(network, tmp_path / "run", *words, *tars)
    for others in (tars[::-1], tars[:1]):
        assert annotate(network, tmp_path / "run", *words, *others) == 2
        assert "tars" in capsys.readouterr().err
    assert annotate(network, tmp_path / "run", *words, *tars) == 0
    (tmp_path / "empty").mkdir()
    unfinished(network, tmp_path / "run2", *words, crowd.images)
    assert annotate(network, tmp_path / "run2", *words, tmp_path / "empty") == 2
    assert "images looked for is in" in capsys.readouterr().err
    assert annotate(network, tmp_path / "run2", *words, crowd.images) == 0
    for run in ("run", "run2"):
        assert all(row["valid"] for row in read_records(tmp_path / run).to_pylist())


def unfinished(network, out, *words) -> None:
    """A run whose last parts are not there yet."""
    kept = {}

    def keep(path):
        kept["plan"] = path.read_bytes()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pgtfast.annotate._run._finish", lambda store, plan, *_: keep(plan.path))
        assert annotate(network, out, *words) == 0
    parts = sorted((out / "annotations").glob("part-*"))
    assert len(parts) > 2
    for part in parts[1:]:
        part.unlink()


def test_webdataset_samples(crowd, network, from_coco, tmp_path):
    content, members = crowd.content, {}
    for image in content["images"]:
        key = image["file_name"].removesuffix(".jpg")
        of_it = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        told: object = {"annotations": of_it, "width": 96, "height": 80}
        if len(of_it) == 1:
            told = of_it[0]
        members[f"{key}.json"] = json.dumps(told).encode()
        members[f"{key}.jpg"] = (crowd.images / image["file_name"]).read_bytes()
        members[f"{key}.txt"] = b"other"
    members["x/bad.jpg"], members["x/bad.json"] = members["000.jpg"], b"{"
    members["x/none.jpg"], members["x/none.json"] = members["000.jpg"], b"[]"
    write_tar(tmp_path / "a.tar", members)
    assert annotate(network, tmp_path / "run", "--images", tmp_path / "a.tar") == 0
    table = read_records(tmp_path / "run").to_pylist()
    assert [(r["image_path"], r["reason"].partition(":")[0]) for r in table if not r["valid"]] == [
        ("x/bad.jpg", "bad-annotation")
    ]
    mine = {(row["image_path"], tuple(row["bbox_xywh"])): row for row in table if row["valid"]}
    check_same(mine, found(from_coco))


def test_whole_images(crowd, network, tmp_path, capsys):
    assert annotate(network, tmp_path / "run", "--whole-images", "--images", crowd.images) == 0
    table = read_records(tmp_path / "run").to_pylist()
    assert sorted(row["image_path"] for row in table) == sorted(p.name for p in crowd.images.iterdir())
    assert all(row["valid"] and row["bbox_xywh"] == [0, 0, 96, 80] for row in table)
    capsys.readouterr()
    assert annotate(network, tmp_path / "other", "--images", crowd.images, "--whole-images", "--dataset", "mine") == 0
    assert set(read_records(tmp_path / "other")["dataset"].to_pylist()) == {"mine"}


def test_whole_images_of_all_kinds_and_in_linked_folders(crowd, network, tmp_path):
    images, away = tmp_path / "images", tmp_path / "away"
    images.mkdir()
    away.mkdir()
    with Image.open(crowd.images / "000.jpg") as picture:
        for kind in ("jpg", "png", "webp", "bmp", "tif", "ppm", "jp2"):
            picture.save((away if kind == "png" else images) / f"a.{kind}")
    (images / "link").symlink_to(away)
    assert annotate(network, tmp_path / "run", "--whole-images", "--images", images, "--follow-links") == 0
    table = read_records(tmp_path / "run").to_pylist()
    assert [(row["image_path"], row["reason"]) for row in table if not row["valid"]] == []
    names = {f"a.{kind}" for kind in ("jpg", "webp", "bmp", "tif", "ppm", "jp2")}
    assert {row["image_path"] for row in table} == {*names, "link/a.png"}


BAD = {
    "nothing": (["--images", "{images}"], "give one of them"),
    "two": (["--images", "{images}", "--coco", "x", "--index", "y"], "--coco, --index: give one of them"),
    "index": (["--images", "{images}", "--index", "{d}/none.csv"], "none.csv: no such file"),
    "columns": (["--images", "{images}", "--index", "{d}/bad.parquet"], "wanted columns image_path and bbox_xywh"),
    "no parquet": (["--images", "{images}", "--index", "{d}/folder"], "no *.parquet in it"),
    "text": (["--images", "{images}", "--index", "{d}/text.parquet"], "cannot be read as an index"),
    "tar": (["--images", "{d}/none.tar"], "none.tar: no such file"),
    "no tar": (["--images", "{d}/text.tar"], "cannot be read as an uncompressed tar"),
    "no samples": (["--images", "{d}/plain.tar"], "no sample has a *.json"),
    "no coco": (["--images", "{images}", "--coco", "{d}/empty.json"], "empty.json: key 'images': wanted a list"),
    "no annotations": (["--images", "{images}", "--coco", "{d}/images.json"], "images.json: key 'annotations': "
                                                                              "wanted a"),
    "no pictures": (["--images", "{d}/folder", "--whole-images"], "folder: no pictures in it (*.jpg"),
    "two folders": (["--images", "{images}", "{d}", "--whole-images"], "wanted one folder, or tars"),
    "other images": (["--images", "{d}/folder", "--index", "{d}/good.csv"], "none of 1 images looked for"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_inputs_are_said_and_leave_nothing(case, crowd, network, tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    pq.write_table(pa.table({"name": ["a"]}), tmp_path / "bad.parquet")
    (tmp_path / "text.parquet").write_text("text")
    (tmp_path / "text.tar").write_text("text" * 999)
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "images.json").write_text('{"images": []}')
    (tmp_path / "good.csv").write_text("image_path,x,y,width,height\na.jpg,1,2,30,40\n")
    write_tar(tmp_path / "plain.tar", {"a.jpg": b"x"})
    words, message = BAD[case]
    given = [word.format(d=tmp_path, images=crowd.images) for word in words]
    if case == "nothing":
        assert annotate(network, tmp_path / "run", *given) == 2
        assert "a folder says nothing of the people in it" in capsys.readouterr().err
        return
    try:
        code = annotate(network, tmp_path / "run", *given)
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


# ---- the plan
def options(crowd, *more):
    words = ["--checkpoint", "x", "--coco", crowd.coco, "--images", crowd.images, "--out", "x", *more]
    return _cli.parse("annotate", AnnotateConfig, [str(word) for word in words])


def test_the_plan_has_everybody_once_and_pictures_whole(crowd, tmp_path):
    write_plan(tmp_path / "plan", open_input(options(crowd)), part_size=5, shards=None)
    plan = Plan(tmp_path / "plan")
    assert plan.people == len(crowd.ids)
    assert plan.shards == -(-len(crowd.ids) // 5)
    whole = read_coco_persons(crowd.coco)
    row_of = {int(number): row for row, number in enumerate(whole.annotation_id)}
    where: dict[str, int] = {}
    seen = []
    for number, people in plan.sizes.items():
        shard = plan.load(number).people
        assert len(shard) == people
        for at, key in enumerate(shard.annotation_id):
            row = row_of[int(key)]
            seen.append(int(key))
            assert where.setdefault(shard.image_path[at], number) == number
            assert shard.image_path[at] == whole.image_path[row]
            assert shard.reason[at] == whole.reason[row]
            assert shard.person_id[at] == whole.person_id[row]
            np.testing.assert_array_equal(shard.bbox[at], whole.bbox[row])
            np.testing.assert_array_equal(shard.image_size[at], whole.image_size[row])
            np.testing.assert_allclose(shard.keypoints[at], whole.keypoints[row], rtol=1e-6)
    assert sorted(seen) == crowd.ids
    numbers = [number for number in range(plan.shards) if number in plan.sizes]
    assert plan.left({part_name(numbers[0])}) == numbers[1:]


def test_shards_are_the_same_everywhere():
    assert image_key("coco", "a/b.jpg", 1) == image_key("coco", "a/b.jpg", 2) == 4324355255758957478
    assert image_key("coco", None, 1) != image_key("coco", None, 2)


def test_a_damaged_plan_is_named(crowd, tmp_path):
    path = tmp_path / "plan.arrow"
    path.write_bytes(b"x" * 5000)
    with pytest.raises(PgtfastError, match=r"plan.arrow: not a readable plan .*remove the file"):
        Plan(path)
    with pa.ipc.new_file(path, pa.schema([("a", pa.int64())])):
        pass
    with pytest.raises(PgtfastError, match=r"plan.arrow: not a readable plan .*remove the file"):
        Plan(path)
    write_plan(path, open_input(options(crowd)), part_size=5, shards=None)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(PgtfastError, match=r"plan.arrow: not a readable plan .*remove the file"):
        Plan(path)


def test_shards_follow_from_keys_alone():
    keys = np.array([0, 1, 2**62 - 1, 2**62, 2**63 - 1, 4324355255758957478], np.uint64)
    for shards in (1, 2, 3, 64, 1000, 2**31 - 1):
        assert _shard_of(keys, shards).tolist() == [int(key) * shards >> 63 for key in keys]
    rows = dict(split(keys))
    assert {bucket: keys[at].tolist() for bucket, at in rows.items()} == {
        bucket: [int(key) for key in keys if int(key) >> 57 == bucket] for bucket in rows
    }
    assert sum(map(len, rows.values())) == len(keys)


def test_shards_may_be_wider_than_buckets_and_narrower(crowd, tmp_path):
    source = open_input(options(crowd))
    for part_size in (1, 7, 1000):
        write_plan(tmp_path / "plan", source, part_size=part_size, shards=None)
        plan = Plan(tmp_path / "plan")
        loaded = [plan.load(number).people for number in plan.sizes]
        assert [len(people) for people in loaded] == list(plan.sizes.values())
        assert sorted(int(number) for people in loaded for number in people.annotation_id) == crowd.ids


def test_memory_does_not_grow_with_the_file(crowd, tmp_path, monkeypatch):
    monkeypatch.setattr("pgtfast.datasets.coco_stream.CHUNK", 256)
    monkeypatch.setattr("pgtfast.files.json_entries.BLOCK", 1 << 14)
    entry, most = crowd.content["annotations"][0], []
    images = [{**crowd.content["images"][0], "id": number, "file_name": f"{number}.jpg"} for number in range(500)]
    for count in (2000, 8000):
        path = tmp_path / "large.json"
        with open(path, "w") as file:
            file.write('{"annotations": [')
            file.write(
                ",".join(json.dumps({**entry, "id": number, "image_id": number % 500}) for number in range(count))
            )
            file.write('], "images": [' + ",".join(map(json.dumps, images)) + "]}")
        source = open_input(options(crowd._replace(coco=path)))
        peaks = []
        for _ in range(2):  # the interpreter's own tables may grow in one of them
            tracemalloc.start()
            write_plan(tmp_path / "plan", source, part_size=1000, shards=None)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        most.append(min(peaks))
        assert Plan(tmp_path / "plan").people == count
    assert path.stat().st_size > 2.5e6
    assert most[1] < 1.2 * most[0], most
