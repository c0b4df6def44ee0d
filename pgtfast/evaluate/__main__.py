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
        from ..files.atomic import replacing
        from ..quality.score import add_quality
        from ._synth import calibrate_synth, evaluate_synth
        from ._table import table

    result = evaluate_synth(options.world, options.split, [options.predictions, *options.against])
    print(table(result))
    if options.calibrate:
        with needing("calibrate", "--calibrate"):
            import sklearn  # noqa: F401
        models, about = calibrate_synth(options.world, options.split, options.predictions)
        add_quality(options.calibrate, about["method"], models, about)
        print(
            f"{options.calibrate}: {len(models)} models of {about['people']} people; annotate and fit take it with --quality"
        )
    if options.plot:
        with needing("report", "--plot"):
            from ._plots import draw_quality
        name, run_result = next(iter(result["runs"].items()))
        draw_quality(Path(options.plot), name, run_result["quality"])
    if options.json:
        with replacing(Path(options.json)) as partial:
            partial.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(run("evaluate", main))
