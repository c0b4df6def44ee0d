"""The folder of a run: new, unfinished, finished, of another config; its lock; and the wish to stop."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from pgtfast._errors import PgtfastError
from pgtfast.runs import RunFolder, Stop
from pgtfast.runs.lock import Lock


@dataclass(frozen=True)
class Config:
    steps: int = 3
    images: Path = Path("a/b")
    sizes: tuple[int, ...] = (1, 2)


def test_the_state_of_a_folder_is_told_without_claiming_it(tmp_path):
    out = tmp_path / "run"
    assert RunFolder.state(out, Config()) == "new"
    assert not out.exists()
    with RunFolder(out, Config()) as run:
        assert not run.finished
        assert RunFolder.state(out, Config()) == "unfinished"
        run.write_run(finished=True, score=0.5)
    assert RunFolder.state(out, Config()) == "finished"
    with RunFolder(out, Config()) as run:
        assert run.finished
    content = json.loads((out / "run.json").read_text())
    assert content == {"config": {"steps": 3, "images": "a/b", "sizes": [1, 2]}, "finished": True, "score": 0.5}


def test_what_differs_is_named_by_dotted_names(tmp_path):
    config = {"network": {"depth": 18, "head": "latent"}, "config": Config()}
    RunFolder(tmp_path / "run", config).close()
    other = {"network": {"depth": 50, "head": "latent"}, "config": Config(steps=4), "more": 1}
    for claim in (RunFolder, RunFolder.state):
        with pytest.raises(
            PgtfastError,
            match=r"holds a run of another config \(config.steps: 3 there, 4 now; "
            r"more: None there, 1 now; network.depth: 18 there, 50 now\)",
        ):
            claim(tmp_path / "run", other)


def test_a_lock_is_given_back(tmp_path):
    with Lock(tmp_path / "lock", "busy: a test"), pytest.raises(PgtfastError, match="busy: a test"):
        Lock(tmp_path / "lock", "busy: a test")
    with Lock(tmp_path / "lock", "busy: a test"):
        pass


@pytest.fixture
def handler():
    """Python's own handler, which a shell's background jobs lack."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_signals_close_together_are_one_wish(handler, capfd):
    with Stop("ends soon") as stop:
        assert not stop.asked()
        assert list(stop.until([1, 2])) == [1, 2]
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        assert stop.asked()
        assert stop.signal == signal.SIGTERM
        assert list(stop.until([1, 2])) == []
    assert signal.getsignal(signal.SIGINT) is handler
    assert capfd.readouterr().err == "\nends soon\n"


def test_a_further_one_ends_at_once(handler):
    with Stop(settle=0) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal == signal.SIGINT


def stubborn():
    with Stop(settle=0, kill=True):
        os.kill(os.getpid(), signal.SIGINT)
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os._exit(3)  # of who catches KeyboardInterrupt


def test_a_further_one_may_kill():
    child = multiprocessing.get_context("spawn").Process(target=stubborn)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGINT


def test_several_processes_agree(handler):
    with Stop(agree=lambda mine: True) as stop:
        assert stop.asked()
        assert stop.signal is None


def test_signals_are_left_to_the_main_thread(handler):
    seen = []

    def inside():
        with Stop():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [handler]
