"""tools/ablation.py: what it plans, that it goes on where it stopped, and the table."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "ablation.py"


@pytest.fixture(scope="module")
def ablation():
    spec = importlib.util.spec_from_file_location("ablation", TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def options(folder: Path, **others) -> argparse.Namespace:
    given = {
        "world": folder / "world",
        "out": folder / "runs",
        "results": folder / "results",
        "seeds": [0, 1],
        "jobs": 2,
        "threads": 1,
    }
    return argparse.Namespace(**{**given, "pose2d": "--steps 3", "annotator": "", **others})


def test_the_plan_can_be_done_in_its_order(ablation, tmp_path):
    steps = ablation.plan(options(tmp_path))
    done: set[str] = set()
    for one in steps:
        assert set(one.after) <= done, one.name
        assert one.name not in done
        done.add(one.name)
    assert len(steps) == 2 + 2 * (1 + 5 * 3) + 2
    lines = {one.name: " ".join(one.line) for one in steps}
    assert "--steps 3" in lines["pose2d_0"]
    assert "--recipe-1 --recipe-2 --recipe-3" in lines["f_123_0"]
    assert "--pose-network" in lines["f_123_0"]
    assert "--no-recipe-1 --no-recipe-2 --no-recipe-3" in lines["f_none_1"]
    assert "--pose-network" not in lines["f_none_1"]
    assert "truth" not in " ".join(lines.values())  # evaluate alone opens it, by --world


def test_finished_steps_are_not_done_again(ablation, tmp_path, capsys):
    given = options(tmp_path)
    given.out.mkdir()

    def write(name: str) -> list[str]:
        return ["-c", f"open({str(given.out / name)!r}, 'a').write('x')"]

    steps = [
        ablation.Step("a", write("a"), writes=given.out / "a"),
        ablation.Step("b", ["-c", "raise SystemExit(3)"], ["a"], given.out / "b"),
        ablation.Step("c", write("c"), ["b"], given.out / "c"),
    ]
    with pytest.raises(SystemExit):
        ablation.carry_out(steps, given)
    assert "b: FAILED" in capsys.readouterr().out
    steps[1] = ablation.Step("b", write("b"), ["a"], given.out / "b")
    ablation.carry_out(steps, given)
    assert [(given.out / name).read_text() for name in "abc"] == ["x", "x", "x"]
    ablation.carry_out(steps, given)
    assert "3 of 3 steps are done already" in capsys.readouterr().out


def test_the_page_has_every_row(ablation):
    scores = {key: 50.0 for _, key in ablation.SCORES}
    world = {"wild": 4, "studio": 4, "bridge": 2, "test": 2, "seed": 0}
    by_seed = {"0": scores, "1": {**scores, "pa_mpjpe_mm": 52.0}}
    split = {
        "people": {"truth": 9, "compared": 8}, ablation.STANDING: {**scores, "reprojection_px": None},
        "pgtfast.fit": scores,
        "configurations": dict.fromkeys(ablation.CONFIGURATIONS, by_seed),
    }  # fmt: skip
    result = {
        "command": "c",
        "date": "d",
        "machine": "m",
        "world": world,
        "minutes": {"pose2d": 1, "f_": 2},
        "splits": {"wild": split, "test": split},
    }
    text = ablation.page(json.loads(json.dumps(result)))
    for name in (*ablation.CONFIGURATIONS, ablation.STANDING, "pgtfast.fit"):
        assert name in text
    assert "| **all three recipes** | mean | 51.0 |" in text
    assert text.count("| 2.0 |") == 2 * 5
