"""Who is annotated, in shards: an Arrow file in the run's folder, one batch of rows a shard, written once and then only
read."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from .._errors import PgtfastError
from ..files.atomic import disk_errors, replacing
from ..images.source import Location
from ..loading.bulk import Shard
from ..people import People, Reason, Skip, person_ids
from ..people.arrow import conformed, from_arrow, to_arrow
from ..people.columns import PENDING, SCHEMA
from ..runs.parts import part_name
from ._inputs import Input, refusal
from ._spool import BUCKETS, KEY_BITS, Spool, first_key, split

PLAN_FILE = "plan.arrow"
_ABOUT = b"pgtfast_plan"
_PLACE = [pa.field("tar", pa.int32()), pa.field("offset", pa.int64()), pa.field("size", pa.int64())]
_WAITING = pa.schema([*map(SCHEMA.field, PENDING), pa.field("key", pa.uint64()), pa.field("at", pa.int64())])
_PLANNED = pa.schema([*_WAITING, *_PLACE])
_NAMED = pa.schema([pa.field("name", pa.string()), *_PLACE])
_IDENTITY = np.dtype([("high", np.uint64), ("low", np.uint64), ("at", np.int64)])


def write_plan(path: Path, source: Input, *, part_size: int, shards: int | None) -> None:
    """Go once through the input and lay it out in shards; the file appears whole or not at all.

    People wait on the disk in buckets of neighbouring shards, which are then sorted one after the other.

    Args:
        path: to write.
        source: the people.
        part_size: people of a shard, on average.
        shards: how many shards; None follows from `part_size`.
    """
    with disk_errors(path), replacing(path) as partial, Spool(path.parent) as spool:
        in_tars = _spool_places(spool, source)
        count = _spool_people(spool, source)
        shards = max(1, -(-count // part_size)) if shards is None else shards
        sizes, images = _counted(spool, shards)
        about = {
            "dataset": source.dataset,
            "landmark_set": source.landmark_set,
            "shards": shards,
            "images": images,
            "in_tars": in_tars,
            "sizes": sorted(sizes.items()),
        }
        schema = _PLANNED.with_metadata({_ABOUT: json.dumps(about).encode()})
        with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for shard in _shards(spool, shards, _duplicates(spool)):
                writer.write_table(shard)


def _spool_places(spool: Spool, source: Input) -> bool:
    """Put where images are in tars on the disk; whether there are any."""
    some = False
    for places in source.places():
        places = [place for place in places if refusal(place.name) is None]
        if places:
            some = True
            keys = np.array([image_key(source.dataset, place.name, 0) for place in places], np.uint64)
            _spool(
                spool,
                "places",
                pa.RecordBatch.from_arrays(list(map(pa.array, zip(*places, strict=True))), schema=_NAMED),
                keys,
            )
    return some


def _spool_people(spool: Spool, source: Input) -> int:
    """Put people on the disk by the keys of their images, and what must not be the same for two by its own keys; their
    number."""
    count = 0
    for people, at in source.chunks():
        ids = people.annotation_id.tolist()
        keys = np.array([image_key(people.dataset, *of) for of in zip(people.image_path, ids, strict=True)], np.uint64)
        table = conformed(to_arrow(people, pending=True), PENDING)
        columns = [*(column.combine_chunks() for column in table.columns), pa.array(keys), pa.array(at)]
        _spool(spool, "people", pa.RecordBatch.from_arrays(columns, schema=_WAITING), keys)
        identities = _identities(source.unique, people, at)
        for bucket, rows in split(identities["high"]):
            spool.add("identities", bucket, identities[rows].tobytes())
        count += len(people)
    return count


def _spool(spool: Spool, kind: str, batch: pa.RecordBatch, keys: np.ndarray) -> None:
    start, ordered = 0, batch.take(pa.array(np.concatenate([rows for _, rows in split(keys)])))
    for bucket, rows in split(keys):
        spool.add(kind, bucket, ordered.slice(start, len(rows)).serialize())
        start += len(rows)


def _spooled(spool: Spool, kind: str, bucket: int, schema: pa.Schema) -> pa.Table:
    blocks = spool.blocks(kind, bucket)
    return pa.Table.from_batches([pa.ipc.read_record_batch(pa.py_buffer(block), schema) for block in blocks], schema)


def image_key(dataset: str, path: str | None, annotation_id: int) -> int:
    """A whole number below 2^63 that all people of an image share, the same on every machine."""
    return _hash(f"{dataset}\0{annotation_id if path is None else path}", 8) >> 1


def _hash(text: str, size: int) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=size).digest(), "big")


def _identities(unique: tuple[str, ...], people: People, at: np.ndarray) -> np.ndarray:
    """(N,) of `_IDENTITY`: 127 bits of a hash of the columns that must not be the same for two people, and where each
    is in the input."""
    columns = {"id": people.annotation_id.tolist(), "path": people.image_path}
    texts = map("\0".join, zip(*(map(str, columns[name]) for name in unique), strict=True))
    hashes = [(number >> 65, number & (2**64 - 1)) for number in (_hash(text, 16) for text in texts)]
    out = np.zeros(len(at), _IDENTITY)
    if len(at):
        out["high"], out["low"] = np.array(hashes, np.uint64).T
    out["at"] = at
    return out


def _duplicates(spool: Spool) -> np.ndarray:
    """(D, 2) int64 indices in the input, sorted: of people who are as one before them, and of the first of these."""
    found = [np.zeros((0, 2), np.int64)]
    for bucket in range(BUCKETS):
        held = np.frombuffer(b"".join(spool.blocks("identities", bucket)), _IDENTITY)
        held = held[np.lexsort((held["at"], held["low"], held["high"]))]
        again = np.zeros(len(held), bool)
        again[1:] = (held["high"][1:] == held["high"][:-1]) & (held["low"][1:] == held["low"][:-1])
        first = np.maximum.accumulate(np.where(again, 0, np.arange(len(held))))
        found.append(np.stack([held["at"][again], held["at"][first[again]]], 1))
    duplicates = np.concatenate(found)
    return duplicates[np.argsort(duplicates[:, 0])]


def _shard_of(keys: np.ndarray, shards: int) -> np.ndarray:
    """(N,) int64: key * shards / 2^63, in whole numbers below 2^64."""
    half, count = np.uint64(31), np.uint64(shards)
    low = (keys & np.uint64((1 << 31) - 1)) * count >> half
    return (((keys >> half) * count + low) >> np.uint64(KEY_BITS - 31)).astype(np.int64)


def _counted(spool: Spool, shards: int) -> tuple[dict[int, int], int]:
    """People of each shard that has any, and the number of images."""
    sizes, images = Counter[int](), 0
    for bucket in range(BUCKETS):
        keys = _spooled(spool, "people", bucket, _WAITING)["key"].to_numpy()
        numbers, counts = np.unique(_shard_of(keys, shards), return_counts=True)
        sizes.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
        images += len(np.unique(keys))
    return dict(sizes), images


def _shards(spool: Spool, shards: int, duplicates: np.ndarray) -> Iterator[pa.Table]:
    """The rows of each shard that has any, in the order of the input."""
    waiting = _PLANNED.empty_table()
    for bucket in range(BUCKETS):
        table = pa.concat_tables([waiting, _planned(spool, bucket, duplicates)])
        number, at = _shard_of(table["key"].to_numpy(), shards), table["at"].to_numpy()
        order = np.lexsort((at, number))
        table, number = table.take(pa.array(order)), number[order]
        # the next bucket may go on with the shard that its first key is of
        after = (
            shards if bucket + 1 == BUCKETS else int(_shard_of(np.array([first_key(bucket + 1)], np.uint64), shards)[0])
        )
        ends = np.flatnonzero(np.diff(number, append=-1) != 0) + 1
        start = 0
        for end in ends[number[ends - 1] < after]:
            yield table.slice(start, end - start).combine_chunks()
            start = int(end)
        waiting = table.slice(start)


def _planned(spool: Spool, bucket: int, duplicates: np.ndarray) -> pa.Table:
    """The people of a bucket with where their images are; those who are there already have an id of their own, and a
    reason."""
    table = _spooled(spool, "people", bucket, _WAITING)
    ids, at = table["annotation_id"].to_numpy().copy(), table["at"].to_numpy()
    reason, paths = table["reason"].to_pylist(), table["image_path"].to_pylist()
    for row in np.flatnonzero(np.isin(at, duplicates[:, 0])):
        first = duplicates[np.searchsorted(duplicates[:, 0], at[row]), 1]
        reason[row] = Skip(Reason.DUPLICATE_ID, f"{ids[row]} is the id of the input's person number {1 + first}, too")
        ids[row] = -1 - at[row]
    order = np.argsort(at, kind="stable")
    person_id = np.zeros(len(table), np.int32)
    person_id[order] = person_ids([paths[row] for row in order])
    held = _spooled(spool, "places", bucket, _NAMED).to_pydict()
    # of members of one name the last one counts, as where a tar is unpacked
    places = dict(zip(held["name"], zip(*(held[field.name] for field in _PLACE), strict=True), strict=True))
    mine = [places.get(path, (None,) * len(_PLACE)) for path in paths]
    new = {"annotation_id": ids, "reason": reason, "person_id": person_id}
    for name, values in new.items():
        table = table.set_column(
            table.schema.get_field_index(name), SCHEMA.field(name), pa.array(values, SCHEMA.field(name).type)
        )
    for number, field in enumerate(_PLACE):
        table = table.append_column(field, pa.array([place[number] for place in mine], field.type))
    return table


class Plan:
    """An existing plan; any number of processes may read it.

    Raises:
        PgtfastError: the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._errors():
            self._reader = pa.ipc.open_file(pa.OSFile(str(path)))
            about = json.loads((self._reader.schema.metadata or {})[_ABOUT])
            self.dataset, self.landmark_set, self.shards = about["dataset"], about["landmark_set"], about["shards"]
            self.in_tars: bool = about["in_tars"]
            self.sizes: dict[int, int] = dict(about["sizes"])
        self._batch = {number: index for index, number in enumerate(self.sizes)}
        self.crowded = self.people > about["images"]
        """Whether some image shows several people."""

    @property
    def people(self) -> int:
        return sum(self.sizes.values())

    def left(self, existing: set[str]) -> list[int]:
        """Shards of which there is no part yet."""
        return [number for number in self.sizes if part_name(number) not in existing]

    def some(self, count: int) -> list[tuple[str, bool]]:
        """Names of images of a few people who can be annotated, spread over the input, and whether a tar holds them."""
        found: list[tuple[str, bool]] = []
        for number in self.sizes:
            rows = self._rows(number).select(["image_path", "reason", "tar"]).to_pylist()
            found += [(row["image_path"], row["tar"] is not None) for row in rows if row["reason"] is None]
            if len(found) >= count:
                break
        return found[:count]

    def load(self, number: int) -> Shard:
        """The people of a shard, in the order of the input."""
        table = self._rows(number)
        people = from_arrow(table, str(self.path), PENDING)
        if not self.in_tars:
            return Shard(number, people, None)
        named = table.filter(table["tar"].is_valid()).select(["image_path", "tar", "offset", "size"]).to_pydict()
        return Shard(number, people, {place.name: place for place in map(Location, *named.values())})

    def _rows(self, number: int) -> pa.Table:
        with self._errors():
            batch = self._reader.get_batch(self._batch[number])
            batch.validate(full=True)
            return pa.Table.from_batches([batch])

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            raise PgtfastError(
                f"{self.path}: not a readable plan ({str(error).splitlines()[0]}); fix the disk, or remove the "
                "file where it is damaged, and run the same command"
            ) from error
