"""``python -m pgtfast.evaluate synth --predictions RUN --world OUT --split wild``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .._cli import run
from .._options import needing
from ._options import parse


def main(arguments: list[str]) -> int:
    """Score a run; returns the exit code."""
    options = parse(arguments)
    with needing("annotate", "evaluate"):
        from ..formats.store import replacing
        from ._synth import evaluate_synth
        from ._table import table

    result = evaluate_synth(options.world, options.split, [options.predictions, *options.against])
    print(table(result))
    if options.json:
        with replacing(Path(options.json)) as partial:
            partial.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(run("evaluate", main))
