"""The public names of the package with their parameters, as text. `python -m tests.helpers.surface >
tests/golden/public_surface.txt` after a change on purpose."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from types import ModuleType

MODULES = (
    "pgtfast",
    "pgtfast.reference",
    "pgtfast.ops",
    "pgtfast.skeletons",
    "pgtfast.cameras",
    "pgtfast.body",
    "pgtfast.priors",
    "pgtfast.metrics",
    "pgtfast.people",
    "pgtfast.runs",
    "pgtfast.annotate",
    "pgtfast.datasets",
    "pgtfast.loading",
    "pgtfast.formats",
    "pgtfast.engines",
    "pgtfast.visuals",
    "pgtfast.fit",
    "pgtfast.synth",
)


def parameters(function) -> str:
    """The parameter names with the marks of their kinds, without annotations and defaults."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return "(...)"
    bare = [
        p.replace(annotation=inspect.Parameter.empty, default=inspect.Parameter.empty)
        for p in signature.parameters.values()
        if p.name not in ("self", "_cls")
    ]
    keyword_only = False
    names = []
    for p in bare:
        if p.kind is p.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            names.append("*")
        keyword_only = keyword_only or p.kind is p.VAR_POSITIONAL
        names.append(("*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else "") + p.name)
    return f"({', '.join(names)})"


def describe(module: str) -> list[str]:
    """One line for each public name of a module, and for each public member of its classes."""
    loaded = importlib.import_module(module)
    lines = []
    for name in sorted(loaded.__all__):
        value = getattr(loaded, name)
        if isinstance(value, ModuleType):
            lines.append(f"{module}.{name}: module")
        elif inspect.isclass(value):
            lines.append(f"{module}.{name}: class{parameters(value)}")
            if module != "pgtfast" and value.__module__.startswith(module):
                for member, inner in sorted(vars(value).items()):
                    if not member.startswith("_"):
                        call = getattr(inner, "__func__", inner)
                        text = parameters(call) if inspect.isfunction(call) else ""
                        lines.append(f"{module}.{name}.{member}{text}")
        elif callable(value):
            lines.append(f"{module}.{name}{parameters(value)}")
        else:
            lines.append(f"{module}.{name}")
    return lines


def surface() -> str:
    """The whole surface."""
    present = [m for m in MODULES if importlib.util.find_spec(m)]
    return "\n".join(line for module in present for line in describe(module)) + "\n"


if __name__ == "__main__":
    print(surface(), end="")
