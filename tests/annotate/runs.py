"""A made-up set of a few pictures with a few people each, and runs over it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from pgtfast import _cli
from pgtfast.annotate import AnnotateConfig
from pgtfast.annotate import annotate as run_annotate
from pgtfast.formats import read_records

COMPARED = ("annotation_id", "transl", "body_pose", "reprojection_px", "valid", "reason")


class Crowd(NamedTuple):
    """A COCO file and its pictures."""

    coco: Path
    images: Path

    @property
    def content(self) -> dict:
        return json.loads(self.coco.read_text())

    @property
    def ids(self) -> list[int]:
        return sorted(a["id"] for a in self.content["annotations"])


def make_crowd(folder: Path, pictures: int, people: int, size: tuple[int, int] = (96, 80)) -> Crowd:
    """Pictures of noise, from one to `people` in each."""
    draw = np.random.default_rng(0)
    images, annotations = [], []
    (folder / "images").mkdir(parents=True)
    for at in range(pictures):
        name = f"{at:03d}.jpg"
        noise = Image.fromarray(draw.integers(0, 256, (10, 12, 3), np.uint8)).resize(size)
        noise.save(folder / "images" / name)
        images.append({"id": at, "file_name": name, "width": size[0], "height": size[1]})
        for _ in range(1 + at % people):
            x, y = draw.integers(0, 40, 2).tolist()
            points = [v for _ in range(17) for v in (*draw.uniform(5, 70, 2).round(2).tolist(), 2)]
            entry = {"id": 100 + len(annotations), "image_id": at, "bbox": [x, y, 40, 36], "keypoints": points}
            annotations.append(entry)
    draw.shuffle(annotations)
    path = folder / "crowd.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return Crowd(path, folder / "images")


def words(crowd: Crowd, network: Path, out: Path, *more: object) -> list[str]:
    given = ("--checkpoint", network, "--coco", crowd.coco, "--images", crowd.images, "--out", out, "--batch-size", 4)
    return [str(word) for word in (*given, "--part-size", 1, "--loader-threads", 1, *more)]


def annotate(*arguments: object) -> int:
    return _cli.main("annotate", AnnotateConfig, run_annotate, [str(a) for a in arguments])


def parts(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "annotations").glob("part-*")}


def rows(out: Path) -> dict[int, dict]:
    """The store by id; nobody is there twice."""
    table = read_records(out, columns=COMPARED).to_pylist()
    found = {row["annotation_id"]: row for row in table}
    assert len(found) == len(table), "somebody is there twice"
    return found


def check_same(out: Path, reference: Path) -> None:
    """All are there, as in a run that nothing happened to."""
    mine, theirs = rows(out), rows(reference)
    assert sorted(mine) == sorted(theirs)
    for number, row in theirs.items():
        assert (mine[number]["valid"], mine[number]["reason"]) == (row["valid"], row["reason"])
        if row["valid"]:
            for name in ("transl", "body_pose", "reprojection_px"):
                np.testing.assert_allclose(mine[number][name], row[name], rtol=2e-3, atol=2e-3)
    assert json.loads((out / "run.json").read_text())["finished"]
    noted = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert {note["part"]: note["bytes"] for note in noted} == {name: len(data) for name, data in parts(out).items()}
    assert sorted(p.name for p in out.iterdir()) == [".lock", "annotations", "manifest.jsonl", "run.json"]
