"""The store: parts appear whole, runs are taken up again, other runs are refused."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.files.atomic import replacing
from pgtfast.people import LAYOUTS, Reason, Skip, empty_people
from pgtfast.people.arrow import to_arrow
from pgtfast.people.columns import SCHEMA
from pgtfast.people.table import objects
from pgtfast.runs import Store, iter_people, iter_records, read_records


def people(ids, valid=True) -> pa.Table:
    count = len(ids)
    one = replace(empty_people("tiny", ids, gender="neutral"), image_path=objects(["a.jpg"] * count))
    if not valid:
        one = replace(one, reason=objects([Skip(Reason.NO_CROP, "a test says so")] * count))
    value = 2.0 if valid else np.nan
    body = {name: np.full((count, width), value) for name, width in LAYOUTS["free"].parameters.items()}
    return to_arrow(one.with_body("free", **body), method="smplify")


def test_what_is_written_is_read(tmp_path):
    with Store(tmp_path / "run", {"steps": 3}) as store:
        store.write_part(people([1, 2]))
        store.write_part(people([3], valid=False))
        assert store.keys() == {("tiny", "a.jpg", k) for k in (1, 2, 3)}
    table = read_records(tmp_path / "run")
    assert table.schema == SCHEMA
    assert table["annotation_id"].to_pylist() == [1, 2, 3]
    assert table["transl"].to_pylist() == [[2, 2, 2], [2, 2, 2], None]
    assert read_records(tmp_path / "run", columns=("valid",)).column_names == ["valid"]


def test_a_run_is_taken_up_again_and_another_is_refused(tmp_path):
    run = tmp_path / "run"
    with Store(run, {"steps": 3, "prior": None}) as store:
        store.write_part(people([1]))
        store.write_run(finished=True)
    with Store(run, {"steps": 3, "prior": None}) as store:
        assert store.finished
        assert len(store.keys()) == 1
        store.write_part(people([2]))
    assert sorted(p.name for p in (run / "annotations").iterdir()) == ["part-00000.parquet", "part-00001.parquet"]
    with pytest.raises(PgtfastError, match=r"another config .steps: 3 there, 4 now"):
        Store(run, {"steps": 4, "prior": None})


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "photo.jpg").write_text("x")
    with pytest.raises(PgtfastError, match=r"holds files but no run.json"):
        Store(tmp_path, {})
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(PgtfastError, match="damaged"):
        Store(tmp_path, {})
    with pytest.raises(PgtfastError, match="cannot be"):
        Store(tmp_path / "photo.jpg", {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_refused(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(PgtfastError, match="cannot be written"):
        Store(tmp_path / "run", {})


def test_leftovers_of_a_killed_run_go(tmp_path):
    run = tmp_path / "run"
    with Store(run, {}) as store:
        store.write_part(people([1]))
    (run / "annotations" / ".part-00001.parquet.abcd.tmp").write_bytes(b"half")
    with Store(run, {}) as store:
        assert len(store.keys()) == 1
        assert not list((run / "annotations").glob(".*"))


def test_a_failed_write_leaves_nothing(tmp_path):
    target = tmp_path / "a.json"
    target.write_text("before")

    def fail():
        with replacing(target) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_damaged_part_is_named(tmp_path):
    with Store(tmp_path / "run", {}) as store:
        path = store.write_part(people([1]))
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(PgtfastError, match=r"part-00000.parquet: not a readable part .* remove it"):
            store.keys()
        pq.write_table(pa.table({"other": [1]}), path)
        with pytest.raises(PgtfastError, match=r"part-00000.parquet: not a readable part"):
            store.keys()


def _open(folder, answer):
    try:
        Store(folder, {})
    except PgtfastError as error:
        answer.put(str(error))
    else:
        answer.put("opened")


def test_one_process_at_a_time(tmp_path):
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    with Store(tmp_path / "run", {}):
        other = context.Process(target=_open, args=(tmp_path / "run", answer))
        other.start()
        assert "another process" in answer.get(timeout=60)
        other.join()


def test_run_json_is_readable(tmp_path):
    with Store(tmp_path / "run", {"steps": 3}) as store:
        store.write_run(counts={"read": 5})
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == {
        "config": {"steps": 3},
        "finished": False,
        "counts": {"read": 5},
    }


def test_the_manifest_names_each_part_and_mends_itself(tmp_path, capsys):
    run = tmp_path / "run"
    with Store(run, {}) as store:
        for number in range(3):
            store.write_part(people([number]))
    lines = (run / "manifest.jsonl").read_text().splitlines(keepends=True)
    assert [json.loads(line)["part"] for line in lines] == [f"part-0000{n}.parquet" for n in range(3)]
    for cut in range(len("".join(lines)) + 1):
        # wherever a kill or a full disk cut it short, the parts that are there are told
        (run / "manifest.jsonl").write_text("".join(lines)[:cut])
        with Store(run, {}) as store:
            assert [note.rows for note in store.notes.values()] == [1, 1, 1]
    assert (run / "manifest.jsonl").read_text() == "".join(lines)
    (run / "annotations" / "part-00001.parquet").unlink()
    capsys.readouterr()
    with Store(run, {}) as store:
        assert sorted(store.notes) == ["part-00000.parquet", "part-00002.parquet"]
    assert "part-00001.parquet: is in manifest.jsonl but not there" in capsys.readouterr().out
    (run / "manifest.jsonl").write_text("no line\n")
    with pytest.raises(PgtfastError, match=r"manifest.jsonl: damaged .*remove it"):
        Store(run, {})


def test_a_part_of_another_size_is_named(tmp_path):
    run = tmp_path / "run"
    with Store(run, {}) as store:
        path = store.write_part(people([1]))
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(PgtfastError, match=r"part-00000.parquet: has \d+ bytes, manifest.jsonl says \d+"):
        Store(run, {})
    path.unlink()
    with Store(run, {}) as store:
        assert store.notes == {}


def test_a_run_killed_before_its_run_json_is_begun_again(tmp_path):
    (tmp_path / "run" / "annotations").mkdir(parents=True)
    (tmp_path / "run" / ".lock").touch()
    with Store(tmp_path / "run", {}) as store:
        store.write_part(people([1]))
    (tmp_path / "run" / "run.json").unlink()
    with pytest.raises(PgtfastError, match=r"holds files but no run.json"):
        Store(tmp_path / "run", {})


def test_a_run_that_made_nothing_is_taken_away(tmp_path):
    with Store(tmp_path / "run", {}) as store:
        store.discard()
    assert not (tmp_path / "run").exists()
    (tmp_path / "mine").mkdir()
    with Store(tmp_path / "mine", {}) as store:
        (tmp_path / "mine" / "notes.txt").touch()
        store.discard()
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_records_come_part_by_part(tmp_path):
    with Store(tmp_path / "run", {}) as store:
        store.write_part(people([1, 2]))
        store.write_part(people([3]))
    parts = list(iter_records(tmp_path / "run", columns=("annotation_id",)))
    assert [part["annotation_id"].to_pylist() for part in parts] == [[1, 2], [3]]


def test_people_come_part_by_part(tmp_path):
    with Store(tmp_path / "run", {}) as store:
        store.write_part(people([1, 2]))
        store.write_part(people([3], valid=False))
    first, second = iter_people(tmp_path / "run")
    assert (first.annotation_id.tolist(), first.has_body.tolist()) == ([1, 2], [True, True])
    assert (second.annotation_id.tolist(), second.has_body.tolist()) == ([3], [False])
    assert second.reason[0].code is Reason.NO_CROP


def test_people_without_a_row_are_told(tmp_path):
    with Store(tmp_path / "run", {}) as store:
        store.write_part(people([1, 2]))
        some = replace(empty_people("tiny", [2, 3, 1]), image_path=objects(["a.jpg", "a.jpg", "b.jpg"]))
        assert store.missing(some).tolist() == [False, True, True]
