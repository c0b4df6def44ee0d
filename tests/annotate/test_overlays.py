"""Overlays of runs: everybody who was found is drawn on the photo that was looked at, one file an image."""

from __future__ import annotations

import json
from pathlib import Path

from tests.annotate.runs import annotate, words


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
