"""``python -m pgtfast.train MODULE:RECIPE [--override value ...]``."""

from __future__ import annotations

import importlib
import inspect
import sys
from dataclasses import fields
from typing import Any

from .._cli import run
from .._errors import PgtfastError
from ._config import TrainingConfig
from .annotator import AnnotatorConfig, train_annotator
from .pose2d import Pose2dConfig, train_pose2d
from .prior import PriorConfig, train_prior

USAGE = """usage: python -m pgtfast.train MODULE:RECIPE [--override value ...] [--debug]

Runs a recipe: a function without arguments that returns a training config, e.g. python_training.annotator:tiny.
Every field of the config can be set on the command line; `python -m pgtfast.train MODULE:RECIPE --help` lists them
with their units. The resolved config is saved beside the result. Running the same command again resumes an
unfinished run; --debug shows the traceback of an error. Several GPUs: torchrun --nproc_per_node N -m pgtfast.train ..."""


def main(arguments: list[str] | None = None) -> int:
    """Run a recipe; returns the exit code."""
    return run("train", _train, arguments)


def _train(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    config = override(load_recipe(arguments[0])(), arguments[0], arguments[1:])
    match config:
        case PriorConfig():
            result = train_prior(config)
        case Pose2dConfig():
            result = train_pose2d(config)
        case AnnotatorConfig():
            result = train_annotator(config)
        case _:
            raise PgtfastError(
                f"{arguments[0]}: wanted a recipe that returns PriorConfig, Pose2dConfig or AnnotatorConfig, got {type(config).__name__}"
            )
    print(f"done: {result}")
    return 0


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
    chosen = tyro.cli(type(config), default=config, args=arguments, prog=f"python -m pgtfast.train {name}")
    if isinstance(chosen, TrainingConfig):
        refuse_idle(config, chosen)
    return chosen


def refuse_idle(recipe: TrainingConfig, config: TrainingConfig) -> None:
    """Refuse values of the command line that would change nothing, because of other fields of the recipe."""
    changed = {f.name for f in fields(config) if getattr(config, f.name) != getattr(recipe, f.name)}
    idle: dict[str, str] = {}
    if config.steps is not None and "steps" not in changed:
        idle["epochs"] = (
            f"the recipe takes {config.steps} steps in their place; give --steps N, or --steps None to count epochs"
        )
    if config.schedule == "cosine":
        cure = "the schedule is a cosine; take --schedule decay"
        idle |= {"decay_epochs": cure, "decay": cure}
    if not config.held_out_every:
        cure = "nothing is held out; give --held-out-every N"
        idle |= {"validate_every": cure, "best_by": cure}
    if isinstance(config, AnnotatorConfig) and not config.recipe_2:
        idle["pose_network"] = "recipe 2 is off; take --recipe-2"
    for name in changed & idle.keys():
        raise PgtfastError(f"{name}: it would change nothing: {idle[name]}")


if __name__ == "__main__":
    sys.exit(main())
