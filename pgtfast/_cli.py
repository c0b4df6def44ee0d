"""How every command ends: exit code 0 when all that was asked is done, 2 with one line on bad usage or bad input, 130 when interrupted."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from ._errors import PgtfastError


def run(verb: str, main: Callable[[list[str]], int | None], arguments: Sequence[str] | None = None) -> int:
    """Call a command and turn its errors into one line on stderr; with `--debug` among the arguments the traceback is shown instead.

    Args:
        verb: name of the command, for the message.
        main: takes the arguments without `--debug`, returns the exit code (None is 0).
        arguments: by default those of the process.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    try:
        return main([a for a in arguments if a != "--debug"]) or 0
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
