"""Who may import whom (docs/architecture.md)."""

from __future__ import annotations

import ast
import graphlib
import re
import sys
from pathlib import Path

import pytest

import pgtfast

PACKAGE = Path(pgtfast.__file__).parent
ROOT = Path(__file__).parents[1]
LAYERS = (
    ("files", "reference", "skeletons", "cameras"),
    ("ops",),
    ("body", "priors", "metrics"),
    ("people",),
    ("runs",),
    ("images", "datasets", "formats", "quality", "loading", "fitting", "networks", "engines", "visuals"),
    ("synth", "train", "fit", "export", "annotate", "convert", "evaluate", "report", "bench", "doctor"),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
VERBS = LAYERS[-1]
SHARED_VERBS = ("annotate", "synth")
LIGHT = {"numpy", "torch"}
BASE = ("files", "reference", "skeletons", "cameras", "ops", "body", "priors", "metrics")
"""Nouns that import where no extra is installed: nothing but numpy and torch at the top of a module."""


def files() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py"))


def imports(path: Path) -> list[tuple[str, bool, int]]:
    """(absolute module, at the top of the file, line) of every import; those for type checkers alone are left out."""
    tree = ast.parse(path.read_text(), str(path))
    package = ["pgtfast", *path.relative_to(PACKAGE).parts[:-1]]
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    inside = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            head = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{head}.{alias.name}" for alias in node.names]
        found += [(name, id(node) not in inside, node.lineno) for name in names]
    return found


def noun(path: Path) -> str:
    """The folder of the package that a file belongs to; "" for the private modules and __init__ at its top."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def inner_imports(path: Path) -> list[tuple[str, int]]:
    """Folders of the package, or its private top modules, that a file imports."""
    return [
        (name.split(".")[1], line)
        for name, _, line in imports(path)
        if name.startswith("pgtfast.") and len(name.split(".")) > 1
    ]


def test_every_folder_has_its_layer():
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and (p / "__init__.py").is_file()}
    assert folders <= set(RANK), "a new folder: give it a layer in LAYERS and in docs/architecture.md"


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path):
    mine = noun(path)
    for target, line in inner_imports(path):
        where = f"{path.relative_to(PACKAGE)}:{line} imports {target}"
        if target == mine or (not mine and path.name == "__init__.py"):
            continue
        if target.startswith("_"):
            assert target != "_core" or mine == "ops", f"{where}: only ops may"
            continue
        if target not in RANK:
            continue  # a name of the package itself, such as load_body
        assert mine, f"{where}: private modules import no folder"
        beside = target in SHARED_VERBS if mine in VERBS else RANK[target] == RANK[mine]
        assert RANK[target] < RANK[mine] or beside, f"{where}: wanted a lower layer"


def private_imports(path: Path) -> set[str]:
    """Private modules (`_module`) of folders other than the file's own that a file imports."""
    folder = ("pgtfast", *path.relative_to(PACKAGE).parts[:-1])
    reached = set()
    for name, _, _ in imports(path):
        parts = name.split(".")
        for depth in range(2, len(parts)):
            module = PACKAGE.joinpath(*parts[1 : depth + 1])
            is_module = module.with_suffix(".py").is_file() or module.is_dir()
            if (
                parts[0] == "pgtfast"
                and parts[depth].startswith("_")
                and is_module
                and folder[:depth] != tuple(parts[:depth])
            ):
                reached.add(".".join(parts[: depth + 1]))
    return reached


def test_private_modules_stay_in_their_folder():
    found = {(str(path.relative_to(PACKAGE)), module) for path in files() for module in private_imports(path)}
    assert not found, "a _module is imported only inside its own folder: give it a public name"


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_are_short(path):
    lines = len(path.read_text().splitlines())
    assert lines <= 400, (
        f"{path.relative_to(PACKAGE)} has {lines} lines, wanted at most 400: split it by what it is about"
    )


def test_folders_form_no_circle():
    edges = {(noun(p), t) for p in files() for t, _ in inner_imports(p) if noun(p) and t in RANK and t != noun(p)}
    graph: dict[str, set[str]] = {}
    for source, target in edges:
        graph.setdefault(source, set()).add(target)
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError naming the circle


def test_nouns_of_the_base_import_numpy_and_torch_alone():
    allowed = set(sys.stdlib_module_names) | LIGHT | {"pgtfast"}
    heavy = [
        f"{path.relative_to(PACKAGE)}:{line} {name}"
        for path in files()
        if noun(path) in BASE or not noun(path)
        for name, top, line in imports(path)
        if top and name.split(".")[0] not in allowed
    ]
    assert not heavy, "import it inside the function that needs it"


def test_package_never_imports_recipes_or_tests():
    for path in files():
        for name, _, line in imports(path):
            assert name.split(".")[0] not in ("python_training", "tests", "tools", "examples"), f"{path}:{line}"


CSRC = ROOT / "csrc"
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)


@pytest.mark.parametrize(
    "path",
    sorted(p for p in CSRC.rglob("*") if p.suffix in (".h", ".cpp", ".cu", ".cuh")),
    ids=lambda p: str(p.relative_to(CSRC)),
)
def test_csrc_includes_point_down(path):
    folder = path.relative_to(CSRC).parts[0]
    below = {"math": ("math",), "kernels": ("math", "kernels"), "python": ("math", "kernels", "python")}[folder]
    for header in INCLUDE.findall(path.read_text()):
        target = (path.parent / header).resolve()
        if target.is_file():
            assert target.relative_to(CSRC.resolve()).parts[0] in below, f"{path.relative_to(CSRC)} includes {header}"
        assert "torch/" not in header, f"{path.relative_to(CSRC)} includes {header}: csrc knows nothing of torch"
        assert "ATen" not in header
        if folder != "python":
            assert "pybind11" not in header
            assert header != "Python.h"
