"""What the documents say runs, and points somewhere."""

from __future__ import annotations

import importlib
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import torch

import pgtfast
from pgtfast import _cli
from pgtfast._main import VERBS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```", re.S | re.M)
LINK = re.compile(r"\]\((?!https?://|#)([^)\s]+)\)")
LANGUAGES = ("python", "bash", "text")
"""Python is executed, each command of bash is parsed by what it calls, text is equations and drawings."""


def blocks(document: Path, language: str) -> list[str]:
    return [code for name, code in BLOCK.findall(document.read_text()) if name == language]


def commands(document: Path) -> list[str]:
    """Command lines of the bash blocks, continued lines joined."""
    lines = "\n".join(blocks(document, "bash")).replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in lines if line.strip() and not line.startswith("#")]


COMMANDS = sorted({command for document in DOCUMENTS for command in commands(document)})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_links_point_somewhere(document):
    missing = [
        link for link in LINK.findall(document.read_text()) if not (document.parent / link.split("#")[0]).exists()
    ]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_blocks_say_their_language(document):
    found = BLOCK.findall(document.read_text())
    assert {name for name, _ in found} <= set(LANGUAGES)
    hidden = [line for name, code in found if name == "text" for line in code.splitlines()]
    assert not [line for line in hidden if re.match(r"\s*(python|pgtfast|make|pip|torchrun)\s", line)], "a bash block"


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if blocks(d, "python")], ids=lambda p: p.name)
def test_python_examples_run(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT)  # of the recipes
    given = {"__name__": "example"} | ({} if document.name == "README.md" else {"pgtfast": pgtfast, "torch": torch})
    for code in blocks(document, "python"):
        exec(compile(code, str(document), "exec", dont_inherit=True), given)


class Parsed(Exception):
    """A verb made its config and would begin its work."""


def parse(verb: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """The config that a verb makes of its options, by the verb's own code."""
    if verb == "train":
        from pgtfast.train._recipes import load_recipe, override

        return override(load_recipe(arguments[0])(), arguments[0], arguments[1:])

    def main(verb, config_type, do, arguments=None, **_):
        raise Parsed(_cli.parse(verb, config_type, sys.argv[1:]))

    monkeypatch.setattr(_cli, "main", main)
    monkeypatch.setattr(sys, "argv", [f"pgtfast {verb}", *arguments])
    try:
        runpy.run_module(f"pgtfast.{verb}", run_name="__main__", alter_sys=False)
    except Parsed as parsed:
        return parsed.args[0]
    except SystemExit as end:
        if "--help" in arguments and end.code == 0:
            return None
        raise
    raise AssertionError(f"{verb} parsed nothing")


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> Path:
    """A folder in which the files that commands name are there, though empty."""
    folder = tmp_path_factory.mktemp("documents")
    for command in COMMANDS:
        for word in shlex.split(command, comments=True)[3:]:
            if re.fullmatch(r"(?!--)[\w./-]+\.(json|npz|npy|pkl|onnx|pt)", word):
                (folder / word).parent.mkdir(parents=True, exist_ok=True)
                (folder / word).touch()
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command, paths, monkeypatch):
    monkeypatch.chdir(paths)
    monkeypatch.syspath_prepend(ROOT)
    words = shlex.split(command, comments=True)
    if words[0] == "torchrun":
        words = ["python", *words[words.index("-m") :]]
    if words[0] == "pgtfast":
        words = ["python", "-m", f"pgtfast.{words[1]}", *words[2:]]
    if words[:2] == ["python", "-m"] and words[2].startswith("pgtfast."):
        verb = words[2].removeprefix("pgtfast.")
        assert verb in VERBS
        parse(verb, words[3:], monkeypatch)
    elif words[:2] == ["python", "-m"]:
        file = ROOT.joinpath(*words[2].split("."))
        assert file.with_suffix(".py").is_file() or (file / "__main__.py").is_file()
    elif words[0] == "python":
        source = (ROOT / words[1]).read_text()
        assert [word for word in words[2:] if word.startswith("--") and f'"{word}"' not in source] == []
    elif words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert {word for word in words[1:] if "=" not in word} <= set(targets)
    elif words[:2] == ["pip", "install"]:
        extras = ",".join(re.findall(r"\[([\w,]+)\]", command)).split(",")
        known = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.M)
        assert set(extras) - {""} <= set(known)
    else:
        assert words[0] in ("cp", "rerun"), f"{command}: what is {words[0]}?"


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if d.name != "CHANGELOG.md"], ids=lambda p: p.name)
def test_names_that_are_named_are_there(document):
    """Every `pgtfast.some.name` of the text is a module or a name in one."""
    missing = []
    for name in sorted(set(re.findall(r"\bpgtfast(?:\.[A-Za-z]\w*)+", document.read_text()))):
        parts, found = name.split(".")[1:], pgtfast
        try:
            for depth, part in enumerate(parts, 1):
                if not hasattr(found, part):
                    importlib.import_module(".".join(["pgtfast", *parts[:depth]]))
                found = getattr(found, part)
        except ImportError:
            missing.append(name)
    assert not missing
