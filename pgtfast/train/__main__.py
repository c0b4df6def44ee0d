"""``python -m pgtfast.train MODULE:RECIPE [--override value ...]``."""

from __future__ import annotations

import sys

from .._cli import run
from . import train
from ._recipes import load_recipe, override

USAGE = """usage: python -m pgtfast.train MODULE:RECIPE [--override value ...] [--debug]

Runs a recipe: a function without arguments that returns a training config, e.g. python_training.annotator:tiny.
Every field of the config can be set on the command line; `python -m pgtfast.train MODULE:RECIPE --help` lists them
with their units. The resolved config is saved beside the result. Running the same command again resumes an
unfinished run; --debug shows the traceback of an error. Several GPUs:
torchrun --nproc_per_node N -m pgtfast.train ..."""


def main(arguments: list[str] | None = None) -> int:
    """Run a recipe; returns the exit code."""
    return run("train", _train, arguments)


def _train(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    config = override(load_recipe(arguments[0])(), arguments[0], arguments[1:])
    print(f"done: {train(config)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
