"""Recipes by name, and what the command line changes in them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from .._cli import tyro_cli
from .._config import field_docs
from .._errors import PgtfastError
from .._options import needing
from ..datasets import DATASETS
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


def override(config: Any, name: str, arguments: Sequence[str]) -> Any:
    """The recipe's config with the command line's values.

    Raises:
        UsageError: an unknown option, or a value that does not fit.
        PgtfastError: the recipe returns no config, or a value would change nothing.
    """
    if not isinstance(config, SessionConfig):
        raise PgtfastError(f"{name}: wanted a recipe that returns a training config, got {type(config).__name__}")
    with needing("train", "train"):
        from tyro.constructors import ConstructorRegistry
    rules = ConstructorRegistry()
    rules.struct_rule(config_options)
    rules.struct_rule(dataset_options)
    about = inspect.cleandoc(type(config).__doc__ or "")
    chosen = tyro_cli(type(config), f"train {name}", arguments, about, default=config, registry=rules)
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


def config_options(info: Any) -> Any:
    """How tyro makes a config and those in it: an option a field, its docstring in one line."""
    from tyro.constructors import StructConstructorSpec, StructFieldSpec

    config = info.default
    if not is_dataclass(config):
        return None
    kind: Any = type(config)
    types, docs = get_type_hints(kind), field_docs(kind)
    return StructConstructorSpec(
        instantiate=kind,
        fields=tuple(
            StructFieldSpec(name=f.name, type=types[f.name], default=getattr(config, f.name), helptext=docs.get(f.name))
            for f in fields(config)
        ),
    )


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
                name=name,
                type=tuple[Path, ...],
                default=given.get(name, ()),
                helptext=f"Root folders; role {dataset.role}.",
            )
            for name, dataset in DATASETS.items()
        ),
    )
