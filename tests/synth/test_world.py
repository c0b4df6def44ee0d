"""The folder of a world: same seed, same files; taken up where it stopped; refused where it is another's."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pgtfast
from pgtfast._cli import main
from pgtfast._errors import PgtfastError
from pgtfast.datasets import read_coco_persons
from pgtfast.synth import SynthConfig, Truth, WorldConfig, make_world, read_truth, synth, world
from pgtfast.synth.clips import read_clips

SMALL = {"width": 96, "height": 80, "seed": 3, "people_max": 2}
CONFIG = WorldConfig(images=5, studio=6, bridge=2, test=3, **SMALL)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("synth") / "world"
    result = make_world(out, CONFIG, workers=0, progress=False)
    assert result.images == {"wild": 5, "studio": 6, "bridge": 2, "test": 3}
    assert result.made == 16
    return out


def files(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def annotations(out: Path, kind: str = "wild") -> Path:
    return out / kind / "annotations/person_keypoints_train2017.json"


def test_holds_what_it_promises(made):
    names = [name for name in files(made) if not name.startswith("studio/")]
    assert sorted(names) == sorted([
        "run.json", "truth/wild.npz", "truth/test.npz", "bridge/3DPW_train.json", "bridge/pgtfast_world.json",
        "bridge/contact_sheet.jpg",
        *(f"bridge/imageFiles/free_0000_00/image_{n:05d}.jpg" for n in range(2)),
        *(f"{kind}/{name}" for kind in ("wild", "test")
          for name in ("annotations/person_keypoints_train2017.json", "cameras.json", "contact_sheet.jpg",
                       "pgtfast_world.json")),
        *(f"wild/train2017/{n:012d}.jpg" for n in range(1, 6)), *(f"test/train2017/{n:012d}.jpg" for n in range(1, 4)),
    ])  # fmt: skip
    assert "studio/annotations/Human36M_subject1_SMPL_NeuralAnnot.json" in files(made)
    assert "studio/images/s_01_act_02_subact_01_ca_01/s_01_act_02_subact_01_ca_01_000001.jpg" in files(made)


def test_counts_its_people(made):
    people, truth = read_coco_persons(annotations(made)), read_truth(made)
    assert all(reason in (None, "no-keypoints: no keypoint is labelled") for reason in people.reason)
    run = json.loads((made / "run.json").read_text())
    assert run["people"]["wild"] == len(people) == len(truth.betas) > 0
    assert run["people"]["studio"] == 6


def test_keypoints_lie_about_their_projection(made):
    people, truth = read_coco_persons(annotations(made)), read_truth(made)
    off = people.keypoints[..., :2] - truth.landmarks_2d
    flags = people.keypoints[..., 2] * 2
    for flag, spread in ((1, 4.8), (2, 1.6)):
        assert np.abs(off[flags == flag]).max() < 4.5 * spread + 0.01
    assert not people.keypoints[truth.visibility == 0].any()
    seen = truth.landmarks[..., :2] / truth.landmarks[..., 2:] * truth.focal[:, None] + truth.center[:, None]
    np.testing.assert_allclose(seen, truth.landmarks_2d, atol=1e-3)


def test_the_same_with_any_number_of_workers(made, tmp_path):
    make_world(tmp_path / "w", CONFIG, workers=2, progress=False)
    assert files(tmp_path / "w") == files(made)


def test_a_set_is_the_same_without_the_others(made, tmp_path):
    result = make_world(tmp_path / "w", replace(CONFIG, sets=("test",)), workers=0, progress=False)
    assert result.images == {"test": 3}
    found = files(tmp_path / "w")
    assert {name.split("/")[0] for name in found} == {"test", "truth", "run.json"}
    assert all(found[name] == content for name, content in files(made).items() if name.startswith("test/"))


def test_the_test_is_not_in_wild(made):
    pictures = {path.read_bytes() for kind in ("wild", "test", "bridge") for path in (made / kind).rglob("*0*.jpg")}
    assert len(pictures) == 5 + 3 + 2


def test_another_seed_is_another_world(made, tmp_path):
    config = WorldConfig(images=1, sets=("wild",), **{**SMALL, "seed": 4})
    make_world(tmp_path / "w", config, workers=0, progress=False)
    name = "wild/train2017/000000000001.jpg"
    assert (tmp_path / "w" / name).read_bytes() != (made / name).read_bytes()


@pytest.mark.parametrize(
    ("asked", "counts"),
    [
        ({}, {"wild": 400, "studio": 400, "bridge": 50, "test": 100}),
        ({"studio": 7, "test": 0}, {"wild": 400, "studio": 7, "bridge": 50}),
        ({"sets": ("bridge", "wild")}, {"wild": 400, "bridge": 50}),
        ({"images": 20}, {"wild": 20, "studio": 20, "bridge": 8, "test": 8}),
    ],
)
def test_how_many_pictures(asked, counts):
    assert WorldConfig(**{"images": 400, **asked}).counts == counts


@pytest.fixture
def recorded(tmp_path) -> Path:
    """Poses of ten clips; those of clip n bend the left knee by n / 10."""
    poses = np.zeros((40, 24, 3), np.float32)
    poses[:, 4, 0] = np.repeat(np.arange(10), 4) / 10
    np.savez(tmp_path / "poses.npz", poses=poses, src=np.repeat([f"clip{n}" for n in range(10)], 4))
    return tmp_path / "poses.npz"


def test_recorded_poses_are_taken_and_clips_of_the_test_are_its_own(recorded, tmp_path):
    config = WorldConfig(images=16, test=16, sets=("wild", "test"), poses=recorded, **SMALL)
    make_world(tmp_path / "w", config, workers=0, progress=False)
    bent = {}
    for kind in ("wild", "test"):
        pose = read_truth(tmp_path / f"w/truth/{kind}.npz").body_pose.reshape(-1, 23, 3)
        mine = pose[np.abs(pose[:, [11, 12, 15, 16, 17, 18]]).max((1, 2)) < 1e-5]  # spine, arms as recorded
        assert 0.2 < len(mine) / len(pose) < 0.8
        bent[kind] = set(np.round(np.abs(mine[:, 3:5, 0]).max(1) * 10).astype(int).tolist())
    assert bent["test"] <= {4, 9}
    assert not bent["wild"] & {4, 9}
    with pytest.raises(PgtfastError, match=r"another config .*poses"):
        make_world(tmp_path / "w", replace(config, poses=None), workers=0, progress=False)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"pose": np.zeros((2, 72))}, "'poses'"),
        ({"poses": np.zeros((2, 70))}, r"\(N, 24, 3\)"),
        ({"poses": np.full((2, 72), np.nan)}, "finite"),
        ({"poses": np.zeros((2, 72)), "src": np.zeros(3)}, "src"),
    ],
)
def test_recorded_poses_say_what_is_wrong(columns, message, tmp_path):
    np.savez(tmp_path / "poses.npz", **columns)
    with pytest.raises(PgtfastError, match=message):
        read_clips(tmp_path / "poses.npz")
    with pytest.raises(PgtfastError, match="cannot be read"):
        read_clips(tmp_path / "other.npz")


def test_taken_up_where_it_stopped(made, tmp_path, monkeypatch):
    draw = world._draw

    def stop(out, config, names):
        if names == [("studio", 3)]:
            (out / "wild/train2017/.000000000004.jpg.1.tmp").write_bytes(b"half")
            raise KeyboardInterrupt
        return draw(out, config, names)

    monkeypatch.setattr(world, "_draw", stop)
    out = tmp_path / "w"
    with pytest.raises(KeyboardInterrupt):
        make_world(out, CONFIG, workers=0, progress=False)
    assert not annotations(out).exists()
    monkeypatch.setattr(world, "_draw", draw)
    assert make_world(out, CONFIG, workers=0, progress=False).made == 16 - 8
    assert files(out) == files(made)


def test_killed_and_taken_up(made, tmp_path):
    out = tmp_path / "w"
    options = [
        "--images",
        "5",
        "--studio",
        "6",
        "--bridge",
        "2",
        "--test",
        "3",
        "--size",
        "96x80",
        "--seed",
        "3",
        "--people",
        "1..2",
    ]
    command = [sys.executable, "-m", "pgtfast.synth", str(out), *options, "--workers", "1", "--quiet"]
    with subprocess.Popen(command) as process:
        while process.poll() is None and not list(out.glob("wild/train2017/*.jpg")):
            time.sleep(0.02)
        process.kill()
    assert main("synth", SynthConfig, synth, [*command[3:], "--workers", "0"]) == 0
    assert files(out) == files(made)


def test_one_process_at_a_time(tmp_path, monkeypatch):
    def meanwhile(out, config, numbers, workers):
        with pytest.raises(PgtfastError, match="another process"):
            make_world(out, config, workers=0, progress=False)
        raise KeyboardInterrupt

    monkeypatch.setattr(world, "_draw_all", meanwhile)
    with pytest.raises(KeyboardInterrupt):
        make_world(tmp_path / "w", CONFIG, workers=0, progress=False)


def test_finished_is_recognised(made):
    before = files(made)
    assert make_world(made, CONFIG, workers=0, progress=False).made == 0
    assert files(made) == before


def test_refuses_another_config(made):
    with pytest.raises(PgtfastError, match=r"another config \(wild: 5 there, 6 now\)"):
        make_world(made, replace(CONFIG, images=6), workers=0, progress=False)


@pytest.mark.parametrize("content", ["{", "[]", '{"config": 1, "finished": true}', '{"finished": true}'])
def test_refuses_a_damaged_run_file(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(PgtfastError, match=r"run\.json"):
        make_world(tmp_path, CONFIG, workers=0, progress=False)


def test_refuses_other_folders_and_files(tmp_path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(PgtfastError, match="no world"):
        make_world(tmp_path, CONFIG, workers=0, progress=False)
    with pytest.raises(PgtfastError, match="cannot be written"):
        make_world(tmp_path / "mine", CONFIG, workers=0, progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "change",
    [
        {"images": 0},
        {"width": 8},
        {"seed": -1},
        {"people_min": 3, "people_max": 2},
        {"keypoint_noise": float("nan")},
        {"sets": ("wild", "wilder")},
        {"studio": -1},
    ],
)
def test_config_says_what_it_wants(change):
    with pytest.raises(PgtfastError, match="wanted"):
        WorldConfig(**change)


def test_truth_says_what_is_wrong(tmp_path):
    with pytest.raises(PgtfastError, match="no such file"):
        read_truth(tmp_path)
    (tmp_path / "wild.npz").write_bytes(b"PK nothing")
    with pytest.raises(PgtfastError, match="not the truth"):
        read_truth(tmp_path / "wild.npz")


def test_command(made, capsys):
    arguments = [str(made), "--images", "5", "--studio", "6", "--bridge", "2", "--test", "3"]
    arguments += ["--size", "96x80", "--seed", "3", "--people", "1..2", "--workers", "0"]
    assert main("synth", SynthConfig, synth, arguments) == 0
    assert "finished before" in capsys.readouterr().out
    assert main("synth", SynthConfig, synth, [*arguments, "--keypoint-noise", "2"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("pgtfast synth: out:")
    assert error.count("\n") == 1


@pytest.mark.parametrize("wrong", [["--size", "big"], ["--people", "a"], ["--images", "x"], ["--test", "few"], []])
def test_command_line_that_is_wrong(wrong, tmp_path, capsys):
    assert main("synth", SynthConfig, synth, [str(tmp_path / "w"), *wrong] if wrong else []) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"pgtfast synth: {f'argument {wrong[0]}: wanted' if wrong else 'missing: OUT'}")
    assert error.count("\n") == 1
    assert not (tmp_path / "w").exists()


def test_reading_the_truth_needs_no_renderer(made):
    assert isinstance(read_truth(made / "truth/test.npz"), Truth)
    assert pgtfast.load_body("free").source.sha256 in json.loads((made / "run.json").read_text())["config"]["body"]
