"""Hooks of mkdocs: pages of the site that are made from other files of the repository.

README.md becomes the start page and CHANGELOG.md the changelog; each folder of the package with public names gets a
page of the reference.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pgtfast"


def public_names(init: Path) -> list[str]:
    """What the `__all__` of a folder lists, without `__version__` and folders of the package."""
    for node in ast.parse(init.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = [name for name in ast.literal_eval(node.value) if not name.startswith("_")]
            return [name for name in names if not (init.parent / name).is_dir()]
    return []


def modules() -> dict[str, list[str]]:
    """Module of the package -> its public names."""
    found = {"pgtfast": public_names(PACKAGE / "__init__.py")}
    found |= {f"pgtfast.{init.parent.name}": public_names(init) for init in sorted(PACKAGE.glob("*/__init__.py"))}
    return {module: names for module, names in found.items() if names}


def page(text: str) -> str:
    """Text of a file at the root as a page: links to documents lose their folder."""
    return re.sub(r"\]\(docs/", "](", text).replace("](CHANGELOG.md)", "](changelog.md)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the reference into the navigation."""
    config.nav.append({"Reference": [{module: f"api/{module}.md"} for module in modules()]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages."""
    made = {
        "index.md": page((ROOT / "README.md").read_text(encoding="utf-8")),
        "changelog.md": page((ROOT / "CHANGELOG.md").read_text(encoding="utf-8")),
    }
    for module, names in modules().items():
        entries = "\n\n".join(f"::: {module}.{name}" for name in names)
        made[f"api/{module}.md"] = f"# {module}\n\n{entries}\n"
    for uri, content in made.items():
        files.append(File.generated(config, uri, content=content))
    return files
