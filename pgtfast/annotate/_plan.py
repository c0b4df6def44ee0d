"""Who is annotated, in shards: a database in the run's folder that is written once and then only read."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..files.atomic import disk_errors, replacing
from ..images.bulk_source import Place
from ..loading.bulk import Shard
from ..people import People, empty_people
from ..runs.parts import part_name
from ._inputs import Input

PLAN_FILE = "plan.sqlite"
_BITS = 63


def write_plan(path: Path, source: Input, *, part_size: int, shards: int | None) -> None:
    """Go once through the input and lay it out in shards; the file appears whole or not at all.

    Args:
        path: to write.
        source: the people.
        part_size: people of a shard, on average.
        shards: how many shards; None follows from `part_size`.
    """
    with disk_errors(path), replacing(path) as partial, _database_errors(path):
        database = sqlite3.connect(partial, isolation_level=None)
        try:
            _fill(database, source, part_size, shards)
        finally:
            database.close()


def _fill(database: sqlite3.Connection, source: Input, part_size: int, shards: int | None) -> None:
    run = database.execute
    run("PRAGMA journal_mode = OFF")  # a plan cut short is made again, not mended
    run("PRAGMA synchronous = OFF")
    run("BEGIN")
    run("CREATE TABLE meta (key TEXT PRIMARY KEY, value)")
    run("CREATE TABLE place (name TEXT PRIMARY KEY, tar INTEGER, offset INTEGER, size INTEGER) WITHOUT ROWID")
    run("CREATE TABLE shard (number INTEGER PRIMARY KEY, people INTEGER)")
    run(
        "CREATE TABLE person (at INTEGER PRIMARY KEY, key INTEGER, id INTEGER, path TEXT, width INTEGER, height INTEGER, bbox BLOB, "
        "keypoints BLOB, reason TEXT)"
    )
    for places in source.places():
        # of members of one name the last one counts, as where a tar is unpacked
        database.executemany("INSERT OR REPLACE INTO place VALUES (?, ?, ?, ?)", places)
    for people, at in source.chunks():
        database.executemany("INSERT INTO person VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _rows(people, at))
    # An id that came before names another person: those after the first get an id of their own, and a reason.
    run(f"CREATE INDEX by_id ON person ({', '.join(source.unique)}, at)")
    same = " AND ".join(f"first.{name} IS person.{name}" for name in source.unique)
    run(
        "UPDATE person SET reason = 'duplicate-id: ' || id || ' is the id of the input''s person number ' || (1 + "
        f"(SELECT min(at) FROM person AS first WHERE {same})) || ', too', id = -1 - at "
        f"WHERE EXISTS (SELECT 1 FROM person AS first WHERE {same} AND first.at < person.at)"
    )
    run("DROP INDEX by_id")
    run("CREATE INDEX by_key ON person (key)")
    (count,) = run("SELECT count(*) FROM person").fetchone()
    (images,) = run("SELECT count(DISTINCT key) FROM person").fetchone()
    shards = max(1, -(-count // part_size)) if shards is None else shards
    sizes: dict[int, int] = {}
    for (key,) in run("SELECT key FROM person ORDER BY key"):
        number = key * shards >> _BITS
        sizes[number] = sizes.get(number, 0) + 1
    database.executemany("INSERT INTO shard VALUES (?, ?)", sizes.items())
    told = {"dataset": source.dataset, "landmark_set": source.landmark_set, "shards": shards, "images": images}
    database.executemany("INSERT INTO meta VALUES (?, ?)", told.items())
    run("COMMIT")


def image_key(dataset: str, path: str | None, annotation_id: int) -> int:
    """A whole number below 2^63 that all people of an image share, the same on every machine."""
    name = f"{dataset}\0{annotation_id if path is None else path}"
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1


def _rows(people: People, places: np.ndarray) -> Iterator[tuple]:
    points = people.keypoints.astype(np.float32)
    labelled = np.any(points[..., 2] > 0, axis=1)
    for row, place in enumerate(places):
        path, number, box = people.image_path[row], int(people.annotation_id[row]), people.bbox[row]
        yield (
            int(place), image_key(people.dataset, path, number), number, path, int(people.image_size[row, 0]), int(people.image_size[row, 1]),
            None if np.isnan(box).all() else box.tobytes(), points[row].tobytes() if labelled[row] else None, people.reason[row],
        )  # fmt: skip


class Plan:
    """A plan that is there. It is opened for each question and never written, so that any number of processes may read it.

    Raises:
        PgtfastError: the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as database:
            told = dict(database.execute("SELECT key, value FROM meta"))
            self.sizes: dict[int, int] = dict(database.execute("SELECT number, people FROM shard ORDER BY number"))
            (self.in_tars,) = database.execute("SELECT EXISTS (SELECT 1 FROM place)").fetchone()
        if not {"dataset", "landmark_set", "shards", "images"} <= set(told):
            raise PgtfastError(f"{path}: not a plan; remove it and run the same command")
        self.dataset, self.landmark_set, self.shards = told["dataset"], told["landmark_set"], told["shards"]
        self.crowded = self.people > told["images"]
        """Whether some image shows several people."""

    @property
    def people(self) -> int:
        return sum(self.sizes.values())

    def left(self, there: set[str]) -> list[int]:
        """Shards of which there is no part yet."""
        return [number for number in self.sizes if part_name(number) not in there]

    def some(self, count: int) -> list[tuple[str, bool]]:
        """Names of pictures of a few people who can be annotated, spread over the input, and whether a tar holds them."""
        with self._open() as database:
            return database.execute(
                "SELECT path, place.name IS NOT NULL FROM person LEFT JOIN place ON place.name = path WHERE reason IS NULL ORDER BY key LIMIT ?",
                (count,),
            ).fetchall()

    def load(self, number: int) -> Shard:
        """The people of a shard, in the order of the input."""
        first, after = (-(-(n << _BITS) // self.shards) for n in (number, number + 1))
        with self._open() as database:
            held = database.execute(
                "SELECT id, path, width, height, bbox, keypoints, reason FROM person WHERE key BETWEEN ? AND ? ORDER BY at",
                (first, after - 1),
            ).fetchall()
            places = None
            if self.in_tars:
                names = {row[1] for row in held}
                found = (database.execute("SELECT * FROM place WHERE name = ?", (n,)).fetchone() for n in names)
                places = {row[0]: Place(*row) for row in found if row is not None}
        return Shard(number, self._people(held), places)

    def _people(self, held: list[tuple[Any, ...]]) -> People:
        count, joints = len(held), len(skeletons.get(self.landmark_set))
        column = list(zip(*held, strict=True)) if held else [()] * 7
        paths, reasons = np.empty(count, object), np.empty(count, object)
        paths[:], reasons[:] = column[1], column[6]
        person_id, seen = np.zeros(count, np.int64), dict[Any, int]()
        for row, path in enumerate(paths):
            person_id[row] = seen[path] = seen.get(path, -1) + 1
        none, unlabelled = np.full(4, np.nan).tobytes(), np.zeros((joints, 3), np.float32).tobytes()
        boxes = b"".join(none if box is None else box for box in column[4])
        points = b"".join(unlabelled if p is None else p for p in column[5])
        return replace(
            empty_people(self.dataset, np.array(column[0], np.int64), landmark_set=self.landmark_set),
            image_path=paths,
            image_size=np.array([column[2], column[3]], np.int64).T.reshape(count, 2),
            person_id=person_id,
            bbox=np.frombuffer(boxes).reshape(count, 4).copy(),
            keypoints=np.frombuffer(points, np.float32).reshape(count, joints, 3).astype(np.float64),
            reason=reasons,
        )

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with _database_errors(self.path):
            # immutable: no locks, which network folders often lack
            database = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
            try:
                yield database
            finally:
                database.close()


@contextlib.contextmanager
def _database_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise PgtfastError(
            f"{path}: {error}; mend the disk, or remove the file where it is damaged, and run the same command"
        ) from error
