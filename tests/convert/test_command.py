"""The command: what it says, and that nothing is ever overwritten or left half done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pgtfast import _cli
from pgtfast._errors import PgtfastError
from pgtfast.convert import ConvertConfig
from pgtfast.convert._flow import Flow
from pgtfast.formats import neuralannot, registry
from pgtfast.people import Reason, Skip
from tests.formats.synthetic import people, with_parameters


def test_help_names_every_format(capsys):
    with pytest.raises(SystemExit) as caught:
        _cli.parse("convert", ConvertConfig, ["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for name in registry.names():
        assert f"\n  {name} " in text


@pytest.mark.parametrize(
    ("to", "name"), [("neuralannot", "a.json"), ("spin", "a.npz"), ("parquet", "a"), ("smplify-x", "a")]
)
def test_what_is_there_stays(world, to, name):
    source = world.store("run", people(2))
    (world.root / name).write_text("mine")
    with pytest.raises(PgtfastError, match="exists already and is not overwritten"):
        world.run(source, world.root / name, "--to", to)
    assert (world.root / name).read_text() == "mine"


def test_a_race_for_the_name_is_lost_politely(world, monkeypatch):
    source = world.store("run", people(2))

    def slow(path, batches, context):
        written = neuralannot.ITW.write(path, batches, context)
        (world.root / "a.json").write_text("theirs")
        return written

    monkeypatch.setattr(registry, "FORMATS", (replace(neuralannot.ITW, write=slow), *registry.FORMATS))
    with pytest.raises(PgtfastError, match="exists already"):
        world.run(source, world.root / "a.json", "--to", "neuralannot")
    assert (world.root / "a.json").read_text() == "theirs"
    assert sorted(p.name for p in world.root.iterdir()) == ["a.json", "run"]


@pytest.mark.parametrize(("to", "name"), [("neuralannot", "a.json"), ("parquet", "a"), ("smplify-x", "a")])
def test_a_failure_on_the_way_leaves_nothing(world, monkeypatch, to, name):
    source = world.store("run", people(2))

    def fails(self, bodies):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Flow, "_writable", fails)
    with pytest.raises(PgtfastError, match="No space left"):
        world.run(source, world.root / name, "--to", to)
    assert sorted(p.name for p in world.root.iterdir()) == ["run"]


def test_people_without_a_body_are_counted(world):
    bodies = people(4)
    for row, reason in ((0, Skip(Reason.NO_KEYPOINTS, "none")), (2, Skip(Reason.CROWD, "it is one"))):
        bodies.reason[row] = reason
    source = world.store("run", bodies)
    out = world.run(source, world.root / "a.json", "--to", "neuralannot")
    assert world.code == 0
    assert "4 people, 2 with a body" in out
    assert "not written: 2 people without a body (crowd 1, no-keypoints 1)" in out
    world.run(source, world.root / "b", "--to", "parquet")
    assert sorted(map(str, world.read(world.root / "b").reason)) == [
        "None",
        "None",
        "crowd: it is one",
        "no-keypoints: none",
    ]


def test_people_of_low_quality_are_left_out_and_counted(world):
    bodies = people(5)
    bodies.reason[4] = Skip(Reason.CROWD, "it is one")
    scores = {
        "quality": np.array([0.2, 0.5, np.nan, 0.9, np.nan]),
        "jitter_mm": np.arange(5.0),
        "truncation": np.zeros(5),
    }
    source = world.store("run", replace(bodies, scores=scores))
    out = world.run(source, world.root / "a.json", "--to", "neuralannot", "--min-quality", 0.5)
    assert world.code == 0
    assert "omitted: 2 people of quality below 0.5, or of none" in out
    kept = sorted(map(str, bodies.annotation_id[[1, 3]]))
    assert sorted(json.loads((world.root / "a.json").read_text())) == kept
    world.run(source, world.root / "b", "--to", "parquet", "--min-quality", 0.5)
    stored = world.read(world.root / "b")
    assert sorted(map(str, stored.reason)) == ["None", "None", "crowd: it is one"]
    assert set(stored.scores["jitter_mm"][stored.has_body]) == {1, 3}
    with pytest.raises(PgtfastError, match=r"--min-quality: .*a\.json is a neuralannot file; only the store"):
        world.run(world.root / "a.json", world.root / "c", "--to", "parquet", "--min-quality", 0.5)


def test_nobody_to_write(world):
    bodies = with_parameters(people(3), transl=np.full((3, 3), np.nan))
    source = world.store("run", bodies)
    with pytest.raises(PgtfastError, match=r"nobody to write as eft: .*not written: 3 people have no translation"):
        world.run(source, world.root / "e.json", "--to", "eft")
    assert not (world.root / "e.json").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("a.txt", "--to", "eft"), "wanted a name that ends in .json"),
        (("none/a.json", "--to", "eft"), "no such folder"),
        (("a.tar", "--to", "4dhumans"), "name their folder with --images"),
        (("a.npy", "--to", "spin"), "fits go by the rows of a data set npz"),
        (("a.json", "--to", "neuralannot", "--variant", "h36m"), "need --people, --cameras and --body"),
        (("a.json", "--to", "eft", "--body-model", "smpl"), "holds 'free' bodies, not 'smpl' ones"),
    ],
)
def test_bad_usage(world, more, message):
    source = world.store("run", people(2))
    with pytest.raises(PgtfastError, match=message):
        world.run(source, world.root / more[0], *more[1:])
    with pytest.raises(PgtfastError, match="no such file or folder"):
        world.run(world.root / "gone", world.root / "x.json", "--to", "eft")


def test_a_process_of_its_own(world):
    source = world.store("run", people(2))
    command = [sys.executable, "-m", "pgtfast.convert", str(source), str(world.root / "a.json"), "--to", "neuralannot"]
    first = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert first.returncode == 0, first.stderr
    assert "2 written" in first.stdout
    second = subprocess.run(command, capture_output=True, text=True)
    assert second.returncode == 2
    assert second.stderr.startswith("pgtfast convert:")
    assert "Traceback" not in second.stderr
