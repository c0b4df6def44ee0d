"""The command `pgtfast VERB ...`, the same as `python -m pgtfast.VERB ...`."""

from __future__ import annotations

import importlib.util
import runpy
import sys

VERBS = {
    "synth": "make the free synthetic world",
    "train": "run a training recipe",
    "fit": "fit bodies to 2D keypoints",
    "export": "turn a checkpoint into an engine",
    "annotate": "annotate images in bulk",
    "convert": "convert between pseudo-ground-truth formats",
    "evaluate": "score predictions under a named protocol",
    "report": "make the page and images of a run",
    "bench": "measure speed",
    "doctor": "say what is installed, what is missing and how to fix it",
}


def main() -> int:
    """Run one verb with the rest of the command line."""
    present = {verb: text for verb, text in VERBS.items() if importlib.util.find_spec(f"pgtfast.{verb}")}
    usage = "usage: pgtfast VERB [--help] ...\n\n" + "".join(f"  {verb:10s}{text}\n" for verb, text in present.items())
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        (sys.stdout if len(sys.argv) > 1 else sys.stderr).write(usage)
        return 0 if len(sys.argv) > 1 else 2
    verb = sys.argv.pop(1)
    if verb == "--version":
        from importlib.metadata import version

        print(f"pgtfast {version('pgtfast')}")
        return 0
    if verb not in present:
        print(f"pgtfast: no verb {verb!r}; wanted one of {', '.join(present)}", file=sys.stderr)
        return 2
    sys.argv[0] = f"pgtfast {verb}"
    runpy.run_module(f"pgtfast.{verb}", run_name="__main__", alter_sys=False)
    return 0
