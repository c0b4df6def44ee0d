"""The protocols by name, and what every one of them prints and writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from .._options import needing
from ..files.atomic import replacing
from . import _coco, _synth, _table
from ._config import EvaluateConfig, EvaluateResult


class Protocol(NamedTuple):
    """One way to score runs: a file of its own."""

    evaluate: Callable[[EvaluateConfig], dict[str, Any]]
    """Config -> all that `--json` writes."""
    table: Callable[[dict[str, Any]], str]
    """The same as lines to print."""


PROTOCOLS = {"synth": Protocol(_synth.evaluate, _table.table), "coco": Protocol(_coco.evaluate, _coco.table)}


def run(config: EvaluateConfig) -> EvaluateResult:
    """Evaluate; arguments and errors of :func:`pgtfast.evaluate.evaluate`."""
    protocol = PROTOCOLS[config.protocol]
    values = protocol.evaluate(config)
    print(protocol.table(values))
    if config.calibrate is not None:
        assert config.world is not None
        with needing("calibrate", "--calibrate"):
            import sklearn  # noqa: F401
        from ..quality.score import add_quality

        models, about = _synth.calibrate(config.world, config.split, config.predictions)
        add_quality(config.calibrate, about["method"], models, about)
        print(
            f"{config.calibrate}: {len(models)} models of {about['people']} people; annotate and fit take it with "
            f"--quality"
        )
    if config.plot is not None:
        with needing("report", "--plot"):
            from ._plots import draw_quality
        name, scores = next(iter(values["runs"].items()))
        draw_quality(config.plot, name, scores["quality"])
    if config.json is not None:
        with replacing(config.json) as partial:
            partial.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    return EvaluateResult(values)
