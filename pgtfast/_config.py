"""Fields of a verb's config: how each is written on the command line, what numbers it takes, and what its docstring
says."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import math
import operator
import textwrap
import types
from collections.abc import Callable
from dataclasses import MISSING, dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from ._errors import PgtfastError

MOST = 2**31 - 1
"""Largest whole number that options without a bound of their own take."""


@dataclass(frozen=True)
class Option:
    """What a field's `Annotated[type, Option(...)]` adds to its type."""

    metavar: str = ""
    """Stands for the value in the help text."""
    low: float = -math.inf
    """Least number."""
    high: float = math.inf
    """Greatest number."""
    unit: str = ""
    """Of the number, for the message of one out of bounds."""
    positional: bool = False
    """Given by its place, not by its name."""
    name: str = ""
    """On the command line; by default the field's, with dashes."""
    parse: Callable[[str], Any] | None = None
    """Text to value, where the type alone does not say; raises ValueError with what was wanted."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a config as the command line sees it."""

    name: str
    kind: Any
    """Its type, without None and Option."""
    optional: bool
    """Whether None is a value."""
    default: Any
    """MISSING where it must be given."""
    help: str
    option: Option

    @property
    def flag(self) -> str:
        """The option, or what stands for a positional value."""
        if self.option.positional:
            return self.option.metavar or self.name.upper()
        return f"--{self.option.name or self.name.replace('_', '-')}"

    @property
    def choices(self) -> tuple[Any, ...]:
        """Values of a field that takes one of a few words."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()


class UsageError(PgtfastError):
    """A value of a config that does not fit; the message begins with the option."""


def check(config: Any) -> None:
    """Check the words and numbers of a config against their fields; for its `__post_init__`.

    Raises:
        UsageError: a number out of bounds, or another word than those wanted.
    """
    for field in config_fields(type(config)):
        value = getattr(config, field.name)
        if value is None and field.optional:
            continue
        if field.choices and value not in field.choices:
            wanted = ", ".join(map(repr, field.choices))
            raise UsageError(f"argument {field.flag}: invalid choice: {value!r} (choose from {wanted})")
        if field.kind in (int, float):
            _check_number(field, value)


def _check_number(field: Field, value: Any) -> None:
    option = field.option
    sound = isinstance(value, (int, float)) and math.isfinite(value) and option.low <= value <= option.high
    if not sound or (field.kind is int and value != int(value)):
        raise UsageError(f"argument {field.flag}: {wanted_number(field)}, got {value!r}")


def wanted_number(field: Field) -> str:
    """Which numbers a field takes, for messages."""
    option = field.option
    noun = "a whole number" if field.kind is int else "a number"
    unit = f" of {option.unit}" if option.unit else ""
    bounds = (f" from {option.low:g}" if math.isfinite(option.low) else "") + (
        f" to {option.high:g}" if math.isfinite(option.high) else ""
    )
    return f"wanted {noun}{unit}{bounds}"


def config_fields(config_type: Any) -> tuple[Field, ...]:
    """The fields of a config: the class's own first, then those of its bases; those that must be given before the
    others."""
    hints = get_type_hints(config_type, include_extras=True)
    docs = field_docs(config_type)
    own = {
        name: depth
        for depth, base in enumerate(config_type.__mro__[::-1])
        for name in vars(base).get("__annotations__", ())
    }
    found = []
    for field in dataclasses.fields(config_type):
        kind: Any
        kind, option = hints[field.name], Option()
        if get_origin(kind) is Annotated:
            kind, *notes = get_args(kind)
            option = next((note for note in notes if isinstance(note, Option)), option)
        optional = get_origin(kind) in (Union, types.UnionType) and type(None) in get_args(kind)
        if optional:
            kind = functools.reduce(operator.or_, (k for k in get_args(kind) if k is not type(None)))
        default = field.default if field.default_factory is MISSING else field.default_factory()
        found.append(
            Field(
                name=field.name,
                kind=kind,
                optional=optional,
                default=default,
                help=docs.get(field.name, ""),
                option=option,
            )
        )
    return tuple(sorted(found, key=lambda f: (f.default is not MISSING, -own[f.name])))


@functools.cache
def field_docs(config_type: Any) -> dict[str, str]:
    """The docstring under each field of a dataclass, in one line."""
    docs: dict[str, str] = {}
    for base in reversed(config_type.__mro__):
        if "__dataclass_fields__" not in vars(base):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                docs[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return docs
