"""Recipes by name, and what the command line changes in them."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

from .._errors import PgtfastError
from ..datasets.roots import KINDS
from ._config import SessionConfig
from ._datasets import Datasets


def load_recipe(name: str) -> Any:
    """The function behind MODULE:RECIPE."""
    module, colon, function = name.partition(":")
    if not colon or not module or not function:
        raise PgtfastError(f"recipe: wanted MODULE:RECIPE such as python_training.prior:free, got {name!r}")
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
            raise
        raise PgtfastError(
            f"recipe: no module {module}; run from the folder that holds it, e.g. a checkout of the project"
        ) from error
    recipes = {
        k: v
        for k, v in vars(loaded).items()
        if inspect.isfunction(v) and v.__module__ == module and not inspect.signature(v).parameters
    }
    recipe = recipes.get(function)
    if recipe is None:
        raise PgtfastError(f"recipe: {module} has no recipe {function!r}; it has {', '.join(recipes) or 'none'}")
    return recipe


def override(config: Any, name: str, arguments: list[str]) -> Any:
    """The recipe's config with the command line's values; unknown names end the program with code 2."""
    try:
        import tyro
    except ModuleNotFoundError as error:
        raise PgtfastError("training needs the extra `train`: pip install 'pgtfast[train]'") from error
    if not isinstance(config, SessionConfig):
        raise PgtfastError(f"{name}: wanted a recipe that returns a training config, got {type(config).__name__}")
    registry = tyro.constructors.ConstructorRegistry()
    registry.struct_rule(dataset_options)
    prog = f"python -m pgtfast.train {name}"
    chosen = tyro.cli(type(config), default=config, args=arguments, prog=prog, registry=registry)
    refuse_idle(config, chosen)
    return chosen


def refuse_idle(recipe: SessionConfig, config: SessionConfig) -> None:
    """Refuse values of the command line that would change nothing, because of other fields of the recipe."""
    changed = {f.name for f in fields(config) if getattr(config, f.name) != getattr(recipe, f.name)}
    idle = config.idle()
    if "steps" in changed:
        idle.pop("epochs", None)
    for name in changed & idle.keys():
        raise PgtfastError(f"{name}: it would change nothing: {idle[name]}")


def dataset_options(info: Any) -> Any:
    """How tyro makes :class:`Datasets`: an option for every registered data set."""
    from tyro.constructors import StructConstructorSpec, StructFieldSpec

    if info.type is not Datasets:
        return None
    given = info.default if isinstance(info.default, Datasets) else Datasets()
    return StructConstructorSpec(
        instantiate=Datasets,
        fields=tuple(
            StructFieldSpec(
                name=name, type=tuple[Path, ...], default=given.get(name, ()), helptext=f"Root folders; role {role}."
            )
            for name, role in KINDS.items()
        ),
    )
