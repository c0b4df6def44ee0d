"""The page as it is written: whole, of this run, asking nobody for anything; and what the command refuses."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from pgtfast import load_body
from pgtfast._cli import main
from pgtfast._errors import PgtfastError
from pgtfast.formats import Store, read_records
from pgtfast.report._pictures import Photos, vertices_of
from pgtfast.report._run import image_folder
from pgtfast.report._store import bodies_of, open_run
from tests.helpers.bodies import body_arrays, write_pkl
from tests.report.conftest import HOSTILE, PEOPLE
from tests.report.made import SKIPPED, people_data, poses, summary, write_run

BOTH = PEOPLE - SKIPPED - 1


class Elements(HTMLParser):
    """All start tags with their attributes."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, {k: v or "" for k, v in attrs}))


@pytest.fixture(scope="module")
def elements(page) -> list[tuple[str, dict[str, str]]]:
    return Elements(page.read_text()).found


def test_numbers_of_the_page(page, folder):
    told = summary(page)
    valid = [row for row in read_records(folder / "one").to_pylist() if row["valid"]]
    assert (told["people"], told["valid"], told["skipped"]) == (PEOPLE, len(valid), {"no-crop": SKIPPED})
    assert told["metrics"]["reprojection_px"]["mean"] == pytest.approx(
        np.mean([row["reprojection_px"] for row in valid])
    )
    assert told["cut"]["kept"]["people"] + told["cut"]["dropped"]["people"] == len(valid)
    assert told["against"]["both"] == BOTH
    assert told["against"]["distance_mm"] > told["against"]["aligned_mm"] > 0
    text = page.read_text()
    for words in (
        "A against B",
        "Numbers of A",
        "The cut of A",
        "Pose variety",
        "no-crop: a test says so",
        "people with a body in both",
        "12.5",
    ):
        assert words in text
    listed = people_data(page)
    assert listed["total"] == PEOPLE
    assert len(listed["people"]) == PEOPLE
    assert sum(reason == "" for *_, reason in listed["people"]) == len(valid)


def test_nothing_is_fetched(elements):
    policy = next(a["content"] for t, a in elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag, attributes in elements:
        for key in ("src", "href", "srcset", "action", "data"):
            if key in attributes:
                assert attributes[key].startswith(("data:image/", "#")), (tag, key, attributes[key][:80])
        assert not [key for key in attributes if key.startswith("on")], (tag, attributes)
    assert "link" not in {tag for tag, _ in elements}


def test_pictures_can_be_seen_and_are_described(elements):
    images = [a for t, a in elements if t == "img"]
    assert all(a["alt"].strip() for a in images)
    photos = [a for a in images if a["src"].startswith("data:image/jpeg")]
    # three kinds and both sides of the cut at three pictures with two images each, three kinds of pairs with three
    kept = sum(a.get("class") == "one" for a in photos)
    assert kept == sum(t == "figure" and a.get("class") == "card" for t, a in elements)
    assert kept >= 6 * 3 - 2
    sizes = set()
    for attributes in photos:
        with Image.open(io.BytesIO(base64.b64decode(attributes["src"].partition(",")[2]))) as picture:
            sizes.add(picture.size)
            assert picture.size == (int(attributes["width"]), int(attributes["height"]))
            if attributes["class"] == "two":
                # a body in the hue of its run: A's is warm, B's is cold
                pixels = np.asarray(picture.convert("RGB")).astype(int)[:, 216:]
                side = pixels[np.abs(pixels - 244).sum(-1) > 60]
                assert len(side) > 500
                assert (side[:, 0] > side[:, 2]).mean() > 0.9 or "Body of B" in attributes["alt"]
                assert (side[:, 0] < side[:, 2]).mean() > 0.9 or "Body of B" not in attributes["alt"]
    assert sizes == {(210, 280), (426, 280)}
    plots = [a for a in images if a["src"].startswith("data:image/svg")]
    assert len(plots) >= 15
    svg = base64.b64decode(plots[0]["src"].partition(",")[2]).decode()
    assert "quality" in svg or "distance" in svg


def test_strings_of_files_are_only_strings(page, elements):
    assert not [a for _, a in elements if a.get("src") == "x"]
    assert HOSTILE in [name for name, *_ in people_data(page)["people"]]
    assert HOSTILE not in page.read_text()


def test_photos_that_are_missing_are_said(page, tmp_path):
    assert "001.jpg: not in" in page.read_text()
    Image.new("RGB", (7, 7)).save(tmp_path / "0.jpg")
    (tmp_path / "1.jpg").write_bytes(b"no picture")
    Image.new("L", (7, 9)).save(tmp_path / "3.png")
    photos = Photos(tmp_path)
    read = [
        photos.read({"image_path": name, "image_width": 7, "image_height": 9}) for name in ("0.jpg", "1.jpg", "2.jpg")
    ]
    assert read == [None] * 3
    assert photos.problems["0.jpg"] == "is 7 x 7 pixels, the annotations say 7 x 9"
    assert photos.problems["1.jpg"].startswith("cannot be read")
    assert photos.problems["2.jpg"] == f"not in {tmp_path}"
    assert photos.read({"image_path": "3.png", "image_width": 7, "image_height": 9}).shape == (9, 7, 3)


def test_photos_are_turned_as_the_run_turned_them(tmp_path):
    photo = Image.fromarray(np.zeros((6, 8, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "turned.jpg", exif=exif)
    for turn, size in ((False, (8, 6)), (True, (6, 8))):
        row = {"image_path": "turned.jpg", "image_width": size[0], "image_height": size[1]}
        assert Photos(tmp_path, exif=turn).read(row) is not None
        assert Photos(tmp_path, exif=not turn).read(row) is None


def test_a_run_that_knows_its_images(folder, tmp_path):
    run = write_run(tmp_path / "run", poses(4))
    assert image_folder(open_run(run), None) is None
    told = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**told, "images": str(folder / "photos")}))
    assert image_folder(open_run(run), None) == folder / "photos"
    assert image_folder(open_run(run), tmp_path) == tmp_path
    (run / "run.json").write_text(json.dumps({**told, "images": "/not/here"}))
    assert image_folder(open_run(run), None) is None


def test_paths_do_not_leave_the_image_folder(folder):
    photos = Photos(folder / "photos")
    assert photos.path({"image_path": "000.jpg"}) == folder / "photos" / "000.jpg"
    for name in ("../photos/000.jpg", str(folder / "photos" / "000.jpg"), "a/../../photos/000.jpg", None):
        assert photos.path({"image_path": name}) is None
    assert set(photos.problems.values()) == {"leads out of the image folder"}


def test_people_without_keypoints_or_photos(tmp_path, report):
    run = write_run(tmp_path / "run", poses(15), keypoints=False)
    told = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**told, "finished": False}))
    assert report(run, "--people", 2, "--sample", 10) == 0
    page = run / "report" / "index.html"
    text = page.read_text()
    assert "Nobody has a quality to rank by" in text
    assert "give it with --images DIR" in text
    assert "is not finished: this is what it holds so far" in text
    assert len(re.findall(r'<figure class="card"', text)) == 2
    assert (len(people_data(page)["people"]), people_data(page)["total"], summary(page)["people"]) == (10, 15, 15)
    Store(run, told["config"]).close()  # the page in its folder leaves the run a run


def test_bodies_without_scores(tmp_path, report):
    """As a converted file has them: no tables of nothing, no axes to choose from nothing."""
    from pgtfast.convert import ConvertConfig, convert

    def converted(*arguments: object) -> int:
        return main("convert", ConvertConfig, convert, [str(a) for a in arguments])

    run = write_run(tmp_path / "run", poses(6))
    assert converted(run, tmp_path / "a.json", "--to", "neuralannot") == 0
    assert converted(tmp_path / "a.json", tmp_path / "b", "--to", "parquet", "--body-model", "free") == 0
    assert report(tmp_path / "b", "--body", "free") == 0
    text = (tmp_path / "b" / "report" / "index.html").read_text()
    assert "of people with a body" not in text
    assert '<div hidden=""><p class="soft">Across' in text
    assert "no image name, annotation 1" in text


def test_nobody_has_a_body(tmp_path, report, capsys):
    run = write_run(tmp_path / "run", poses(SKIPPED))
    assert report(run, "--out", tmp_path / "new" / "deep") == 0
    told = summary(tmp_path / "new" / "deep" / "index.html")
    assert (told["people"], told["valid"]) == (SKIPPED, 0)
    assert report(run, "--out", tmp_path / "new" / "deep") == 0
    assert "index.html: replaced" in capsys.readouterr().out
    assert report(run, "--rrd", tmp_path / "file.rrd") == 2
    assert "nobody has a body" in capsys.readouterr().err


def test_bodies_of_a_file(tmp_path, report, capsys):
    path = write_pkl(tmp_path / "SMPL_NEUTRAL.pkl", body_arrays("smpl"))
    body = load_body(path)
    run = write_run(tmp_path / "run", poses(3), body=body)
    assert report(run) == 2
    assert "which is not in the package; give the file with --body PATH" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    other = write_pkl(
        tmp_path / "other" / "SMPL_NEUTRAL.pkl", {**body_arrays("smpl"), "J": np.zeros((24, 3), np.float32)}
    )
    assert report(run, "--body", other) == 2
    assert body.source.sha256 in capsys.readouterr().err
    opened = open_run(run)
    assert bodies_of([opened], [str(path)])[0].source.sha256 == body.source.sha256
    with pytest.raises(PgtfastError, match=rf"--body {other}: sha256 .* is of no run here"):
        bodies_of([opened], [str(path), str(other)])
    told = json.loads((run / "run.json").read_text())
    for kind in ("smplx", "smplh", "mano"):
        told["config"]["body"] = {"kind": kind}
        (run / "run.json").write_text(json.dumps(told))
        assert report(run) == 2
        assert f"holds bodies of {kind!r}; pages are made of smpl, free" in capsys.readouterr().err
    drawn = vertices_of([row for row in read_records(run).to_pylist() if row["valid"]], body)
    assert drawn.shape == (1, 6890, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "no run.json, so it is no run"),
        (["one", "--images", "nowhere"], "--images nowhere: no such folder"),
        (["one", "--min-quality", "2"], "wanted a number of quality from 0 to 1"),
        (["one", "--people", "0"], "wanted a whole number of people from 1"),
        (["one", "--against", "nowhere"], "no run.json"),
    ],
)
def test_what_is_refused(arguments, words, folder, report, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    assert report(*arguments) == 2
    assert words in capsys.readouterr().err


def test_damaged_runs_are_refused(tmp_path, report, capsys):
    run = write_run(tmp_path / "run", poses(6))
    part = next((run / "annotations").glob("part-*.parquet"))
    content = part.read_bytes()
    part.write_bytes(content[: len(content) // 2])
    assert report(run) == 2
    assert f"{part}: not a readable part of a run" in capsys.readouterr().err
    (run / "run.json").write_text('{"config": ')
    assert report(run) == 2
    assert "run.json: cannot be read" in capsys.readouterr().err
    (run / "run.json").write_text("[]")
    assert report(run) == 2
    assert "wanted an object with the run's config" in capsys.readouterr().err


def test_only_pages_of_ours_are_replaced(folder, tmp_path, report, capsys):
    (tmp_path / "index.html").write_text("<html>mine</html>")
    assert report(folder / "one", "--out", tmp_path) == 2
    assert "is there and no page of this command" in capsys.readouterr().err
    assert (tmp_path / "index.html").read_text() == "<html>mine</html>"
    assert report(folder / "one", "--out", tmp_path / "index.html") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_an_extra_that_is_missing(folder, report, capsys, monkeypatch):
    for name in [n for n in sys.modules if n.startswith(("pgtfast.report._", "pgtfast.visuals"))]:
        if name != "pgtfast.report._config":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyvista", None)
    assert report(folder / "one") == 2
    assert "pip install 'pgtfast[report]'" in capsys.readouterr().err
