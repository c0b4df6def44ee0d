"""``python -m pgtfast.fit`` as a user runs it."""

from __future__ import annotations

import copy
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pgtfast import load_body
from pgtfast._cli import main
from pgtfast.fit import FitConfig
from pgtfast.fit import fit as run_fit
from pgtfast.formats import SCHEMA, read_neuralannot, read_records
from tests.helpers.mutation import mutated
from tests.helpers.writers2d import COCO, write_detailed_picture

GOLDEN = Path(__file__).parents[1] / "golden" / "coco_small.json"
CONTENT = json.loads(GOLDEN.read_text())
SHARED = Path(os.environ.get("PGTFAST_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "coco_mini"
QUICK = ("--steps", "6", "--starts", "2", "--threads", "1")


def fit(*arguments: object, check: int | None = 0) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, "-m", "pgtfast.fit", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stderr
    if check is not None:
        assert done.returncode == check, done.stderr
    return done


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run of the golden file, with pictures of made-up photos and an export."""
    folder = tmp_path_factory.mktemp("fit")
    images = folder / "images"
    images.mkdir()
    for image in CONTENT["images"][1:]:
        Image.new("RGB", (image["width"], image["height"]), (90, 120, 90)).save(images / image["file_name"])
    Image.new("RGB", (8, 8)).save(images / CONTENT["images"][1]["file_name"])
    done = fit(
        "--coco",
        GOLDEN,
        "--images",
        images,
        "--out",
        folder / "run",
        "--overlays",
        9,
        "--export",
        "neuralannot",
        *QUICK,
        "--batch-size",
        4,
    )
    assert f"no overlay: {CONTENT['images'][0]['file_name']}: not in" in done.stderr
    assert "the photo is 8 x 8 pixels" in done.stderr
    return folder / "run"


def test_every_annotation_is_there_once(run):
    table = read_records(run)
    assert table.schema == SCHEMA
    assert sorted(table["annotation_id"].to_pylist()) == sorted(a["id"] for a in CONTENT["annotations"])
    assert len(list((run / "annotations").iterdir())) > 1
    for row in table.to_pylist():
        seen = sum(
            v > 0 for v in next(a for a in CONTENT["annotations"] if a["id"] == row["annotation_id"])["keypoints"][2::3]
        )
        fitted = (
            "global_orient",
            "body_pose",
            "betas",
            "transl",
            "latent",
            "prior",
            "focal",
            "center",
            "camera_model",
            "quality",
            "reprojection_px",
        )
        if row["valid"]:
            assert seen >= 6
            assert row["reason"] is None
            assert all(row[key] is not None for key in fitted)
            assert 0 <= row["quality"] <= 1
            assert row["visible_keypoints"] == seen
            assert row["prior"] == "free-1"
            width, height = row["image_width"], row["image_height"]
            np.testing.assert_allclose(row["focal"], (width**2 + height**2) ** 0.5, rtol=1e-6)
            np.testing.assert_allclose(row["center"], ((width - 1) / 2, (height - 1) / 2))
        else:
            assert row["reason"].partition(":")[0] in ("no-keypoints", "few-keypoints", "no-trunk", "crowd")
            assert all(row[key] is None for key in fitted)


def test_run_json(run):
    told = json.loads((run / "run.json").read_text())
    assert told["finished"]
    assert told["counts"]["read"] == told["counts"]["written"] == len(CONTENT["annotations"])
    assert told["counts"]["valid"] + sum(told["counts"]["skipped"].values()) == told["counts"]["read"]
    assert set(told["versions"]) == {"pgtfast", "torch", "numpy", "python"}
    assert told["rates"]["people_per_second"] > 0


def test_export_projects_to_the_same_error(run):
    held = read_neuralannot(next((run / "export").glob("*_FREE_NeuralAnnot.json")))
    rows = {row["annotation_id"]: row for row in read_records(run).to_pylist() if row["valid"]}
    assert sorted(held.annotation_id.tolist()) == sorted(rows)
    plan = load_body("free").to(dtype=torch.float64).landmarks("coco17")
    pose, shape, trans = (torch.tensor(v) for v in (held.pose, held.body["betas"], held.body["transl"]))
    points = plan(global_orient=pose[:, :3], body_pose=pose[:, 3:], betas=shape, transl=trans).numpy()
    seen = points[..., :2] / points[..., 2:] * held.focal[:, None] + held.center[:, None]
    for number, pixels in zip(held.annotation_id, seen, strict=True):
        given = np.array(rows[number]["landmarks_2d"])
        used = given[:, 2] > 0
        error = np.linalg.norm(pixels - given[:, :2], axis=1)[used].mean()
        assert abs(error - rows[number]["reprojection_px"]) < 1e-3


def test_pictures(run):
    drawn = {p.stem for p in (run / "overlays").iterdir()}
    assert drawn
    assert drawn <= {Path(i["file_name"]).stem for i in CONTENT["images"][2:]}
    assert (run / "contact_sheet.jpg").stat().st_size > 5000


def test_a_finished_run_is_recognised_and_another_config_refused(run):
    before = {p: p.stat().st_mtime_ns for p in (run / "annotations").iterdir()}
    assert "finished already" in fit("--coco", GOLDEN, "--out", run, *QUICK).stdout
    done = fit("--coco", GOLDEN, "--out", run, "--steps", 7, "--starts", 2, check=2)
    assert "another config" in done.stderr
    assert "steps: 6 there, 7 now" in done.stderr
    assert before == {p: p.stat().st_mtime_ns for p in (run / "annotations").iterdir()}


def test_a_killed_run_is_taken_up_and_no_one_comes_twice(tmp_path):
    arguments = [
        "--coco",
        GOLDEN,
        "--out",
        tmp_path / "run",
        "--steps",
        40,
        "--starts",
        2,
        "--threads",
        1,
        "--batch-size",
        1,
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "pgtfast.fit", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    parts = tmp_path / "run" / "annotations"
    deadline = time.monotonic() + 120
    while (
        not (parts.is_dir() and len(list(parts.glob("part-*"))) >= 2)
        and process.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len(read_records(tmp_path / "run"))
    assert kept > 0
    fit(*arguments)
    ids = read_records(tmp_path / "run")["annotation_id"].to_pylist()
    assert sorted(ids) == sorted(a["id"] for a in CONTENT["annotations"])


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


class _Shell:
    def __reduce__(self):
        return os.system, ("touch executed",)


BAD = {
    "truncated": (lambda d: ["--coco", write(d / "a.json", GOLDEN.read_text()[:2000])], "a.json: not JSON"),
    "not there": (lambda d: ["--coco", d / "none.json"], "none.json: no such file"),
    "no images folder": (lambda d: ["--coco", GOLDEN, "--images", d / "none"], "--images"),
    "overlays without images": (lambda d: ["--coco", GOLDEN, "--overlays", 3], "--overlays: needs --images"),
    "body is no body": (lambda d: ["--coco", GOLDEN, "--body", write(d / "body.pkl", "hello")], "body.pkl"),
    "body runs a shell": (lambda d: ["--coco", GOLDEN, "--body", _pickled(d / "evil.pkl")], "system"),
    "prior is none": (lambda d: ["--coco", GOLDEN, "--prior", write(d / "prior.npz", "hello")], "prior.npz"),
    "prior runs a shell": (lambda d: ["--coco", GOLDEN, "--prior", _pickled(d / "evil.pt")], "evil.pt"),
    "intrinsics": (
        lambda d: ["--coco", GOLDEN, "--intrinsics", write(d / "k.json", {"focal": [1, "x"], "center": [1, 2]})],
        "k.json: key 'focal': wanted two numbers",
    ),
    "quality of nothing": (lambda d: ["--coco", GOLDEN, "--min-quality", 0.5], "--min-quality: needs --export"),
    "two cameras": (lambda d: ["--coco", GOLDEN, "--focal", 900, "--intrinsics", "k.json"], "give one of them"),
    "negative focal": (lambda d: ["--coco", GOLDEN, "--focal", -3], "argument --focal: wanted a number of pixels"),
    "method": (lambda d: ["--coco", GOLDEN, "--method", "magic"], "invalid choice: 'magic'"),
    "device": (lambda d: ["--coco", GOLDEN, "--device", "abacus"], "--device abacus: wanted cpu, cuda"),
    "out is a file": (lambda d: ["--coco", GOLDEN, "--out", write(d / "file", "x")], "cannot be"),
    "out holds other things": (lambda d: ["--coco", GOLDEN, "--out", write(d / "x.txt", "x").parent], "is no run"),
}


def _pickled(path: Path) -> Path:
    path.write_bytes(pickle.dumps({"v_template": _Shell()}))
    return path


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_code_2(case, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, message = BAD[case]
    given = [str(a) for a in make(tmp_path)]
    out = [] if "--out" in given else ["--out", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", ["fit", *given, *out, *QUICK])
    code = main("fit", FitConfig, run_fit)
    told = capsys.readouterr().err.strip().splitlines()
    assert code == 2
    assert message in told[-1]
    assert len(told) == 1
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "executed").exists()


def test_bad_input_through_the_command(tmp_path):
    done = fit("--coco", tmp_path / "none.json", "--out", tmp_path / "run", check=2)
    assert done.stderr.count("\n") == 1
    debug = subprocess.run(
        [sys.executable, "-m", "pgtfast.fit", "--debug", "--coco", str(tmp_path / "none.json"), "--out",
         str(tmp_path / "run")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "Traceback" in debug.stderr


def test_help_names_units():
    told = fit("--help").stdout
    for word in ("pixels", "people", "keypoints", "--coco", "--export", "--solver"):
        assert word in told


def test_bad_people_are_rows_with_reasons(tmp_path):
    content = copy.deepcopy(CONTENT)
    good = [a for a in content["annotations"] if a["num_keypoints"] > 10]
    good[0]["keypoints"] = good[0]["keypoints"][:-1]
    good[1]["bbox"] = [1, 1, 0, 0]
    good[2]["keypoints"][0] = float("nan")
    good[3]["image_id"] = 12345
    fit("--coco", write(tmp_path / "a.json", content), "--out", tmp_path / "run", *QUICK)
    rows = {row["annotation_id"]: row for row in read_records(tmp_path / "run").to_pylist()}
    assert len(rows) == len(content["annotations"])
    codes = [rows[a["id"]]["reason"].partition(":")[0] for a in good[:4]]
    assert codes == ["bad-keypoints", "bad-box", "bad-keypoints", "no-image"]
    assert all(rows[a["id"]]["valid"] for a in good[4:])


def test_an_id_given_twice_is_a_row_with_a_reason(tmp_path):
    """As annotate has it: the first is fitted, the second keeps a row of its own key."""
    double = write(tmp_path / "a.json", {**CONTENT, "annotations": CONTENT["annotations"] * 2})
    fit("--coco", double, "--out", tmp_path / "run", *QUICK)
    rows = read_records(tmp_path / "run").to_pylist()
    assert len({row["annotation_id"] for row in rows}) == len(rows) == 2 * len(CONTENT["annotations"])
    again = [row for row in rows if row["annotation_id"] < 0]
    assert len(again) == len(CONTENT["annotations"])
    assert all((row["reason"] or "").startswith("duplicate-id: annotation id ") for row in again)
    assert any(row["valid"] for row in rows)


def test_intrinsics_by_image(tmp_path):
    name = CONTENT["images"][1]["file_name"]
    cameras = write(tmp_path / "k.json", {name: {"focal": [900, 905], "center": [300, 200]}})
    fit("--coco", GOLDEN, "--out", tmp_path / "run", "--intrinsics", cameras, *QUICK)
    rows = read_records(tmp_path / "run").to_pylist()
    for row in rows:
        if row["valid"]:
            assert (row["image_path"], row["focal"], row["center"]) == (name, [900, 905], [300, 200])
    assert any(row["valid"] for row in rows)
    assert any((row["reason"] or "").startswith("no-camera") for row in rows)


def test_axis_angle_has_no_latent(tmp_path):
    fit("--coco", GOLDEN, "--out", tmp_path / "run", "--pose-space", "axis-angle", "--limit", 16, *QUICK)
    rows = read_records(tmp_path / "run").to_pylist()
    assert len(rows) == 16
    assert any(row["valid"] for row in rows)
    assert all(row["latent"] is None and row["prior"] is None for row in rows)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutated_files_are_done_or_refused(tmp_path_factory, capsys, data):
    folder = tmp_path_factory.mktemp("mutated")
    path = write(folder / "a.json", mutated(data.draw, CONTENT))
    arguments = [
        "--coco",
        str(path),
        "--out",
        str(folder / "run"),
        "--steps",
        "1",
        "--starts",
        "1",
        "--export",
        "neuralannot",
    ]
    code = main("fit", FitConfig, run_fit, arguments)
    told = capsys.readouterr().err
    if code == 0:
        table = read_records(folder / "run")
        assert len(table) == json.loads((folder / "run" / "run.json").read_text())["counts"]["read"]
        assert all(row["valid"] != (row["reason"] is not None) for row in table.select(("valid", "reason")).to_pylist())
    else:
        assert code == 2
        assert "a.json" in told
        assert not (folder / "run").exists()


def test_a_file_without_people_is_a_finished_run(tmp_path):
    path = write(tmp_path / "a.json", {"images": [], "annotations": []})
    assert "0 people" in fit("--coco", path, "--out", tmp_path / "run", "--export", "neuralannot").stdout
    assert "finished already" in fit("--coco", path, "--out", tmp_path / "run").stdout


@pytest.mark.slow
def test_main_job(tmp_path):
    """The main job on real keypoints: nearly all people with enough of them get a body that meets them."""
    photos = SHARED / "train2017"
    if not photos.is_dir():
        if os.environ.get("PGTFAST_REQUIRE_SHARED") == "1":
            pytest.fail(f"no shared data at {SHARED}")
        photos = tmp_path / "train2017"
        for image in json.loads(COCO.read_text())["images"]:
            write_detailed_picture(photos / image["file_name"], (image["width"], image["height"]))
    fit(
        "--coco",
        COCO,
        "--images",
        photos,
        "--out",
        tmp_path / "run",
        "--overlays",
        2,
        "--export",
        "neuralannot",
    )
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    assert told["counts"]["read"] == told["counts"]["written"] == 172
    assert told["counts"]["valid"] >= 60
    assert told["mean"]["reprojection_rel"] < 0.03
