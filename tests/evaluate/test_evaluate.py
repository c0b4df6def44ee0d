"""``python -m pgtfast.evaluate synth``: what it measures, whom it counts and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pgtfast import load_body, load_vposer, reference
from pgtfast._cli import main
from pgtfast.evaluate import EvaluateConfig, body_errors, facing_angle_deg, standing_body
from pgtfast.evaluate import evaluate as run_evaluate
from pgtfast.formats import Store
from pgtfast.people import Reason, Skip
from pgtfast.people.arrow import to_arrow
from pgtfast.quality.measure import Origin, solved
from pgtfast.quality.score import load_quality
from tests.evaluate.people import people_of, random_pose

PEOPLE = 9


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A world of which only the truth is there, and runs of it: "exact", "turned" about the vertical axis, "fewer" with
    three people less."""
    folder = tmp_path_factory.mktemp("world")
    body, pose = load_body("free"), random_pose(PEOPLE)
    (folder / "truth").mkdir()
    write_npz(folder / "truth" / "wild.npz", truth_of(body, pose))
    other = random_pose(PEOPLE, seed=1)
    write_npz(
        folder / "truth" / "test.npz", truth_of(body, {**other, "transl": other["transl"] + torch.tensor([0.0, 3, 0])})
    )
    half = reference.rotvec_to_matrix(torch.tensor([0.0, torch.pi, 0.0]))
    turned = reference.matrix_to_rotvec(half @ reference.rotvec_to_matrix(pose["global_orient"]))
    write_run(folder / "exact", body, pose, truth_of(body, pose))
    write_run(folder / "turned", body, {**pose, "global_orient": turned}, truth_of(body, pose))
    write_run(folder / "fewer", body, pose, truth_of(body, pose), missing=3)
    return folder


def write_npz(path: Path, people: list[dict]) -> None:
    np.savez(path, **{name: np.array([person[name] for person in people]) for name in people[0]})


def truth_of(body, pose) -> list[dict]:
    focal, center = torch.tensor([900.0, 900.0]), torch.tensor([319.5, 239.5])
    points = body.landmarks("coco17")(**pose)
    pixels = reference.project(points, focal.expand(len(points), 2), center.expand(len(points), 2))
    return [
        {
            "annotation_id": np.int64(10 + n),
            "image_id": np.int64(n),
            **{k: v[n].numpy() for k, v in pose.items()},
            "latent": np.zeros(32, np.float32),
            "focal": focal.numpy(),
            "center": center.numpy(),
            "joints": np.zeros((24, 3), np.float32),
            "landmarks": points[n].numpy(),
            "landmarks_2d": pixels[n].numpy(),
            "visibility": np.full(17, 2, np.int8),
            "up": np.array([0.0, -1, 0]),
            "camera_height": np.float64(1.5),
        }
        for n in range(len(points))
    ]


def write_run(folder: Path, body, pose, truth: list[dict], *, missing: int = 0, off: float = 3.0) -> None:
    """A run of these bodies whose annotated keypoints lie `off` pixels right of the true ones; the last people have no
    body but a reason."""
    people = people_of(truth, off=off)
    count = len(people)
    chosen = np.arange(count - missing)
    people.reason[count - missing :] = Skip(Reason.NO_CROP, "gone")
    focal, center = (torch.tensor(np.array([person[name] for person in truth])) for name in ("focal", "center"))
    projected = reference.project(body.landmarks("coco17")(**pose), focal, center).numpy()
    found = {
        **{k: v.numpy()[chosen] for k, v in pose.items()},
        "focal": focal.numpy()[chosen],
        "center": center.numpy()[chosen],
        "projected": projected[chosen],
        "limit_violation": np.zeros(len(chosen)),
        "valid": np.ones(len(chosen), bool),
    }
    origin = Origin("free", "neutral", None, "test", "0", load_quality())
    with Store(folder, {"command": "test"}) as store:
        store.write_part(to_arrow(solved(people, chosen, found, origin)))


def evaluate(*arguments: object) -> int:
    return main("evaluate", EvaluateConfig, run_evaluate, ["synth", *map(str, arguments)])


def test_the_truth_has_no_error_and_a_turned_body_has(world, tmp_path, capsys):
    code = evaluate(
        "--predictions",
        world / "exact",
        "--against",
        world / "turned",
        "--world",
        world,
        "--json",
        tmp_path / "out.json",
    )
    told = capsys.readouterr()
    assert code == 0, told.err
    result = json.loads((tmp_path / "out.json").read_text())
    exact, turned = (result["runs"][name]["errors"] for name in ("exact", "turned"))
    assert max(exact[k] for k in exact if k.endswith("_mm")) < 1e-2
    assert abs(exact["reprojection_px"] - 3) < 1e-3
    assert exact["true_reprojection_px"] < 1e-3
    assert turned["pa_mpjpe_mm"] < 1e-2  # a turn is a similarity
    assert turned["mpjpe_mm"] > 50
    assert turned["turned_by_more_than_90_degrees"] == PEOPLE
    assert exact["turned_by_more_than_90_degrees"] == 0
    assert result["one standing body for all"]["pa_mpjpe_mm"] > 20
    assert result["people"] == {"truth": PEOPLE, "compared": PEOPLE}
    assert [p["annotation_id"] for p in result["runs"]["exact"]["per_person"]] == list(range(10, 10 + PEOPLE))
    for word in ("exact", "turned", "PA-MPJPE", "one standing body for all"):
        assert word in told.out


def test_runs_are_compared_on_the_people_that_all_have(world, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert (
        evaluate("--predictions", world / "exact", "--against", world / "fewer", "--world", world, "--json", out) == 0
    )
    result = json.loads(out.read_text())
    assert result["people"] == {"truth": PEOPLE, "compared": PEOPLE - 3}
    assert [result["runs"][name]["missing"] for name in ("exact", "fewer")] == [0, 3]
    assert result["runs"]["fewer"]["skipped"] == {"no-crop": 3}
    assert all(len(run["per_person"]) == PEOPLE - 3 for run in result["runs"].values())
    assert "3 missing, 3 no-crop" in capsys.readouterr().out


BAD = {
    "protocol to come": (["3dpw", "--predictions", "run"], "3dpw is not yet built; wanted synth"),
    "no protocol": (["magic", "--predictions", "run"], "wanted synth"),
    "no run": (["synth", "--predictions", "{d}/none", "--world", "{w}"], "none: no run.json"),
    "no world": (["synth", "--predictions", "{w}/exact", "--world", "{d}"], "truth/wild.npz: no such file"),
    "other split": (
        ["synth", "--predictions", "{w}/exact", "--world", "{w}", "--split", "test"],
        "another world or split?",
    ),
    "twice": (
        ["synth", "--predictions", "{w}/exact", "--against", "{w}/exact", "--world", "{w}"],
        "one run is named twice",
    ),
    "no world named": (["synth", "--predictions", "{w}/exact"], "--world: the protocol synth needs it"),
    "option of another protocol": (
        ["coco", "--predictions", "{w}/exact", "--annotations", "a.json", "--world", "{w}"],
        "--world: not an option of the protocol coco",
    ),
    "split": (
        ["synth", "--predictions", "{w}/exact", "--world", "{w}", "--split", "studio"],
        "invalid choice: 'studio'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_code_2(case, world, tmp_path, capsys, monkeypatch):
    arguments, message = BAD[case]
    given = [text.format(d=tmp_path, w=world) for text in arguments]
    monkeypatch.setattr(sys, "argv", ["evaluate", *given])
    try:
        code = main("evaluate", EvaluateConfig, run_evaluate)
    except SystemExit as error:
        code = error.code
    told = capsys.readouterr().err.strip().splitlines()
    assert code == 2
    assert message in told[-1]


def test_bodies_of_another_model_are_refused(world, tmp_path, capsys):
    import pyarrow.parquet as pq

    write_run(
        tmp_path / "run", load_body("free"), random_pose(PEOPLE), truth_of(load_body("free"), random_pose(PEOPLE))
    )
    part = next((tmp_path / "run" / "annotations").iterdir())
    table = pq.read_table(part)
    at = table.column_names.index("body_model")
    pq.write_table(table.set_column(at, table.schema.field(at), [["smpl"] * len(table)]), part)
    assert evaluate("--predictions", tmp_path / "run", "--world", world) == 2
    assert "bodies of smpl" in capsys.readouterr().err


def test_errors_of_the_truth_are_zero_and_moving_or_turning_is_seen():
    body = load_body("free")
    true = random_pose(4)
    assert max(float(v.max()) for v in body_errors(body, true, true).values()) < 1e-2
    away = body_errors(body, {**true, "transl": true["transl"] + 1}, true)
    assert away["mpjpe_mm"].max() < 1e-2  # the pelvis is laid on the pelvis
    whole = true["global_orient"]
    turned = {**true, "global_orient": whole * (1 + torch.pi / whole.norm(dim=1, keepdim=True))}
    errors = body_errors(body, turned, true)
    assert errors["mpjpe_mm"].mean() > 50
    assert errors["pa_mpjpe_mm"].max() < 0.1
    assert facing_angle_deg(true, true).max() < 0.1
    standing = body_errors(body, standing_body(load_vposer("free"), 4), true)
    assert standing["pa_mpjpe_mm"].shape == (4,)
