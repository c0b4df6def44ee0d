"""Runs that are asked to end, and runs of several processes of which one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pgtfast import _cli
from pgtfast._errors import PgtfastError
from pgtfast.annotate import AnnotateConfig
from pgtfast.annotate._work import Job, ShardTask
from pgtfast.runs import processes
from pgtfast.runs.stop import Stop
from tests.annotate import children
from tests.annotate.runs import annotate, check_same, parts, rows, words


def wait_for_parts(out: Path, child, count: int = 1, seconds: float = 400) -> None:
    end = time.monotonic() + seconds
    while len(list((out / "annotations").glob("part-*"))) < count:
        assert child.is_alive() if hasattr(child, "is_alive") else child.poll() is None, "it ended before it was to"
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_the_shards_in_work(number, crowd, network, forks, undisturbed, tmp_path):
    out, told = tmp_path / "run", tmp_path / "told"
    child = forks.Process(target=children.annotate, args=(words(crowd, network, out), told))
    child.start()
    wait_for_parts(out, child)
    os.kill(child.pid, number)
    child.join()
    assert child.exitcode == 128 + number, told.read_text()
    assert f"{signal.Signals(number).name}: ended with {len(parts(out))} of" in told.read_text()
    assert "the same command goes on from there" in told.read_text()
    assert not list((out / "annotations").glob(".*"))
    kept = parts(out)
    assert annotate(*words(crowd, network, out)) == 0
    check_same(out, undisturbed)
    assert {name: parts(out)[name] for name in kept} == kept


def test_a_second_signal_ends_it_at_once(crowd, network, forks, undisturbed, tmp_path):
    out, told = tmp_path / "run", tmp_path / "told"
    child = forks.Process(target=children.annotate, args=(words(crowd, network, out), told))
    child.start()
    wait_for_parts(out, child)
    os.kill(child.pid, signal.SIGSTOP)  # so that it meets both before it does anything
    os.kill(child.pid, signal.SIGINT)
    os.kill(child.pid, signal.SIGTERM)
    os.kill(child.pid, signal.SIGCONT)
    child.join()
    assert child.exitcode in (-signal.SIGINT, -signal.SIGTERM)
    assert annotate(*words(crowd, network, out)) == 0
    check_same(out, undisturbed)


def descendants(pid: int) -> dict[int, str]:
    """Command lines of the processes below one."""
    parent, name = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                name[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
    below = {pid}
    for _ in range(8):
        below |= {child for child, above in parent.items() if above in below}
    return {number: name[number] for number in below - {pid}}


def run_command_line(arguments: list[str], told: Path) -> subprocess.Popen:
    with open(told, "w") as file:
        return subprocess.Popen([sys.executable, "-m", "pgtfast.annotate", *arguments], stdout=file, stderr=file)


def kill_one(process: subprocess.Popen, marks: str) -> int:
    """SIGKILL for one of the processes below whose command line holds the words."""
    found = sorted(pid for pid, line in descendants(process.pid).items() if marks in line)
    assert len(found) >= 2, descendants(process.pid)
    os.kill(found[0], signal.SIGKILL)
    return len(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "marks"), [((), "spawn_main"), (("--workers", "ray"), "ray::MapWorker")], ids=["processes", "ray"]
)
def test_of_two_workers_one_is_killed(more, marks, crowd, network, undisturbed, tmp_path):
    """And the run comes to its end all the same, everybody once."""
    if more:
        pytest.importorskip("ray", reason="the extra `ray` is not installed")
    out, told = tmp_path / "run", tmp_path / "told"
    process = run_command_line(words(crowd, network, out, "--processes", 2, "--threads", 1, *more), told)
    try:
        wait_for_parts(out, process)
        kill_one(process, marks)
        assert process.wait(timeout=240) == 0, told.read_text()
    finally:
        process.kill()
        process.wait()
    check_same(out, undisturbed)
    assert sorted(rows(out)) == crowd.ids
    assert f"{len(crowd.ids)} people" in told.read_text()


@pytest.fixture
def started(forks, monkeypatch):
    """Takes what each next worker does, the last one's for all that follow; all that were started are in a list."""
    made = []

    def chosen(*targets):
        def start(task):
            here, there = forks.Pipe()
            target = targets[min(len(made), len(targets) - 1)]
            process = forks.Process(target=target, args=(there, task), daemon=True)
            process.start()
            there.close()
            if target is children.ask_and_leave:
                process.join()  # its question is there, and nobody for the answer
            made.append(process)
            return processes._Worker(process, here, task)

        monkeypatch.setattr(processes, "_started", start)
        return made

    return chosen


def run_shards(*shards: int) -> list[int]:
    """Those written by two workers."""
    done = []
    tasks = [object(), object()]
    processes.run_processes(tasks, shards, lambda part: done.append(part.shard), Stop(), piece="shard")
    return sorted(done)


def test_processes_that_die_over_a_shard_are_told(started):
    """No worker lives long enough: the run ends with an error instead of starting them for ever."""
    made = started(children.ask_and_die)
    with pytest.raises(PgtfastError, match=r"shard \d: 2 processes died over it, the last with exit code -9"):
        run_shards(1, 2, 3)
    assert 3 <= len(made) <= 5
    assert not any(process.is_alive() for process in made)


@pytest.mark.parametrize("target", [children.die, children.ask_and_leave])
def test_processes_that_die_without_a_shard_are_replaced(target, started):
    made = started(target, target, children.work)
    assert run_shards(1, 2, 3) == [1, 2, 3]
    assert 3 <= len(made) <= 4


@pytest.mark.parametrize("target", [children.die, children.ask_and_leave])
def test_processes_that_never_live_to_have_a_shard_are_told(target, started):
    made = started(target)
    with pytest.raises(PgtfastError, match=r"\d processes died without a shard, the last with exit code -9"):
        run_shards(1, 2, 3)
    assert len(made) == 5


def test_a_process_that_starts_leaves_ctrl_c_to_its_parent(crowd, tmp_path, capfd):
    given = words(crowd, tmp_path / "none.ckpt", tmp_path / "run")
    config = _cli.parse("annotate", AnnotateConfig, given)
    worker = processes._started(ShardTask(Job(config, crowd.images)))
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(worker.process.pid, number)
        kind, told = worker.pipe.recv()
    finally:
        worker.process.kill()
    assert (kind, "none.ckpt: no such file" in told) == ("failed", True)
    assert "Traceback" not in capfd.readouterr().err
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
