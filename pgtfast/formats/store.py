"""The columnar store of a run: Parquet parts that appear whole or not at all, their manifest, and run.json."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from .._errors import PgtfastError
from ..files.atomic import disk_errors, replacing
from ..people.arrow import KEY, SCHEMA, conformed, present

RUN_FILE = "run.json"
MANIFEST = "manifest.jsonl"
FOLDER = "annotations"


class PartNote(NamedTuple):
    """What the manifest says of a part."""

    part: str
    """Name of its file in RUN/annotations."""
    rows: int
    bytes: int


class Store:
    """The folder of a run. One process at a time writes to it.

    Args:
        folder: RUN; made if absent.
        config: what decides the result; kept in run.json and compared when the run is taken up again.

    Raises:
        PgtfastError: the folder cannot be written, is in use, holds other files, or a run of another config.
    """

    def __init__(self, folder: str | Path, config: dict[str, Any]) -> None:
        self.folder = Path(folder)
        self.config = json.loads(json.dumps(config))
        self.parts = self.folder / FOLDER
        self._run_before()
        try:
            self.parts.mkdir(parents=True, exist_ok=True)
            self._lock = self._locked()
            for left in (*self.folder.glob(".*.tmp"), *self.parts.glob(".*.tmp")):
                left.unlink()
        except OSError as error:
            raise PgtfastError(
                f"--out {self.folder}: cannot be written ({error.strerror}); choose a folder that you may write to"
            ) from error
        try:
            before = (
                self._run_before()
            )  # again: until the lock was held, another process may have begun or ended the run
            self.run: dict[str, Any] = before or {"config": self.config, "finished": False}
            if before is None:
                self.write_run()
            self.notes = self._noted()
        except BaseException:
            self.close()
            raise

    @property
    def finished(self) -> bool:
        return bool(self.run.get("finished"))

    def _run_before(self) -> dict[str, Any] | None:
        """What run.json says, if this folder is a run already; refuses one of another config and folders that are no run."""
        path = self.folder / RUN_FILE
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            known = (FOLDER,) if self.parts.is_dir() and not any(self.parts.glob("part-*")) else ()
            if self.folder.is_dir() and any(
                not p.name.startswith(".") and p.name not in known for p in self.folder.iterdir()
            ):
                raise PgtfastError(
                    f"--out {self.folder}: holds files but no {RUN_FILE}, so it is no run; choose a new or empty folder"
                ) from None
            return None
        except OSError as error:
            raise PgtfastError(f"--out {self.folder}: cannot be read ({error.strerror}); wanted a folder") from error
        try:
            run = json.loads(text)
            theirs = run["config"]
        except (ValueError, KeyError, TypeError) as error:
            raise PgtfastError(f"{path}: damaged ({type(error).__name__}: {error}); choose another --out") from error
        if theirs != self.config:
            keys = sorted(k for k in {*theirs, *self.config} if theirs.get(k) != self.config.get(k))
            changed = "; ".join(f"{k}: {theirs.get(k)!r} there, {self.config.get(k)!r} now" for k in keys)
            raise PgtfastError(
                f"--out {self.folder}: holds a run of another config ({changed}); choose another folder, or repeat that config"
            )
        return run

    def _locked(self) -> int:
        import fcntl

        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise PgtfastError(
                f"--out {self.folder}: another process is writing this run; wait for it, or choose another folder"
            ) from None
        return handle

    def close(self) -> None:
        """Let other processes write."""
        os.close(self._lock)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def keys(self) -> set[tuple]:
        """(dataset, image_path, annotation_id) of all rows written so far."""
        table = read_records(self.folder, columns=KEY)
        return set(zip(*(table[name].to_pylist() for name in KEY), strict=True))

    def write_part(self, table: pa.Table) -> Path:
        """Append rows as the next part.

        Args:
            table: of :func:`pgtfast.people.arrow.to_arrow`, of people that no part has yet.
        """
        number = 1 + max((int(p.stem.rpartition("-")[2]) for p in self.parts.glob("part-*.parquet")), default=-1)
        note = write_part(self.folder, number, table)
        self.note(note)
        return self.parts / note.part

    def discard(self, *names: str) -> None:
        """Take away what a run that has no part yet has made, and these files: nothing of it is worth keeping."""
        for name in (*names, RUN_FILE, MANIFEST, ".lock"):
            (self.folder / name).unlink(missing_ok=True)
        for folder in (self.parts, self.folder):
            with contextlib.suppress(OSError):  # it holds other things
                folder.rmdir()

    def note(self, note: PartNote) -> None:
        """Put a part that is there into the manifest."""
        self.notes[note.part] = note
        path = self.folder / MANIFEST
        with disk_errors(path), open(path, "ab") as file:
            file.write((json.dumps(note._asdict()) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())

    def _noted(self) -> dict[str, PartNote]:
        """The parts that are there, by name; the manifest is made to say the same.

        Raises:
            PgtfastError: a part is not as it was written.
        """
        path, told = self.folder / MANIFEST, {}
        content = path.read_bytes() if path.is_file() else b""
        whole = content[: content.rfind(b"\n") + 1]  # a line that a kill or a full disk cut short counts as not written
        for line in whole.splitlines():
            try:
                note = PartNote(**json.loads(line))
            except (ValueError, TypeError) as error:
                raise PgtfastError(f"{path}: damaged ({error}); remove it, it is made again from the parts") from error
            told[note.part] = note
        there = {}
        for part in sorted(self.parts.glob("part-*.parquet")):
            size, known = part.stat().st_size, told.get(part.name)
            if known is not None and known.bytes != size:
                raise PgtfastError(
                    f"{part}: has {size} bytes, {MANIFEST} says {known.bytes}: not as it was written; remove it and run the same command to make its rows again"
                )
            # one without a line was written right before a kill
            there[part.name] = known or PartNote(part.name, _rows(part), size)
        if content != whole or there != told:
            for name in sorted(set(told) - set(there)):
                print(f"{self.parts / name}: is in {MANIFEST} but not there; its people are done again")
            with disk_errors(path), replacing(path) as partial:
                partial.write_text("".join(json.dumps(note._asdict()) + "\n" for note in there.values()))
        return there

    def write_run(self, **changes: Any) -> None:
        """Update run.json."""
        self.run.update(changes)
        path = self.folder / RUN_FILE
        with disk_errors(path), replacing(path) as partial:
            partial.write_text(json.dumps(self.run, indent=1) + "\n", encoding="utf-8")


def part_name(number: int) -> str:
    """File name of a part."""
    return f"part-{number:05d}.parquet"


def write_part(folder: Path, number: int, table: pa.Table) -> PartNote:
    """Write a part of a run; it appears whole or not at all. Whoever calls sees to it that the number is theirs.

    Args:
        folder: of the run.
        number: of the part.
        table: of :func:`pgtfast.people.arrow.to_arrow`.
    """
    path = folder / FOLDER / part_name(number)
    with disk_errors(path), replacing(path) as partial:
        pq.write_table(table, partial, compression="zstd")
        size = partial.stat().st_size
    return PartNote(path.name, len(table), size)


def _rows(path: Path) -> int:
    with _readable(path):
        return pq.read_metadata(path).num_rows


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, ValueError, KeyError, OSError) as error:
        line = str(error).splitlines()[0]
        raise PgtfastError(
            f"{path}: not a readable part of a run ({line}); remove it and run the same command to make its rows again"
        ) from error


def iter_records(run: str | Path, *, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The parts of a run, one after the other, as :func:`read_records` reads them."""
    for path in sorted((Path(run) / FOLDER).glob("part-*.parquet")):
        with _readable(path), pq.ParquetFile(path) as file:
            table = conformed(file.read(columns=present(file.schema_arrow, columns)), columns)
        yield table


def read_records(run: str | Path, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Read all parts of a run.

    Args:
        run: its folder.
        columns: names to read; None reads all.

    Returns:
        The rows in the order written, whatever version of the store they are of.

    Raises:
        PgtfastError: a part is damaged or has other columns.
    """
    wanted = list(SCHEMA.names if columns is None else columns)
    tables = list(iter_records(run, columns=wanted))
    return pa.concat_tables(tables) if tables else pa.schema([SCHEMA.field(name) for name in wanted]).empty_table()
