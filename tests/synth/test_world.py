"""The folder of a world: same seed, same files; taken up where it stopped; refused where it is another's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import pgtfast
from pgtfast._errors import PgtfastError
from pgtfast.data import read_coco_persons
from pgtfast.synth import Truth, WorldConfig, make_world, read_truth, world
from pgtfast.synth.__main__ import main

CONFIG = WorldConfig(images=5, width=160, height=128, seed=3, people_max=2)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("synth") / "world"
    result = make_world(out, CONFIG, workers=0, progress=False)
    assert (result.images, result.made) == (5, 5)
    return out


def files(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_holds_what_it_promises(made):
    names = set(files(made))
    assert names == {
        "annotations.json", "cameras.json", "contact_sheet.jpg", "run.json", "truth.npz", *(f"images/{n:06d}.jpg" for n in range(1, 6)),
    }  # fmt: skip


def test_reads_as_coco_and_every_person_has_its_truth(made):
    people = read_coco_persons(made / "annotations.json")
    truth = read_truth(made)
    assert all(reason is None for reason in people.reason)
    np.testing.assert_array_equal(people.annotation_id, truth.annotation_id)
    np.testing.assert_array_equal(people.keypoints[..., 2], np.array([0, 0.5, 1])[truth.visibility])
    assert len(people) == json.loads((made / "run.json").read_text())["people"] > 0


def test_cameras_are_those_of_the_truth(made):
    cameras = json.loads((made / "cameras.json").read_text())
    truth = read_truth(made)
    assert len(cameras) == 5
    for image_id, focal, center in zip(truth.image_id, truth.focal, truth.center, strict=True):
        assert cameras[f"{image_id:06d}.jpg"] == {"focal": focal.tolist(), "center": center.tolist()}


def test_keypoints_lie_about_their_projection(made):
    people, truth = read_coco_persons(made / "annotations.json"), read_truth(made)
    off = people.keypoints[..., :2] - truth.landmarks_2d
    for flag, spread in ((1, 2.0), (2, 1.0)):
        assert np.abs(off[truth.visibility == flag]).max() < 5 * spread + 0.01
    assert not people.keypoints[truth.visibility == 0].any()
    seen = truth.landmarks[..., :2] / truth.landmarks[..., 2:] * truth.focal[:, None] + truth.center[:, None]
    np.testing.assert_allclose(seen, truth.landmarks_2d, atol=1e-3)


def test_the_same_with_any_number_of_workers(made, tmp_path):
    make_world(tmp_path / "w", CONFIG, workers=2, progress=False)
    assert files(tmp_path / "w") == files(made)


def test_another_seed_is_another_world(made, tmp_path):
    make_world(tmp_path / "w", WorldConfig(images=1, width=160, height=128, seed=4), workers=0, progress=False)
    assert (tmp_path / "w/images/000001.jpg").read_bytes() != (made / "images/000001.jpg").read_bytes()


def test_taken_up_where_it_stopped(made, tmp_path, monkeypatch):
    draw = world._draw

    def stop(out, config, numbers):
        if numbers == [3]:
            (out / "images/.000004.jpg.1.tmp").write_bytes(b"half")
            raise KeyboardInterrupt
        return draw(out, config, numbers)

    monkeypatch.setattr(world, "_draw", stop)
    out = tmp_path / "w"
    with pytest.raises(KeyboardInterrupt):
        make_world(out, CONFIG, workers=0, progress=False)
    assert not (out / "annotations.json").exists()
    monkeypatch.setattr(world, "_draw", draw)
    assert make_world(out, CONFIG, workers=0, progress=False).made == 2
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
    with pytest.raises(PgtfastError, match=r"another config \(images: 5 there, 6 now\)"):
        make_world(made, WorldConfig(**{**CONFIG.__dict__, "images": 6}), workers=0, progress=False)


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
    [{"images": 0}, {"width": 8}, {"seed": -1}, {"people_min": 3, "people_max": 2}, {"keypoint_noise": float("nan")}],
)
def test_config_says_what_it_wants(change):
    with pytest.raises(PgtfastError, match="wanted"):
        WorldConfig(**change)


def test_truth_says_what_is_wrong(tmp_path):
    with pytest.raises(PgtfastError, match="no such file"):
        read_truth(tmp_path)
    (tmp_path / "truth.npz").write_bytes(b"PK nothing")
    with pytest.raises(PgtfastError, match="not the truth"):
        read_truth(tmp_path)


def test_command(made, capsys):
    arguments = [str(made), "--images", "5", "--size", "160x128", "--seed", "3", "--people", "1..2", "--workers", "0"]
    assert main(arguments) == 0
    assert "finished before" in capsys.readouterr().out
    assert main([*arguments, "--keypoint-noise", "2"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("pgtfast synth: out:")
    assert error.count("\n") == 1


@pytest.mark.parametrize("wrong", [["--size", "big"], ["--people", "a"], ["--images", "x"], []])
def test_command_line_that_is_wrong(wrong, tmp_path):
    with pytest.raises(SystemExit) as end:
        main([str(tmp_path / "w"), *wrong] if wrong else [])
    assert end.value.code == 2
    assert not (tmp_path / "w").exists()


def test_reading_the_truth_needs_no_renderer(made):
    assert isinstance(read_truth(made / "truth.npz"), Truth)
    assert pgtfast.load_body("free").source.sha256 in json.loads((made / "run.json").read_text())["config"]["body"]
