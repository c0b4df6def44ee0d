"""The benchmark of the bulk run goes through all its stages and writes what it measured. No test asserts a time."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.annotate import main
from benchmarks.annotate_set import repeat
from pgtfast._errors import PgtfastError

for needed in ("nvidia.dali", "PIL.Image", "cv2", "pyarrow"):
    pytest.importorskip(needed)
STAGES = {"plan", "decode", "crops", "engine", "bodies", "write", "annotate", "plain"}


@pytest.fixture
def material(tmp_path):
    """COCO annotations of three people in two pictures, a crowd, and a picture that is not there; and the folder."""
    from PIL import Image

    draw = np.random.default_rng(0)
    images = [{"id": at, "file_name": f"{at}.jpg", "width": 80, "height": 96} for at in range(3)]
    for at in range(2):
        noise = draw.integers(0, 255, (12, 10, 3)).astype(np.uint8)
        Image.fromarray(np.kron(noise, np.ones((8, 8, 1), np.uint8))).save(tmp_path / f"{at}.jpg")
    points = [v for _ in range(17) for v in (*draw.uniform(20, 60, 2).tolist(), 2)]
    shown = ((0, 0), (1, 0), (1, 0), (2, 0), (0, 1))
    annotations = [
        {"id": at, "image_id": image, "bbox": [10, 10, 50, 70], "keypoints": points, "category_id": 1, "iscrowd": crowd}
        for at, (image, crowd) in enumerate(shown)
    ]
    path = tmp_path / "people.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path, tmp_path


def words(material, *more: object) -> list[str]:
    coco, images = material
    given = ("--coco", coco, "--images", images, "--batch", 4, "--threads", 1)
    return [str(word) for word in (*given, *more)]


def test_a_set_is_shown_again_under_other_names(material, tmp_path):
    shown = repeat(*material, tmp_path / "set", people=7)
    content = json.loads(shown.coco.read_text())
    assert shown.pictures == len(content["images"]) == 6
    assert len(content["annotations"]) == 9
    names = {entry["id"]: entry["file_name"] for entry in content["images"]}
    assert len(set(names.values())) == 6
    assert all((shown.images / name).is_file() for name in names.values())
    assert len({entry["id"] for entry in content["annotations"]}) == 9
    people_a_picture = np.bincount([entry["image_id"] for entry in content["annotations"]])
    np.testing.assert_array_equal(people_a_picture, [1, 2] * 3)
    assert repeat(*material, tmp_path / "more", images=5).pictures == 6


def test_all_stages_are_measured(material, tmp_path, capsys):
    out = tmp_path / "result.json"
    assert main(words(material, "--people", 9, "--part-size", 4, "--rounds", 2, "--json", out)) == 0
    result = json.loads(out.read_text())
    assert (result["people"], result["images"], result["engine"]) == (9, 6, "torch")
    assert result["gflop_a_crop"] == pytest.approx(0.114, abs=0.001)
    assert result["command"][:3] == ["python", "-m", "benchmarks.annotate"]
    assert set(result["stages"]) == STAGES
    for row in result["stages"].values():
        assert row["people_per_s"] / row["images_per_s"] == pytest.approx(9 / 6)
    assert set(result["ratios"]) == {"slower", "both", "plain"}
    for ratio in result["ratios"].values():
        assert 0 < ratio["low"] <= ratio["median"] <= ratio["high"]
    told = capsys.readouterr().out
    assert all(f"\n{name} " in told for name in STAGES)
    assert "annotate / plain (wanted 3)" in told


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_precision_is_that_of_the_engine(material, tmp_path, engine):
    if engine == "onnxruntime":
        pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    out = tmp_path / "result.json"
    given = ("--people", 3, "--rounds", 1, "--no-plain", "--engine", engine, "--precision", "fp16", "--json", out)
    assert main(words(material, *given)) == 0
    assert json.loads(out.read_text())["engine"] == f"{engine} fp16"


def test_the_plain_pipeline_finds_the_same_bodies(material, tmp_path, monkeypatch):
    from benchmarks import annotate
    from pgtfast.formats import read_records

    kept = {}

    def measured(args, scratch):
        result = measure(args, scratch)
        kept["plain"] = json.loads((scratch / "plain.json").read_text())
        kept["store"] = read_records(scratch / "run").to_pylist()
        return result

    measure = annotate.measure
    monkeypatch.setattr(annotate, "measure", measured)
    assert main(words(material, "--people", 3, "--rounds", 1)) == 0
    assert len(kept["store"]) == len(kept["plain"]) == 3
    for row in kept["store"]:
        plain = kept["plain"][str(row["annotation_id"])]
        pose = row["global_orient"] + row["body_pose"]
        np.testing.assert_allclose(plain["smpl_param"]["pose"], pose, atol=2e-2)
        np.testing.assert_allclose(plain["smpl_param"]["trans"], row["transl"], atol=2e-2, rtol=1e-2)
        np.testing.assert_allclose(plain["cam_param"]["princpt"], row["center"], atol=1e-2)
        assert plain["reprojection_px"] == pytest.approx(row["reprojection_px"], rel=0.02)


def test_a_long_run_is_watched(material, tmp_path, monkeypatch, capsys):
    from benchmarks import annotate_soak

    monkeypatch.setattr(annotate_soak, "EVERY", 0.2)
    out = tmp_path / "soak.json"
    assert main(words(material, "--soak", 8, "--part-size", 4, "--json", out)) == 0
    result = json.loads(out.read_text())
    assert (result["images"], result["people"]) == (8, 12)
    assert max(look["mib"] for look in result["curve"]) > 50
    assert all(a["seconds"] < b["seconds"] for a, b in zip(result["curve"], result["curve"][1:], strict=False))
    assert "in the second" in capsys.readouterr().out


def test_wrong_arguments(material, tmp_path):
    with pytest.raises(PgtfastError, match="--coco, --images: give both or none"):
        main(["--images", str(tmp_path)])
    with pytest.raises(PgtfastError, match="--engine torch runs the checkpoint of --network"):
        main(words(material, "--engine-file", "f.onnx"))
    with pytest.raises(PgtfastError, match="--precision: an engine file has its own"):
        main(words(material, "--engine", "onnxruntime", "--engine-file", "f.onnx", "--precision", "fp16"))
    with pytest.raises(PgtfastError, match="is no folder; make it first"):
        main(words(material, "--json", tmp_path / "none" / "x.json"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(PgtfastError, match=r"--images: no picture of a person that .* names is in"):
        main(words((material[0], tmp_path / "empty")))
