from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines.conftest import about, checkpoint, graphs, one_thread, onnx_files  # noqa: F401


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> tuple[Path, Path]:
    """COCO file and image folder of a few drawn pictures."""
    pytest.importorskip("pyvista", reason="the extra `report` is not installed")
    from pgtfast.synth import WorldConfig, make_world

    folder = tmp_path_factory.mktemp("made") / "world"
    make_world(folder, WorldConfig(images=4, sets=("wild",), width=128, height=128), workers=0, progress=False)
    (annotations,) = (folder / "wild" / "annotations").glob("*.json")
    return annotations, folder / "wild" / "train2017"


@pytest.fixture(autouse=True)
def short_timing(monkeypatch):
    """Rates are told, not tested: three rounds do."""
    monkeypatch.setattr("pgtfast.export._parity.SECONDS", 0.01)
