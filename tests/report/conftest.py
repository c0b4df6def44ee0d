"""Runs, photos and a page that several tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgtfast._cli import main
from pgtfast.report import ReportConfig
from pgtfast.report import report as make_report
from tests.report.made import photos, poses, write_run

PEOPLE = 14
HOSTILE = '"><img src=x onerror=document.title=1>&<!--.jpg'
"""A file name that would be a script if it were not escaped."""


@pytest.fixture(scope="session")
def report():
    """Runs the command in this process; returns its exit code."""

    def run(*arguments: object) -> int:
        try:
            return main("report", ReportConfig, make_report, [str(a) for a in arguments], extra="report")
        except SystemExit as error:
            return int(error.code or 0)

    return run


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Run "one"; "two" with other poses, rows in another order and a person less; photos of all but one image."""
    folder = tmp_path_factory.mktemp("report")
    names = [f"{n:03d}.jpg" for n in range(PEOPLE)]
    names[3] = HOSTILE
    pose = poses(PEOPLE)
    write_run(folder / "one", pose, names=names)
    order = [n for n in reversed(range(PEOPLE)) if n != 5]
    write_run(folder / "two", {**poses(PEOPLE, 1), "transl": pose["transl"]}, names=names, order=order)
    photos(folder / "photos", [name for name in names if name != "001.jpg"])
    return folder


@pytest.fixture(scope="session")
def page(folder, report) -> Path:
    """The page of both runs with a cut."""
    code = report(
        folder / "one",
        "--against",
        folder / "two",
        "--images",
        folder / "photos",
        "--out",
        folder / "page",
        "--people",
        3,
        "--min-quality",
        0.6,
    )
    assert code == 0
    return folder / "page" / "index.html"
