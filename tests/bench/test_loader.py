"""The loader's benchmark runs and writes what it measured. No test asserts a time."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.loader import main
from pgtfast._errors import PgtfastError

pytest.importorskip("nvidia.dali")
Image = pytest.importorskip("PIL.Image")


def material(folder) -> list[str]:
    """Arguments that name three pictures of one person each."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for i in range(3):
        picture = np.kron(rng.integers(0, 255, (12, 10, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{i}.jpg")
        images.append({"id": i, "file_name": f"{i}.jpg", "width": 80, "height": 96})
        points = [40, 40, 2] * 17
        annotations.append({"id": i, "image_id": i, "bbox": [10, 10, 50, 70], "keypoints": points, "category_id": 1})
    path = folder / "people.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return ["--images", str(folder), "--coco", str(path), "--batch", "2", "--rounds", "2", "--window", "0.01"]


@pytest.mark.parametrize("more", [[], ["--picture", "48", "--crop", "48x64"]])
def test_measures_and_writes(tmp_path, capsys, more):
    out = tmp_path / "loader.json"
    assert main([*material(tmp_path), "--json", str(out), *more]) == 0
    assert "loader / decode" in capsys.readouterr().out
    result = json.loads(out.read_text())
    assert result["people"] == 3
    assert max(result["mean_picture"]) == (48 if more else 96)
    for kind in ("decode", "regions", "loader"):
        assert result[kind]["images_per_s"] > 0
    assert result["ratio_low"] <= result["ratio"] <= result["ratio_high"]


def test_wrong_arguments(tmp_path):
    arguments = material(tmp_path)
    with pytest.raises(PgtfastError, match="--crop: wanted WxH"):
        main([*arguments, "--crop", "big"])
    with pytest.raises(PgtfastError, match="is no folder; make it first"):
        main([*arguments, "--json", str(tmp_path / "none" / "x.json")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(PgtfastError, match=r"--images: no picture that .* names is in"):
        main([*arguments, "--images", str(tmp_path / "empty")])
