"""The public names and their parameters change on purpose only."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.surface import surface

GOLDEN = Path(__file__).parent / "golden" / "public_surface.txt"


def test_surface_is_the_recorded_one():
    new, old = set(surface().splitlines()), set(GOLDEN.read_text().splitlines())
    message = (
        "on purpose? then `python -m tests.helpers.surface > tests/golden/public_surface.txt` and a line in "
        "CHANGELOG.md"
    )
    assert (sorted(new - old), sorted(old - new)) == ([], []), message
