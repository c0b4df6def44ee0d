"""Bodies and implementations that the tests of this folder share."""

from __future__ import annotations

import pytest

from pgtfast import ops, reference
from tests.helpers import bodies


@pytest.fixture(params=["reference", "ops"])
def implementation(request, monkeypatch):
    """Runs the body on the plain reference and on the fused ops."""
    chosen = {"reference": reference, "ops": ops}[request.param]
    for module in ("_model", "_landmarks"):
        monkeypatch.setattr(f"pgtfast.body.{module}.ops", chosen)
    return chosen


@pytest.fixture(scope="session")
def body_file(tmp_path_factory):
    """kind -> path of a random body file of that kind."""
    folder = tmp_path_factory.mktemp("bodies")
    made = {}

    def path_of(kind: str):
        if kind not in made:
            made[kind] = bodies.write_pkl(folder / f"{kind.upper()}_NEUTRAL.pkl", bodies.body_arrays(kind))
        return made[kind]

    return path_of
