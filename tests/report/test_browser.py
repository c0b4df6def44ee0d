"""The page in a real browser without a network: its script runs, filters filter, and nothing is refused or fetched."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgtfast.formats import read_records
from tests.report.conftest import PEOPLE
from tests.report.made import SKIPPED

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


@pytest.fixture(scope="module")
def browse(tmp_path_factory):
    """Opens an address in Chromium: (what the browser printed, its log with the page's console)."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"needs Chromium: none of {', '.join(NAMES)} is on PATH (apt-get install chromium)")

    def open_page(address: str, *options: str) -> tuple[str, str]:
        profile = tmp_path_factory.mktemp("profile")
        done = subprocess.run(
            [program, *QUIET, f"--user-data-dir={profile}", "--enable-logging=stderr", *options, address],
            capture_output=True, text=True, timeout=240, check=True,
        )  # fmt: skip
        return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)

    return open_page


def body_attribute(dom: str, name: str) -> str | None:
    found = re.search(rf'<body[^>]*\bdata-{name}="([^"]*)"', dom)
    return found and found[1]


def test_the_script_runs_and_filters(page: Path, folder: Path, browse):
    rows = read_records(folder / "one").to_pylist()
    dom, console = browse(page.as_uri(), "--dump-dom")
    assert console == ""
    assert body_attribute(dom, "ready") == "yes"
    assert body_attribute(dom, "shown") == str(PEOPLE)
    assert len(re.findall(r'<tr data-at="\d+"', dom)) == PEOPLE
    assert re.search(r"<title>(.*?)</title>", dom)[1].startswith("one ")
    assert 'class="card off"' not in dom

    cut = 0.55
    kept = [row for row in rows if row["valid"] and row["quality"] >= cut]
    assert 0 < len(kept) < PEOPLE - SKIPPED
    dom, console = browse(f"{page.as_uri()}#quality={cut}", "--dump-dom")
    assert console == ""
    assert body_attribute(dom, "shown") == str(len(kept))
    faded = {float(q) for q in re.findall(r'class="card off"[^>]*data-quality="([^"]*)"', dom)}
    assert faded
    assert max(faded) < cut


@pytest.mark.parametrize(
    ("asked", "keeps"),
    [
        ("reason=no-crop", lambda row: not row["valid"]),
        ("reason=valid&error=1.5", lambda row: row["valid"] and 100 * row["reprojection_rel"] <= 1.5),
        ("text=made%20004", lambda row: row["image_path"] == "004.jpg"),
    ],
)
def test_a_link_carries_filters(page: Path, folder: Path, browse, asked, keeps):
    expected = sum(bool(keeps(row)) for row in read_records(folder / "one").to_pylist())
    assert 0 < expected < PEOPLE
    dom, console = browse(f"{page.as_uri()}#{asked}", "--dump-dom")
    assert console == ""
    assert body_attribute(dom, "shown") == str(expected)


@pytest.mark.parametrize("width", [1400, 420])
def test_the_page_fits_the_window(page: Path, browse, tmp_path, width):
    shot = tmp_path / "page.png"
    browse(page.as_uri(), f"--screenshot={shot}", f"--window-size={width},1600")
    with Image.open(shot) as picture:
        seen = np.asarray(picture.convert("RGB")).astype(int)
    assert seen.shape[1] == width
    paper = np.abs(seen - (246, 247, 249)).sum(-1) < 12
    rows = ~paper[:, -6:].all(1)
    assert rows.sum() < 60, "something sticks out to the right: only the bar of links may"
    assert 0.1 < paper.mean() < 0.95
