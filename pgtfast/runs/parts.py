"""The columnar store of a run: Parquet parts that appear whole or not at all, and their manifest."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .._errors import PgtfastError
from ..files.atomic import disk_errors, replacing
from ..people import People
from ..people.arrow import conformed, from_arrow, present
from ..people.columns import KEY, SCHEMA
from .folder import RunFolder

MANIFEST = "manifest.jsonl"
FOLDER = "annotations"


class PartNote(NamedTuple):
    """What the manifest says of a part."""

    part: str
    """Name of its file in RUN/annotations."""
    rows: int
    bytes: int


class Store(RunFolder):
    """The folder of a run with its parts. One process at a time writes to it.

    Args:
        folder: RUN; made if absent.
        config: what decides the result; kept in run.json and compared when the run is resumed.

    Attributes:
        notes: what the manifest says of each part, by the name of its file.

    Raises:
        PgtfastError: as of :class:`RunFolder`, and where a part is not as it was written.
    """

    def __init__(self, folder: str | Path, config: Any) -> None:
        super().__init__(folder, config)
        self.parts = self.folder / FOLDER
        with self._closed_on_error():
            with disk_errors(self.parts):
                self.parts.mkdir(exist_ok=True)
            self.notes = self._noted()

    def __enter__(self) -> Store:
        return self

    def keys(self) -> set[tuple]:
        """(dataset, image_path, annotation_id) of all rows written so far."""
        table = read_records(self.folder, columns=KEY)
        return set(zip(*(table[name].to_pylist() for name in KEY), strict=True))

    def missing(self, people: People) -> np.ndarray:
        """(N,) bool: the people that the store has no row of yet."""
        done = self.keys()
        ids = (int(number) for number in people.annotation_id)
        keys = zip((people.dataset for _ in range(len(people))), people.image_path, ids, strict=True)
        return np.array([key not in done for key in keys], bool)

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
        """Remove what a run that has no part yet has made, and these files."""
        with contextlib.suppress(OSError):  # it holds other things
            self.parts.rmdir()
        super().discard(*names, MANIFEST)

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
                    f"{part}: has {size} bytes, {MANIFEST} says {known.bytes}: not as it was written; remove it and "
                    "run the same command to make its rows again"
                )
            # one without a line was written right before a kill
            there[part.name] = known or PartNote(part.name, _rows(part), size)
        if content != whole or there != told:
            for name in sorted(set(told) - set(there)):
                print(f"{self.parts / name}: is in {MANIFEST} but not there; its people are done again")
            with disk_errors(path), replacing(path) as partial:
                partial.write_text("".join(json.dumps(note._asdict()) + "\n" for note in there.values()))
        return there


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


def _tables(run: str | Path, columns: Sequence[str] | None) -> Iterator[tuple[Path, pa.Table]]:
    """The parts of a run, one after the other."""
    for path in sorted((Path(run) / FOLDER).glob("part-*.parquet")):
        with _readable(path), pq.ParquetFile(path) as file:
            table = conformed(file.read(columns=present(file.schema_arrow, columns)), columns)
        yield path, table


def iter_records(run: str | Path, *, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The parts of a run, one after the other, as :func:`read_records` reads them."""
    return (table for _, table in _tables(run, columns))


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


def iter_people(run: str | Path, *, columns: Sequence[str] = tuple(SCHEMA.names)) -> Iterator[People]:
    """The people of a run, part by part.

    Args:
        run: its folder.
        columns: those that are read, `annotation_id` and `valid` among them; what others say is unknown.

    Raises:
        PgtfastError: a part is damaged, or of people of several datasets or body models.
    """
    for path, table in _tables(run, columns):
        yield from_arrow(table, str(path), columns)
