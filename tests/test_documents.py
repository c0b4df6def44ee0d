"""What the documents say runs and points somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import pgtfast

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.S | re.M)
LINK = re.compile(r"\]\((?!https?://|#)([^)\s]+)\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_links_point_somewhere(document):
    missing = [
        link for link in LINK.findall(document.read_text()) if not (document.parent / link.split("#")[0]).exists()
    ]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_python_examples_run(document):
    given = {} if document.name == "README.md" else {"pgtfast": pgtfast, "torch": torch}
    for code in PYTHON.findall(document.read_text()):
        exec(compile(code, str(document), "exec"), dict(given))


def test_readme_names_commands_that_exist():
    from pgtfast._main import VERBS

    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"python -m pgtfast\.(\w+)", text))
    assert named <= set(VERBS)
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert set(re.findall(r"make (\w+)(?= )", "\n".join(re.findall(r"^make .*$", text, re.M)))) <= set(targets)
