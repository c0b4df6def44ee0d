"""What the wheel holds and asks for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tests.conftest import slow_tests

ROOT = Path(__file__).parents[1]
SYSTEM_LIBRARIES = re.compile(r"lib(stdc\+\+|gcc_s|m|c|pthread|dl|rt)\.so\.\d+|ld-linux.*|linux-vdso.*")


@pytest.fixture(scope="module")
def wheel() -> zipfile.ZipFile:
    path = os.environ.get("PGTFAST_WHEEL")
    if not path:
        pytest.skip("PGTFAST_WHEEL names no wheel; `make test` builds one")
    return zipfile.ZipFile(path)


def test_wheel_holds_the_package_and_nothing_else(wheel):
    names = wheel.namelist()
    assert {n.split("/")[0] for n in names} == {
        "pgtfast",
        next(n.split("/")[0] for n in names if n.endswith("METADATA")),
    }
    assert [n for n in names if re.fullmatch(r"pgtfast/_core\..*\.so", n)]
    for asset in (
        "free_body.npz",
        "free_body_full.npz",
        "free_prior.npz",
        "NOTICE-free-body.md",
        "NOTICE-free-prior.md",
    ):
        assert f"pgtfast/assets/{asset}" in names
    strays = [n for n in names if n.endswith((".cpp", ".h", ".cu", ".pyc", ".o", ".a"))]
    assert not strays


def test_wheel_carries_licence_and_notices(wheel):
    held = [Path(n).name for n in wheel.namelist() if ".dist-info/licenses/" in n]
    assert {"LICENSE", "NOTICE", "NOTICE-free-body.md"} <= set(held)


def test_wheel_is_light(wheel):
    assert sum(i.compress_size for i in wheel.infolist()) < 40e6


def test_base_dependencies_are_numpy_and_torch():
    base = [r for r in metadata.requires("pgtfast") or [] if "extra ==" not in r]
    assert sorted(re.match(r"[\w-]+", r)[0] for r in base) == ["numpy", "torch"]
    extras = set(metadata.metadata("pgtfast").get_all("Provides-Extra"))
    assert extras >= {"train", "annotate", "report", "ray", "dev", "all"}
    assert metadata.metadata("pgtfast")["Requires-Python"] == ">=3.10"


def test_build_needs_no_torch():
    requires = re.search(r"^requires = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.M)[1]
    assert sorted(re.findall(r'"([\w-]+)', requires)) == ["pybind11", "scikit-build-core"]


def test_no_flag_ties_the_wheel_to_one_processor():
    text = "".join(p.read_text() for p in [ROOT / "CMakeLists.txt", *sorted((ROOT / "cmake").glob("*.cmake"))])
    for flag in ("-march=", "-mtune=native", "-mcpu=", "use_fast_math", "-ffast-math"):
        assert flag not in text


@pytest.mark.skipif(shutil.which("readelf") is None, reason="no readelf (binutils) here")
def test_module_links_system_libraries_only():
    from pgtfast import _core

    out = subprocess.run(["readelf", "-d", _core.__file__], capture_output=True, text=True, check=True).stdout
    needed = re.findall(r"NEEDED.*\[(.*)\]", out)
    assert needed
    assert [n for n in needed if not SYSTEM_LIBRARIES.fullmatch(n)] == []


def test_version_is_told_once():
    import pgtfast
    from pgtfast.ops.build import build_info

    assert pgtfast.__version__ == metadata.version("pgtfast") == build_info()["version"]
    assert f"[{pgtfast.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_slow_tests_that_are_listed_are_there():
    for line in slow_tests():
        path, *names = line.split("::")
        assert (ROOT / path).exists(), line
        for name in names:
            assert line.startswith("tests/ops/") or f"def {name}" in (ROOT / path).read_text(), line
