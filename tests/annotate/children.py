"""What the processes of the fault tests do."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import nvidia.dali.fn
import nvidia.dali.types  # noqa: F401
import pyarrow.parquet  # noqa: F401
import torch

import pgtfast.annotate._run
import pgtfast.loading.bulk
from pgtfast import _cli
from pgtfast.annotate import AnnotateConfig
from pgtfast.annotate._parts import Written
from pgtfast.runs.parts import PartNote

STEPS = ("mkdir", "fsync", "replace", "unlink")
"""Calls of the system that change what the next run finds."""


def annotate(arguments: list[str], told: Path) -> None:
    """Run as the command does, its words in a file."""
    with open(told, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(1)
    code = _cli.main("annotate", AnnotateConfig, pgtfast.annotate.annotate, arguments)
    sys.stdout.flush()
    os._exit(code)


def annotate_and_die(arguments: list[str], told: Path, step: int) -> None:
    """As `annotate`, but killed right before the disk's `step`-th change."""
    left = [step]
    for name in STEPS:
        setattr(os, name, _counted(getattr(os, name), left))
    annotate(arguments, told)


def ask_and_die(pipe, task) -> None:
    """A worker that is killed over its first shard."""
    pipe.send(("next", None))
    pipe.recv()
    os.kill(os.getpid(), signal.SIGKILL)


def die(pipe, task) -> None:
    """A worker that is killed while it starts."""
    os.kill(os.getpid(), signal.SIGKILL)


def ask_and_leave(pipe, task) -> None:
    """A worker that is killed before it has the answer."""
    pipe.send(("next", None))
    os.kill(os.getpid(), signal.SIGKILL)


def work(pipe, task) -> None:
    """A worker that writes what it is given."""
    while True:
        pipe.send(("next", None))
        number = pipe.recv()
        if number is None:
            return
        pipe.send(("done", (number, Written(number, PartNote("", 0, 0), 0))))


def _counted(call, left):
    def counted(*arguments, **named):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)

    return counted
