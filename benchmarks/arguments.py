"""Numbers of the suites' command lines."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def count(low: int, unit: str) -> Callable[[str], int]:
    """An argparse type: a whole number of `unit` from `low` on."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(f"wanted a whole number of {unit} from {low}, got {text!r}")
        return int(text)

    return parse
