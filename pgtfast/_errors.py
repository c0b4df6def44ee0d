"""The error that commands print as one line."""

from __future__ import annotations


class PgtfastError(ValueError):
    """Something is wrong with a file, a name or an argument; the message says what, where and how to mend it."""
