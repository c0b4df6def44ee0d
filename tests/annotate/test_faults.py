"""What is promised of runs that are killed, starved, raced and lied to: nobody is lost, nobody comes twice, nothing is
read outside the folder.
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgtfast._errors import PgtfastError
from pgtfast.formats import read_records
from pgtfast.images.source import FolderSource
from tests.annotate import children
from tests.annotate.runs import Crowd, annotate, check_same, make_crowd, parts, rows, words


# ---- killed
def test_killed_at_twenty_random_moments(crowd, network, forks, undisturbed, tmp_path):
    out, draw = tmp_path / "run", random.Random(0)
    kept: dict[str, bytes] = {}
    progressed = 0
    for _ in range(20):
        child = forks.Process(target=children.annotate, args=(words(crowd, network, out), tmp_path / "told"))
        child.start()
        wanted = len(kept) + draw.choice((0, 1))
        end = time.monotonic() + (60 if wanted > len(kept) else 0)
        while time.monotonic() < end and child.is_alive() and len(list((out / "annotations").glob("part-*"))) < wanted:
            time.sleep(0.002)
        # while it starts, or soon after a new part, before on a busy machine many more are there
        time.sleep(draw.uniform(0, 0.25 if wanted == len(kept) else 0.02))
        child.kill()
        child.join()
        assert child.exitcode in (-signal.SIGKILL, 0), (tmp_path / "told").read_text()
        now = parts(out)
        assert {name: now.get(name) for name in kept} == kept, "a part that was there has changed"
        assert set(rows(out)) <= set(crowd.ids)
        progressed += len(now) > len(kept)
        kept = now
    assert progressed > 3
    assert annotate(*words(crowd, network, out)) == 0
    check_same(out, undisturbed)


def test_killed_before_each_change_of_the_disk(crowd, network, forks, tmp_path):
    """On one folder, each run dies one change of the disk later than the one before, until one gets through."""
    some = words(crowd, network, tmp_path / "run", "--limit", 5, "--part-size", 2)
    ids = sorted(a["id"] for a in crowd.content["annotations"][:5])
    step, told = 0, tmp_path / "told"
    while True:
        child = forks.Process(target=children.annotate_and_die, args=(some, told, step))
        child.start()
        child.join()
        if (tmp_path / "run").is_dir():
            assert set(rows(tmp_path / "run")) <= set(ids)
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL, told.read_text()
        step += 1
    assert step > 6
    assert sorted(rows(tmp_path / "run")) == ids


# ---- disks
@pytest.fixture
def mounted(tmp_path):
    """Mounts a tmpfs of its own in tmp_path."""
    made: list[Path] = []

    def mount(name: str, options: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
        if done.returncode:
            pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.decode().strip()}")
        if folder not in made:
            made.append(folder)
        return folder

    yield mount
    for folder in made:
        while os.path.ismount(folder):
            subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_loses_nobody(crowd, network, undisturbed, mounted, tmp_path, capsys):
    disk = mounted("disk", "size=200k")
    assert annotate(*words(crowd, network, disk / "run")) == 2
    told = capsys.readouterr().err
    assert "No space left on device" in told or "full" in told
    assert "the same command goes on" in told
    assert 0 < len(parts(disk / "run")) < len(parts(undisturbed))
    assert not list((disk / "run" / "annotations").glob(".*"))
    subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
    assert annotate(*words(crowd, network, disk / "run")) == 0
    check_same(disk / "run", undisturbed)


@pytest.mark.parametrize("begun", [False, True])
def test_a_read_only_output_is_refused(begun, crowd, network, mounted, capsys):
    disk = mounted("disk", "size=20m")
    if begun:
        (disk / "run").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert annotate(*words(crowd, network, disk / "run")) == 2
    assert "cannot be written (Read-only file system)" in capsys.readouterr().err


def test_a_lost_image_folder_stops_the_run_and_makes_nobody_missing(
    crowd, network, undisturbed, tmp_path, capsys, monkeypatch
):
    images, away = tmp_path / "images", tmp_path / "away"
    shutil.copytree(crowd.images, images)
    mine, count = Crowd(crowd.coco, images), [0]
    read = FolderSource.read

    def losing(self, name, place=None):
        count[0] += 1
        if count[0] == 12:
            images.rename(away)
            images.mkdir()  # what is under a mount that went away
        return read(self, name, place)

    with monkeypatch.context() as patch:
        patch.setattr(FolderSource, "read", losing)
        assert annotate(*words(mine, network, tmp_path / "run")) == 2
    assert "the image folder went away" in capsys.readouterr().err
    images.rmdir()
    away.rename(images)
    assert annotate(*words(mine, network, tmp_path / "run")) == 0
    check_same(tmp_path / "run", undisturbed)


def test_trouble_of_the_disk_is_no_missing_image(crowd, monkeypatch):
    pictures = FolderSource(crowd.images)
    with pytest.raises(LookupError, match="missing: No such file"):
        pictures.read("none.jpg")

    def broken(*arguments):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "open", broken)
    with pytest.raises(PgtfastError, match=r"000.jpg: cannot be read .*the same command resumes"):
        pictures.read("000.jpg")


def test_a_lost_output_folder_stops_the_run(crowd, network, undisturbed, tmp_path, capsys, monkeypatch):
    out, count = tmp_path / "run", [0]
    read = FolderSource.read

    def losing(self, name, place=None):
        count[0] += 1
        if count[0] == 12:
            (out / "annotations").rename(tmp_path / "away")
        return read(self, name, place)

    with monkeypatch.context() as patch:
        patch.setattr(FolderSource, "read", losing)
        assert annotate(*words(crowd, network, out)) == 2
    assert "the same command goes on" in capsys.readouterr().err
    (tmp_path / "away").rename(out / "annotations")
    assert annotate(*words(crowd, network, out)) == 0
    check_same(out, undisturbed)


def test_parts_that_vanish_are_made_again_and_changed_ones_refused(crowd, network, undisturbed, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(undisturbed, out)
    gone, changed = sorted((out / "annotations").glob("part-*"))[:2]
    gone.unlink()
    assert annotate(*words(crowd, network, out)) == 0
    assert f"{gone.name}: is in manifest.jsonl but not there" in capsys.readouterr().out
    check_same(out, undisturbed)
    changed.write_bytes(changed.read_bytes() + b"x")
    assert annotate(*words(crowd, network, out)) == 2
    assert f"{changed.name}: has" in capsys.readouterr().err
    changed.unlink()
    assert annotate(*words(crowd, network, out, "--part-size", 7)) == 0
    check_same(out, undisturbed)


def test_a_part_of_another_run_is_found_out(crowd, network, undisturbed, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(undisturbed, out)
    told = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps({**told, "shards": 3}))
    sorted((out / "annotations").glob("part-*"))[0].unlink()
    assert annotate(*words(crowd, network, out)) == 2
    told = capsys.readouterr().err
    assert "the plan has no such part" in told or re.search(r"part-\d+.parquet: holds \d+ people, wanted \d+", told)


# ---- two at once
def test_of_two_runs_on_one_output_the_second_is_refused(crowd, network, forks, undisturbed, tmp_path, capsys):
    out = tmp_path / "run"
    child = forks.Process(target=children.annotate, args=(words(crowd, network, out), tmp_path / "told"))
    child.start()
    while child.is_alive() and not list((out / "annotations").glob("part-*")):
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGSTOP)
    try:
        assert annotate(*words(crowd, network, out)) == 2
        assert "another process is writing this run" in capsys.readouterr().err
    finally:
        os.kill(child.pid, signal.SIGCONT)
    child.join()
    assert child.exitcode == 0, (tmp_path / "told").read_text()
    check_same(out, undisturbed)


# ---- pictures
def test_pictures_of_every_kind(network, tmp_path):
    made = make_crowd(tmp_path / "made", 14, 1, size=(96, 80))
    draw = np.random.default_rng(1)
    noise = draw.integers(0, 256, (80, 96, 3), np.uint8)
    content, folder = made.content, made.images
    names = ["truncated.jpg", "empty.jpg", "cmyk.jpg", "deep.png", "dot.png", "wide.jpg", "claims.png", "text.jpg",
        "pipe.jpg",
             "folder.jpg", "inner.jpg", "outer.jpg", "cut.png", "grey.png"]  # fmt: skip
    for image, name in zip(content["images"], names, strict=True):
        (folder / image["file_name"]).unlink()
        image["file_name"] = name
    Image.fromarray(noise).save(folder / "truncated.jpg")
    whole = (folder / "truncated.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").touch()
    Image.fromarray(noise).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(noise[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.fromarray(np.tile(noise, (1, 209, 1))[:, :20000]).save(folder / "wide.jpg")
    Image.fromarray(noise).save(folder / "claims.png")
    huge = bytearray((folder / "claims.png").read_bytes())
    huge[16:24] = (60000).to_bytes(4, "big") * 2
    (folder / "claims.png").write_bytes(huge)
    (folder / "text.jpg").write_text("not a picture")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "inner.jpg").symlink_to("grey.png")
    (tmp_path / "secret.jpg").write_bytes(whole)
    (folder / "outer.jpg").symlink_to(tmp_path / "secret.jpg")
    Image.fromarray(noise).save(folder / "cut.png")
    cut = bytearray((folder / "cut.png").read_bytes())
    cut[len(cut) // 2 : len(cut) // 2 + 64] = bytes(64)
    (folder / "cut.png").write_bytes(cut)
    Image.fromarray(noise[..., 0]).save(folder / "grey.png")
    sizes = {"dot.png": (1, 1), "wide.jpg": (20000, 80), "claims.png": (60000, 60000)}
    for image in content["images"]:
        image["width"], image["height"] = sizes.get(image["file_name"], (96, 80))
    for entry in content["annotations"]:
        if content["images"][entry["image_id"]]["file_name"] == "dot.png":
            entry["bbox"] = [0, 0, 1, 1]
    made.coco.write_text(json.dumps(content))
    assert annotate(*words(made, network, tmp_path / "run")) == 0
    table = read_records(tmp_path / "run", columns=("image_path", "valid", "reason")).to_pylist()
    told = {row["image_path"]: None if row["valid"] else row["reason"].partition(":")[0] for row in table}
    assert told == {
        "truncated.jpg": "truncated", "empty.jpg": "empty", "cmyk.jpg": None, "deep.png": None, "dot.png": "no-box",
        "wide.jpg": None,
        "claims.png": "too-large", "text.jpg": "format", "pipe.jpg": "missing", "folder.jpg": "missing",
        "inner.jpg": None,
        "outer.jpg": "outside", "cut.png": "decode", "grey.png": None,
    }  # fmt: skip
    assert annotate(*words(made, network, tmp_path / "linked", "--follow-links")) == 0
    linked = {r["image_path"]: r["reason"] for r in read_records(tmp_path / "linked").to_pylist()}
    assert linked["outer.jpg"] is None


def test_a_name_that_is_too_long_is_a_missing_picture(network, tmp_path):
    made = make_crowd(tmp_path / "made", 12, 1)
    content = made.content
    for image, letter in zip(content["images"], "abcdefghijk", strict=False):
        image["file_name"] = letter * 300
    made.coco.write_text(json.dumps(content))
    assert annotate(*words(made, network, tmp_path / "run")) == 0
    told = {row["image_path"]: row["reason"] for row in read_records(tmp_path / "run").to_pylist()}
    assert told == {letter * 300: "missing: File name too long" for letter in "abcdefghijk"} | {"011.jpg": None}


# ---- annotations
def test_annotations_of_every_kind(network, tmp_path):
    made = make_crowd(tmp_path / "made", 12, 1)
    content, outside = made.content, tmp_path / "made" / "outside.jpg"
    shutil.copy(made.images / "000.jpg", outside)
    entries = {entry["image_id"]: entry for entry in content["annotations"]}
    entries[0]["bbox"] = [float("nan"), 0, 10, 10]
    entries[1]["keypoints"][4] = float("nan")
    del entries[2]["id"]
    entries[3]["id"] = entries[4]["id"]
    entries[11]["id"] = -3
    entries[10]["id"] = 2**70
    content["images"][5]["file_name"] = "../outside.jpg"
    content["images"][6]["file_name"] = str(outside)
    content["images"][7]["file_name"] = "a\0b.jpg"
    content["images"][8]["file_name"] = "\ud800.jpg"
    entries[9]["image_id"] = 77
    made.coco.write_text(json.dumps(content))
    assert annotate(*words(made, network, tmp_path / "run")) == 0
    table = read_records(tmp_path / "run").to_pylist()
    assert len(table) == 12
    assert len({(row["image_path"], row["annotation_id"]) for row in table}) == 12
    places = {id(entry): at for at, entry in enumerate(content["annotations"])}
    by_id = {row["annotation_id"]: row for row in table}
    later = max(entries[3], entries[4], key=lambda entry: places[id(entry)])
    wanted = {
        entries[0]["id"]: "bad-box", entries[1]["id"]: "bad-keypoints", -1 - places[id(entries[2])]: "no-id",
        -1 - places[id(later)]: "duplicate-id", entries[5]["id"]: "outside", entries[6]["id"]: "outside",
        entries[7]["id"]: "bad-image",
        entries[8]["id"]: "bad-image", entries[9]["id"]: "no-image", -1 - places[id(entries[10])]: "no-id",
        -1 - places[id(entries[11])]: "no-id", entries[4]["id"]: None,
    }  # fmt: skip
    assert {n: (row["reason"] or "").partition(":")[0] or None for n, row in by_id.items()} == wanted
    assert by_id[entries[4]["id"]]["valid"]
