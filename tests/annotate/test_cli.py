"""``python -m pgtfast.annotate`` as a user runs it, with an untrained network: who is annotated, once each, and what is
said of the others."""

from __future__ import annotations

import json
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pgtfast import _cli, load_body
from pgtfast.annotate import AnnotateConfig
from pgtfast.annotate import annotate as run_annotate
from pgtfast.formats import SCHEMA, read_neuralannot, read_records
from pgtfast.networks import Annotator, NetworkConfig
from pgtfast.networks.files import save_annotator

GOLDEN = Path(__file__).parents[1] / "golden" / "coco_small.json"
CONTENT = json.loads(GOLDEN.read_text())
NETWORK = NetworkConfig(depth=18, width=8, input_size=(96, 128), mode="improved", normalize="imagenet")
FOUND = (
    "global_orient",
    "body_pose",
    "betas",
    "transl",
    "focal",
    "center",
    "camera_model",
    "prior_energy",
    "limit_violation",
)


def annotate(*arguments: object, check: int | None = 0) -> str:
    """Run in this process; what it said on stderr and stdout is the caller's to capture."""
    given = [str(a) for a in arguments]
    try:
        code = _cli.main("annotate", AnnotateConfig, run_annotate, given)
    except SystemExit as error:
        code = error.code
    if check is not None:
        assert code == check
    return code


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("network") / "annotator.ckpt"
    torch.manual_seed(0)
    save_annotator(path, Annotator(NETWORK), sets=("p2p25", "coco17"))
    return path


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """Made-up photos: one is missing, one damaged, one of another size than annotated."""
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0)
    for image in CONTENT["images"]:
        small = noise.integers(0, 256, (12, 16, 3), np.uint8)
        Image.fromarray(small).resize((image["width"], image["height"])).save(folder / image["file_name"])
    return folder


@pytest.fixture(scope="session")
def run(tmp_path_factory, checkpoint, photos) -> Path:
    """A finished run with pictures and an export."""
    out = tmp_path_factory.mktemp("annotate") / "run"
    annotate(
        "--checkpoint",
        checkpoint,
        "--coco",
        GOLDEN,
        "--images",
        photos,
        "--out",
        out,
        "--overlays",
        3,
        "--export",
        "neuralannot",
        "--batch-size",
        7,
        "--part-size",
        10,
        "--flip-test",
        "--jitter",
        2,
    )
    return out


def test_every_annotation_is_there_once(run):
    table = read_records(run)
    assert table.schema == SCHEMA
    assert sorted(table["annotation_id"].to_pylist()) == sorted(a["id"] for a in CONTENT["annotations"])
    assert len(list((run / "annotations").iterdir())) > 1
    given = {a["id"]: a for a in CONTENT["annotations"]}
    for row in table.to_pylist():
        entry = given[row["annotation_id"]]
        assert row["method"] == "pgtfast-annotator"
        if entry["iscrowd"]:
            assert row["reason"].startswith("crowd")
        if not row["valid"]:
            assert all(row[key] is None for key in FOUND)
            continue
        assert row["reason"] is None
        assert all(row[key] is not None for key in FOUND)
        assert row["flip_disagreement_mm"] > 0
        assert row["jitter_mm"] > 0
        assert 0 <= row["truncation"] <= 1
        seen = sum(v > 0 for v in entry["keypoints"][2::3])
        assert row["visible_keypoints"] == seen
        assert (row["reprojection_px"] is None) == (seen == 0)
        assert 0 <= row["quality"] <= 1  # also of people without keypoints
        assert row["latent"] is not None
        assert row["prior"] == "free-1"


def test_people_without_keypoints_are_annotated_too(run):
    valid = [row for row in read_records(run).to_pylist() if row["valid"]]
    bare = [row for row in valid if row["visible_keypoints"] == 0]
    assert bare
    assert all(row["landmarks_2d"] is None for row in bare)
    assert {row["reason"].partition(":")[0] for row in read_records(run).to_pylist() if not row["valid"]} <= {
        "crowd",
        "no-box",
    }


def test_run_json(run):
    told = json.loads((run / "run.json").read_text())
    assert told["finished"]
    assert told["counts"]["read"] == told["counts"]["written"] == len(CONTENT["annotations"])
    assert told["counts"]["valid"] + sum(told["counts"]["skipped"].values()) == told["counts"]["read"]
    assert told["config"]["engine"] == "torch"
    assert told["rates"]["people_per_second"] > 0


def test_the_export_projects_to_the_same_error(run):
    held = read_neuralannot(next((run / "export").glob("*_FREE_NeuralAnnot.json")))
    rows = {row["annotation_id"]: row for row in read_records(run).to_pylist() if row["valid"]}
    assert sorted(held.annotation_id.tolist()) == sorted(rows)
    plan = load_body("free").to(dtype=torch.float64).landmarks("coco17")
    pose, shape, trans = (torch.tensor(v) for v in (held.pose, held.body["betas"], held.body["transl"]))
    points = plan(global_orient=pose[:, :3], body_pose=pose[:, 3:], betas=shape, transl=trans).numpy()
    seen = points[..., :2] / points[..., 2:] * held.focal[:, None] + held.center[:, None]
    for number, pixels in zip(held.annotation_id, seen, strict=True):
        if rows[number]["landmarks_2d"] is None:
            continue
        given = np.array(rows[number]["landmarks_2d"])
        used = given[:, 2] > 0
        error = np.linalg.norm(pixels - given[:, :2], axis=1)[used].mean()
        assert abs(error - rows[number]["reprojection_px"]) < 1e-2


def test_who_is_below_a_quality_is_left_out_of_the_export(run, checkpoint, photos, tmp_path, capsys):
    copy = shutil.copytree(run, tmp_path / "run")
    qualities = {row["annotation_id"]: row["quality"] for row in read_records(run).to_pylist() if row["valid"]}
    least = float(np.median(list(qualities.values())))
    annotate(
        "--checkpoint",
        checkpoint,
        "--coco",
        GOLDEN,
        "--images",
        photos,
        "--out",
        copy,
        "--export",
        "neuralannot",
        "--flip-test",
        "--jitter",
        2,
        "--min-quality",
        least,
    )
    held = read_neuralannot(next((copy / "export").glob("*.json")))
    assert set(held.annotation_id.tolist()) == {n for n, q in qualities.items() if q >= np.float32(least)}
    assert f"{len(qualities) - len(held.annotation_id)} are left out" in capsys.readouterr().out


def test_pictures(run):
    drawn = {p.stem for p in (run / "overlays").iterdir()}
    assert drawn
    assert drawn <= {Path(i["file_name"]).stem for i in CONTENT["images"]}
    assert (run / "contact_sheet.jpg").stat().st_size > 5000


def test_a_finished_run_is_recognised_and_another_config_refused(run, checkpoint, photos, tmp_path, capsys):
    before = {p: p.stat().st_mtime_ns for p in (run / "annotations").iterdir()}
    given = ("--coco", GOLDEN, "--images", photos, "--out", run)
    annotate("--checkpoint", checkpoint, *given, "--flip-test", "--jitter", 2)
    assert "finished already" in capsys.readouterr().out
    annotate("--checkpoint", checkpoint, *given, "--jitter", 2, check=2)
    assert "flip_test: True there, False now" in capsys.readouterr().err
    torch.manual_seed(1)
    save_annotator(tmp_path / "other.ckpt", Annotator(NETWORK), sets=("p2p25", "coco17"))
    annotate("--checkpoint", tmp_path / "other.ckpt", *given, "--flip-test", "--jitter", 2, check=2)
    assert "another config (network:" in capsys.readouterr().err
    assert before == {p: p.stat().st_mtime_ns for p in (run / "annotations").iterdir()}


def test_the_backbone_in_float16_is_another_config(run, checkpoint, photos, tmp_path, capsys):
    given = ("--checkpoint", checkpoint, "--coco", GOLDEN, "--images", photos, "--precision", "fp16")
    annotate(*given, "--out", tmp_path / "half")
    assert json.loads((tmp_path / "half" / "run.json").read_text())["config"]["engine"] == "torch fp16"
    mine, theirs = (
        {row["annotation_id"]: row for row in read_records(out).to_pylist()} for out in (tmp_path / "half", run)
    )
    apart = [
        np.abs(np.subtract(mine[k]["body_pose"], row["body_pose"])).max() for k, row in theirs.items() if row["valid"]
    ]
    assert 0 < max(apart) < 0.05
    annotate(*given, "--out", run, "--flip-test", "--jitter", 2, check=2)
    assert "engine: 'torch' there, 'torch fp16' now" in capsys.readouterr().err


def test_bad_pictures_are_rows_with_reasons(checkpoint, photos, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    names = [image["file_name"] for image in CONTENT["images"]]
    for name in names[1:]:
        (folder / name).write_bytes((photos / name).read_bytes())
    content = (folder / names[1]).read_bytes()
    (folder / names[1]).write_bytes(content[: len(content) // 2])
    Image.new("RGB", (8, 8)).save(folder / names[2])
    annotate(
        "--checkpoint", checkpoint, "--coco", GOLDEN, "--images", folder, "--out", tmp_path / "run", "--batch-size", 4
    )
    rows = read_records(tmp_path / "run").to_pylist()
    assert sorted(row["annotation_id"] for row in rows) == sorted(a["id"] for a in CONTENT["annotations"])
    by_name = {
        name: [r for r in rows if r["image_path"] == name and not str(r["reason"]).startswith("crowd")]
        for name in names
    }
    for name, code in zip(names[:3], ("missing", "truncated", "size"), strict=True):
        assert {row["reason"].partition(":")[0] for row in by_name[name]} <= {code, "no-box"}, name
    assert any(row["valid"] for name in names[3:] for row in by_name[name])


def test_a_killed_run_is_taken_up_and_no_one_comes_twice(checkpoint, photos, tmp_path):
    arguments = [
        "--checkpoint",
        checkpoint,
        "--coco",
        GOLDEN,
        "--images",
        photos,
        "--out",
        tmp_path / "run",
        "--part-size",
        1,
        "--batch-size",
        1,
        "--threads",
        1,
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "pgtfast.annotate", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    parts = tmp_path / "run" / "annotations"
    deadline = time.monotonic() + 120
    while not (parts.is_dir() and len(list(parts.glob("part-*"))) >= 2) and time.monotonic() < deadline:
        assert process.poll() is None or parts.is_dir()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len(read_records(tmp_path / "run"))
    assert kept > 0
    annotate(*arguments)
    ids = read_records(tmp_path / "run")["annotation_id"].to_pylist()
    assert sorted(ids) == sorted(a["id"] for a in CONTENT["annotations"])


def test_batches_and_parts_do_not_change_the_result(run, checkpoint, photos, tmp_path):
    annotate(
        "--checkpoint",
        checkpoint,
        "--coco",
        GOLDEN,
        "--images",
        photos,
        "--out",
        tmp_path / "run",
        "--batch-size",
        3,
        "--limit",
        9,
    )
    rows = {row["annotation_id"]: row for row in read_records(run).to_pylist()}
    for row in read_records(tmp_path / "run").to_pylist():
        for name in ("transl", "betas", "focal", "reprojection_px"):
            mine, other = row[name], rows[row["annotation_id"]][name]
            assert (mine is None) == (other is None)
            if mine is not None:
                np.testing.assert_allclose(mine, other, rtol=2e-3, atol=2e-3)


def test_a_dataset_by_its_root(checkpoint, photos, tmp_path, capsys):
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    (root / "annotations" / "person_keypoints_train2017.json").write_text(GOLDEN.read_text())
    (root / "train2017").symlink_to(photos)
    annotate("--checkpoint", checkpoint, "--dataset", "coco", "--root", root, "--out", tmp_path / "run", "--limit", 8)
    rows = read_records(tmp_path / "run").to_pylist()
    assert len(rows) == 8
    assert any(row["valid"] for row in rows)
    annotate("--checkpoint", checkpoint, "--dataset", "magic", "--root", root, "--out", tmp_path / "other", check=2)
    assert "--dataset magic: with --root wanted one of" in capsys.readouterr().err


def test_a_file_without_people_is_a_finished_run(checkpoint, photos, tmp_path, capsys):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"images": [], "annotations": []}))
    annotate("--checkpoint", checkpoint, "--coco", path, "--images", photos, "--out", tmp_path / "run")
    assert "0 people" in capsys.readouterr().out


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


BAD = {
    "no network": (["--checkpoint", "{d}/none.ckpt"], "none.ckpt: no such file"),
    "not a network": (["--checkpoint", "{d}/pickle.ckpt"], "pickle.ckpt: not a readable file of a network"),
    "no engine": (["--engine", "steam"], "invalid choice: 'steam'"),
    "engine of a checkpoint": (["--engine", "onnxruntime"], "a checkpoint, no engine file; use --engine torch, or "
                                                            "export it first"),
    "precision": (["--engine", "onnxruntime", "--precision", "fp16"], "only torch takes them here"),
    "no coco": (["--coco", "{d}/none.json"], "none.json: no such file"),
    "no images": (["--images", "{d}/none"], "--images"),
    "other images": (["--images", "{d}"], "none of"),
    "both": (["--root", "{d}"], "--coco, --root: give one of them"),
    "body": (["--body", "{d}/pickle.ckpt"], "pickle.ckpt"),
    "device": (["--device", "abacus"], "--device abacus: wanted cpu, cuda"),
    "batch": (["--batch-size", "0"], "wanted a whole number of people"),
    "other things there": (["--out", "{d}"], "is no run"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_code_2(case, checkpoint, photos, tmp_path, capsys, monkeypatch):
    arguments, message = BAD[case]
    write(tmp_path / "pickle.ckpt", pickle.dumps({"format": "x"}))
    given = [text.format(d=tmp_path) for text in arguments]
    rest = {"--checkpoint": checkpoint, "--coco": GOLDEN, "--images": photos, "--out": tmp_path / "run"}
    for name, value in rest.items():
        if name not in given:
            given += [name, str(value)]
    monkeypatch.setattr(sys, "argv", ["annotate", *given])
    annotate(*given, check=2)
    told = capsys.readouterr().err.strip().splitlines()
    assert message in told[-1]
    assert len(told) == 1 or told[0].startswith("usage:")
    assert not (tmp_path / "run").exists()


def test_help_names_units():
    done = subprocess.run(
        [sys.executable, "-m", "pgtfast.annotate", "--help"], capture_output=True, text=True, timeout=120, check=True
    )
    for word in ("people", "millimetres", "--coco", "--root", "--engine", "threads"):
        assert word in done.stdout
