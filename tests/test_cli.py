"""Every verb's command line: configs become options, errors one line and an exit code."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import pytest

from pgtfast._cli import main, parse
from pgtfast._config import Option, UsageError, check
from pgtfast._errors import PgtfastError


def pair(text: str) -> tuple[int, int]:
    left, _, right = text.partition("x")
    if not (left.isdigit() and right.isdigit()):
        raise ValueError(f"wanted WxH, got {text!r}")
    return int(left), int(right)


@dataclass(frozen=True, kw_only=True)
class Base:
    """Fields of several verbs."""

    limit: Annotated[int | None, Option("N", low=1, high=99, unit="people")] = None
    """only the first N people"""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Config(Base):
    """Does nothing to people.

    A second paragraph.
    """

    EPILOG: ClassVar[str] = "words:\n  a   first"
    source: Annotated[Path, Option("SRC", positional=True)]
    """file to read"""
    to: Annotated[str, Option("NAME", name="from")]
    """where from"""
    images: Annotated[tuple[Path, ...], Option("DIR")] = ()
    """folders"""
    batch_size: Annotated[int, Option("N", low=1, unit="people")] = 64
    """people at once"""
    focal: Annotated[float | None, Option("PX", low=1, high=1e7, unit="pixels")] = None
    """focal length, pixels (default: the diagonal)"""
    engine: Literal["torch", "rtx"] = "torch"
    """what runs it"""
    size: Annotated[tuple[int, int], Option("WxH", parse=pair)] = (4, 3)
    """width and height, pixels (default: 4x3)"""
    flip_test: bool = False
    """also the mirrored one"""
    compile: bool = True
    """whether to compile"""


class Done(NamedTuple):
    config: Config
    exit_code: int = 0


def test_options_become_the_config():
    arguments = (
        "in.json --from x --images a b --batch-size=3 --focal 2 --engine rtx --size 7x8 --flip-test --no-compile"
    )
    arguments += " --limit 5"
    assert parse("toy", Config, arguments.split()) == Config(
        source=Path("in.json"), to="x", images=(Path("a"), Path("b")), batch_size=3, focal=2.0, engine="rtx",
        size=(7, 8), flip_test=True, compile=False, limit=5,
    )  # fmt: skip
    assert parse("toy", Config, ["in", "--from", "x"]) == Config(source=Path("in"), to="x")


def test_help_says_all_of_it(capsys):
    with pytest.raises(SystemExit) as end:
        parse("toy", Config, ["--help"])
    assert end.value.code in (0, None)
    told = capsys.readouterr().out
    assert told.startswith(
        "usage: python -m pgtfast.toy [-h] [OPTIONS] SRC\n\nDoes nothing to people.\n\nA second paragraph.\n"
    )
    for text in (
        "--from NAME", "where from (required)", "--batch-size N", "people at once (default: 64)",
        "--engine {torch,rtx}", "--flip-test",
        "--no-compile",
        "--limit N", "words:\n  a   first\n", "--debug shows",
    ):  # fmt: skip
        assert text in told
    for text in ("None", "--no-flip", "--compile", "True", "False"):
        assert text not in told


BAD = {
    "misspelled": ("s --from x --batchsize 3", "unknown option --batchsize; nearest: --batch-size"),
    "abbreviated": ("s --from x --bat 3", "unknown option --bat; nearest: --batch-size"),
    "strange": ("s --from x --qqq", "unknown option --qqq; --help lists those there are"),
    "missing": ("s", "missing: --from NAME"),
    "missing value": ("s --from", "Missing value for argument '--from'"),
    "too many": ("s t --from x", "Unrecognized options: t"),
    "out of bounds": (
        "s --from x --limit 100",
        "argument --limit: wanted a whole number of people from 1 to 99, got 100",
    ),
    "no number": ("s --from x --focal far", "argument --focal: wanted a number of pixels from 1 to 1e+07, got 'far'"),
    "not a number": ("s --from x --focal nan", "argument --focal: wanted a number of pixels"),
    "not whole": (
        "s --from x --limit 1.5",
        "argument --limit: wanted a whole number of people from 1 to 99, got '1.5'",
    ),
    "choice": ("s --from x --engine steam", "argument --engine: invalid choice: 'steam' (choose from 'torch', 'rtx')"),
    "size": ("s --from x --size 7", "argument --size: wanted WxH, got '7'"),
    "flag with a value": ("s --from x --flip-test True", "Unrecognized options: True"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_usage_is_one_line_and_code_2(case, capsys):
    arguments, message = BAD[case]
    assert main("toy", Config, Done, arguments.split()) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"pgtfast toy: {message}")
    assert told.err.count("\n") == 1


def test_the_same_from_python():
    with pytest.raises(UsageError, match="argument --limit: wanted a whole number of people from 1 to 99, got 0"):
        Config(source=Path(), to="x", limit=0)
    with pytest.raises(UsageError, match="argument --engine: invalid choice: 'steam'"):
        Config(source=Path(), to="x", engine="steam")  # type: ignore[arg-type]


def raising(error: BaseException):
    def run(config: Config) -> None:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (PgtfastError("a\n b"), 2, "pgtfast toy: a b\n"),
        (FileNotFoundError(2, "No such file", "x.json"), 2, "pgtfast toy: x.json: No such file\n"),
        (KeyboardInterrupt(), 130, "pgtfast toy: interrupted\n"),
        (
            ModuleNotFoundError("no", name="pyarrow"),
            2,
            "pgtfast toy: toy: pyarrow is not installed: pip install 'pgtfast[annotate]'\n",
        ),
    ],
)
def test_errors_end_in_one_line(error, code, text, capsys):
    assert main("toy", Config, raising(error), ["s", "--from", "x"]) == code
    assert capsys.readouterr().err == text
    with pytest.raises(type(error) if not isinstance(error, ModuleNotFoundError) else PgtfastError):
        main("toy", Config, raising(error), ["s", "--debug", "--from", "x"])


def test_the_result_decides_the_code():
    assert main("toy", Config, Done, ["s", "--from", "x"]) == 0
    assert main("toy", Config, lambda config: Done(config, 1), ["s", "--from", "x"]) == 1
    assert main("toy", Config, lambda config: None, ["s", "--from", "x"]) == 0


def test_our_own_missing_module_is_no_missing_extra():
    with pytest.raises(ModuleNotFoundError):
        main("toy", Config, raising(ModuleNotFoundError("no", name="pgtfast.nothing")), ["s", "--from", "x"])


def test_without_tyro_one_line_names_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tyro", None)
    assert main("toy", Config, Done, ["s", "--from", "x"], extra="report") == 2
    assert capsys.readouterr().err == "pgtfast toy: toy: tyro is not installed: pip install 'pgtfast[report]'\n"


def test_the_package_lists_its_verbs():
    done = subprocess.run(
        [sys.executable, "-m", "pgtfast", "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    verbs = importlib.import_module("pgtfast._main").VERBS
    assert all(f"\n  {verb}" in done.stdout for verb in verbs)


def test_help_loads_no_torch():
    code = "import sys, pgtfast.fit.__main__; print('torch' in sys.modules, 'pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "False"]
