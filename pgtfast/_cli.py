"""How every verb runs from the command line: options into its config, its errors into one line, its result into an exit
code.

Exit codes: 0 when all that was asked is done, 1 where the result says so (some people could not be done), 2 with one
line on bad usage or bad input, 130 when interrupted, 141 when nobody reads the output.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import inspect
import io
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import MISSING
from typing import Annotated, Any, TypeVar

from ._config import Field, UsageError, config_fields, wanted_number
from ._errors import PgtfastError
from ._options import needing

Config = TypeVar("Config")

DEBUG = "--debug shows the traceback of an error."


def main(
    verb: str,
    config_type: type[Config],
    do: Callable[[Config], Any],
    arguments: Sequence[str] | None = None,
    *,
    extra: str = "annotate",
) -> int:
    """Run a verb with the config that its options make.

    Args:
        verb: name of the command.
        config_type: frozen dataclass; its docstring opens the help text, those under its fields explain the options,
            and its class variable `EPILOG`, if any, closes it. :class:`pgtfast._config.Option` says what the types do
            not.
        do: takes the config; a result with an `exit_code` decides the exit code.
        arguments: by default those of the process.
        extra: extra of the package that the verb needs.

    Returns:
        The exit code.
    """

    def command(arguments: list[str]) -> int:
        with needing(extra, verb):
            return getattr(do(parse(verb, config_type, arguments)), "exit_code", 0)

    return run(verb, command, arguments)


def run(verb: str, command: Callable[[list[str]], int | None], arguments: Sequence[str] | None = None) -> int:
    """Call a command and turn its errors into one line on stderr; with `--debug` among the arguments the traceback is
    shown instead.

    Args:
        verb: name of the command, for the message.
        command: takes the arguments without `--debug`, returns the exit code (None is 0).
        arguments: by default those of the process.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    try:
        return command([a for a in arguments if a != "--debug"]) or 0
    except PgtfastError as error:
        if debug:
            raise
        message = str(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if debug or error.filename is None:
            raise
        message = f"{error.filename}: {error.strerror or error}"
    except KeyboardInterrupt:
        if debug:
            raise
        print(f"pgtfast {verb}: interrupted", file=sys.stderr)
        return 130
    print(f"pgtfast {verb}: {' '.join(message.split())}", file=sys.stderr)
    return 2


def parse(verb: str, config_type: type[Config], arguments: Sequence[str]) -> Config:
    """The config that a command line asks for; `--help` prints and ends the program.

    Raises:
        UsageError: an unknown option, a value that does not fit, or a value that is missing.
    """
    fields = config_fields(config_type)
    _refuse_unknown(fields, arguments)
    width = shutil.get_terminal_size().columns
    paragraphs = inspect.cleandoc(config_type.__doc__ or "").split("\n\n")
    about = "\n\n".join(textwrap.fill(" ".join(text.split()), min(width, 120)) for text in paragraphs)
    if all(field.kind is bool for field in fields):
        return config_type(**_flags(verb, about, fields, arguments))
    import tyro

    options: Any = dataclasses.make_dataclass(config_type.__name__, [_tyro_field(f) for f in fields], kw_only=True)
    epilog = getattr(config_type, "EPILOG", "")
    values = tyro_cli(options, verb, arguments, about, epilog, config=(tyro.conf.FlagCreatePairsOff,))
    return config_type(**vars(values))


def tyro_cli(
    config_type: type[Config], verb: str, arguments: Sequence[str], about: str = "", epilog: str = "", **others: Any
) -> Config:
    """`tyro.cli` whose errors are one line, and whose help text has no frames.

    Args:
        config_type: what tyro makes.
        verb: name of the command.
        arguments: of the command line.
        about: opens the help text.
        epilog: closes it.
        **others: of `tyro.cli`.

    Raises:
        UsageError: what tyro says of the arguments.
    """
    import tyro

    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            return tyro.cli(
                config_type, args=list(arguments), prog=f"python -m pgtfast.{verb}", description="", **others
            )
    except SystemExit as end:
        text = "\n".join(line.rstrip() for line in output.getvalue().splitlines())
        if end.code:
            raise UsageError(_one_line(text)) from None
        if {"-h", "--help"} & {*arguments}:
            usage, _, options = text.strip().partition("\n\n")
            text = "\n\n".join(part for part in (usage, about, options, epilog, DEBUG) if part)
        print(text)
        raise


def _refuse_unknown(fields: Sequence[Field], arguments: Sequence[str]) -> None:
    known = ["--help", *(field.flag for field in fields if field.kind is not bool or field.default is not True)]
    known += [f"--no-{field.flag[2:]}" for field in fields if field.kind is bool and field.default is True]
    for argument in arguments:
        name = argument.partition("=")[0].replace("_", "-")
        if name.startswith("--") and name not in (*known, "--") and not name.startswith("--tyro-"):
            nearest = [k for k in known if k.startswith(name)] or difflib.get_close_matches(name, known)
            cure = f"nearest: {', '.join(nearest)}" if nearest else "--help lists those there are"
            raise UsageError(f"unknown option {name}; {cure}")


def _tyro_field(field: Field) -> Any:
    """What `make_dataclass` takes of a field, annotated for tyro."""
    import tyro

    option, kind, metavar = field.option, field.kind, field.option.metavar
    notes: list[Any] = [tyro.conf.Positional] if option.positional else []
    read: Callable[[str], Any] | None = option.parse
    if field.choices:
        kind, metavar = str, metavar or "{" + ",".join(map(str, field.choices)) + "}"
    elif kind in (int, float) and read is None:
        read = _number(field)
    if read is not None:
        convert = read
        notes.append(
            tyro.constructors.PrimitiveConstructorSpec(
                nargs=1,
                metavar=metavar,
                instance_from_str=lambda words: convert(words[0]),
                is_instance=lambda value: True,
                str_from_instance=lambda value: [str(value)],
            )
        )
        kind = Any
    elif field.optional:
        kind = kind | None
    notes.append(
        tyro.conf.arg(
            name=None if option.positional else field.flag[2:],
            metavar=metavar or None,
            help=field.help,
            help_behavior_hint=_hint(field),
        )
    )
    annotated: Any = Annotated[(kind, *notes)]  # type: ignore[valid-type]
    if field.default is MISSING:
        return field.name, annotated
    return field.name, annotated, dataclasses.field(default=field.default)


def _hint(field: Field) -> str:
    """The default, where the help text does not name it."""
    if field.default is MISSING:
        return "" if field.option.positional else "(required)"
    if field.default in (None, "", ()) or field.kind is bool or "(default" in field.help:
        return ""
    return f"(default: {field.default})"


def _number(field: Field) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return field.kind(text)
        except ValueError:
            raise ValueError(f"{wanted_number(field)}, got {text!r}") from None

    return convert


def _flags(verb: str, about: str, fields: Sequence[Field], arguments: Sequence[str]) -> dict[str, bool]:
    """Values of a config of flags alone, which needs no extra."""
    import argparse

    parser = argparse.ArgumentParser(prog=f"python -m pgtfast.{verb}", description=about)
    for field in fields:
        parser.add_argument(field.flag, dest=field.name, action="store_true", help=field.help)
    return vars(parser.parse_args(list(arguments)))


def _one_line(text: str) -> str:
    """What an error text of tyro's says, without its title, its rules and the help texts in it."""
    sections: list[list[str]] = [[]]
    for row in text.splitlines()[1:]:
        if row.strip(" -") == "":
            sections.append([])
        elif not row.startswith(" " * 10):  # help texts stand deeper than the names of their options
            sections[-1].append(row)
    lines = []
    for rows in sections:
        if rows and not rows[0].strip().startswith(("For full helptext", "Argument helptext")):
            names = ", ".join(row.strip() for row in rows if row.startswith(" " * 6))
            lines.append(" ".join([*(row.strip() for row in rows if not row.startswith(" " * 6)), names]).strip())
    line = "; ".join(lines) or " ".join(text.split())
    return re.sub("Missing from [^:]*:", "missing:", line).replace("Error parsing ", "argument ")
