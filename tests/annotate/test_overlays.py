"""Overlays of runs: everybody who was found is drawn on the photo that was looked at, one file an image."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgtfast import load_body
from pgtfast.visuals.runs import draw_run
from tests.annotate.runs import Crowd, annotate, make_crowd, words


def drawn(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "overlays").iterdir())


def test_people_without_keypoints_are_drawn(crowd, network, tmp_path, capsys):
    for entry in (content := crowd.content)["annotations"]:
        del entry["keypoints"]
    boxes = crowd._replace(coco=tmp_path / "boxes.json")
    boxes.coco.write_text(json.dumps(content))
    assert annotate(*words(boxes, network, tmp_path / "run", "--overlays", 2)) == 0
    whole = ("--checkpoint", network, "--images", crowd.images, "--whole-images", "--out", tmp_path / "whole")
    assert annotate(*whole, "--overlays", 2) == 0
    assert "no overlay" not in capsys.readouterr().err
    assert len(drawn(tmp_path / "run")) == len(drawn(tmp_path / "whole")) == 2


def photo_of(out: Path, size: tuple[int, int]) -> np.ndarray:
    """The photo at the left of the one overlay."""
    (name,) = drawn(out)
    return np.asarray(Image.open(out / "overlays" / name).convert("RGB"))[: size[1], : size[0]]


def one_picture(folder: Path) -> Crowd:
    """A picture that is bright on the left, with one person who has a box."""
    made = make_crowd(folder, 1, 1)
    content = made.content
    del content["annotations"][0]["keypoints"]
    made.coco.write_text(json.dumps(content))
    Image.fromarray(np.where(np.arange(96) < 48, 255, 0).astype(np.uint8) * np.ones((80, 1), np.uint8)).save(
        made.images / "000.jpg"
    )
    return made


def test_photos_are_turned_where_the_run_turned_them(network, tmp_path, capsys):
    made = one_picture(tmp_path / "made")
    upright = Image.open(made.images / "000.jpg").convert("RGB")
    for orientation, method in ((3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        upright.transpose(method).save(made.images / "000.jpg", exif=exif)
        out = tmp_path / f"run{orientation}"
        assert annotate(*words(made, network, out, "--exif", "--overlays", 1)) == 0
        photo = photo_of(out, (96, 80))
        assert photo[:, :40].min() > 200
        assert photo[:, 56:].max() < 55
    assert "no overlay" not in capsys.readouterr().err


def test_photos_may_be_two_pixels_larger_than_annotated(network, tmp_path):
    made = one_picture(tmp_path / "made")
    Image.new("RGB", (98, 79), (255, 255, 255)).save(made.images / "000.jpg")
    assert annotate(*words(made, network, tmp_path / "run", "--overlays", 1)) == 0
    assert photo_of(tmp_path / "run", (98, 79)).min() > 200


@pytest.mark.parametrize("full", ["overlays", "contact_sheet.jpg"])
def test_a_full_disk_is_told_and_leaves_no_half_picture(full, network, tmp_path, capsys, monkeypatch):
    made, out = one_picture(tmp_path / "made"), tmp_path / "run"
    save = Image.Image.save

    def broken(self, path, *arguments, **named):
        if full in str(path):
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(self, path, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", broken)
        assert annotate(*words(made, network, out, "--overlays", 1)) == 2
    assert re.search(rf"{full}\S*: cannot be written \(No space left on device\)", capsys.readouterr().err)
    assert drawn(out) == ([] if full == "overlays" else ["000.jpg"])
    assert not (out / "contact_sheet.jpg").exists()
    assert annotate(*words(made, network, out, "--overlays", 1)) == 0
    assert (out / "contact_sheet.jpg").is_file()


def test_a_photo_of_too_long_a_path_is_said_to_be_missing(undisturbed, tmp_path, capsys):
    run = shutil.copytree(undisturbed, tmp_path / "run")
    draw_run(run, tmp_path / ("x" * 300), load_body("free"), 1)
    assert "000.jpg: not in" in capsys.readouterr().err
    assert drawn(run) == []


def test_each_image_has_an_overlay_of_its_own(network, tmp_path, capsys):
    made = make_crowd(tmp_path / "made", 6, 1)
    deep = "/".join("d" * 90 for _ in range(3))
    names = ["base.jpg", "base.png", "a/b.jpg", "a__b.jpg", "base-2.jpg", f"{deep}/c.jpg"]
    content = made.content
    for image, name in zip(content["images"], names, strict=True):
        (made.images / name).parent.mkdir(parents=True, exist_ok=True)
        (made.images / image["file_name"]).rename(made.images / name)
        image["file_name"] = name
    made.coco.write_text(json.dumps(content))
    assert annotate(*words(made, network, tmp_path / "run", "--overlays", 6)) == 0
    assert "6 pictures" in capsys.readouterr().out
    files = drawn(tmp_path / "run")
    assert len(files) == 6
    assert {"base.jpg", "base-2.jpg", "a__b.jpg", "a__b-2.jpg"} < set(files)
