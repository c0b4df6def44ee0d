"""People of index files, of WebDataset samples, and of pictures that show one person each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..files.json import brief, integer, numbers
from ..files.tars import tar_members
from ..images.listing import IMAGE_SUFFIXES
from ..people.reason import Reason, Skip
from ..people.table import People, empty_people
from ._coco_layout import fill_points
from .coco_stream import CHUNK

_SET = "coco17"
_BOX = ("x", "y", "width", "height")
_POINTS = ("keypoints", "landmarks_2d")


# ---- index files
def index_files(path: Path) -> list[Path]:
    """The files of --index: the file itself, or all *.parquet below a folder."""
    found = sorted(path.rglob("*.parquet")) if path.is_dir() else [path] if path.is_file() else []
    if not found:
        raise PgtfastError(f"--index {path}: {'no *.parquet in it' if path.is_dir() else 'no such file'}")
    return found


def read_index(files: Sequence[Path], *, dataset: str) -> Iterator[tuple[People, np.ndarray]]:
    """People of Parquet or CSV files, in order.

    Columns: `image_path`; `bbox_xywh` (4 numbers) or `x`, `y`, `width`, `height`, pixels; where there are any
    `image_width`, `image_height`,
    `annotation_id` (else the row's number), and, in Parquet, `keypoints` or `landmarks_2d` (COCO's 17, x, y,
    confidence). The parts of a run are such files.

    Raises:
        PgtfastError: a file cannot be read or lacks a column.
    """
    start = 0
    for path in files:
        for columns in _batches(path):
            count = len(columns["image_path"])
            if count:
                yield _indexed(columns, dataset, start), np.arange(start, start + count)
            start += count


def _batches(path: Path) -> Iterator[dict[str, list]]:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    wanted = ("image_path", "bbox_xywh", *_BOX, "image_width", "image_height", "annotation_id", *_POINTS)
    try:
        if path.suffix == ".csv":
            with pa.csv.open_csv(path) as reader:
                names = reader.schema.names
        else:
            file = pq.ParquetFile(path)
            names = file.schema_arrow.names
        if "image_path" not in names or not ("bbox_xywh" in names or set(_BOX) <= set(names)):
            raise PgtfastError(
                f"{path}: wanted columns image_path and bbox_xywh (or {', '.join(_BOX)}), got {', '.join(names)}"
            )
        columns = [name for name in wanted if name in names]
        for name in columns:
            if names.count(name) > 1:
                raise PgtfastError(
                    f"{path}: column {name} is there {names.count(name)} times; remove or rename all but one"
                )
        if path.suffix == ".csv":
            # a guess from the first rows would not fit the later ones
            floats = dict.fromkeys((*_BOX, "image_width", "image_height"), pa.float64())
            types = {**floats, "image_path": pa.string(), "annotation_id": pa.string()}
            options = pa.csv.ConvertOptions(column_types=types, include_columns=columns)
            batches: Iterator[pa.RecordBatch] = (
                batch.slice(at, CHUNK)
                for batch in pa.csv.open_csv(path, convert_options=options)
                for at in range(0, len(batch), CHUNK)
            )
        else:
            batches = file.iter_batches(CHUNK, columns=columns)
        for batch in batches:
            yield {name: batch.column(name).to_pylist() for name in columns}
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise PgtfastError(f"{path}: cannot be read as an index ({str(error).splitlines()[0]})") from error


def _indexed(columns: dict[str, list], dataset: str, start: int) -> People:
    count = len(columns["image_path"])
    people = empty_people(dataset, start + np.arange(count), landmark_set=_SET)
    points = next((columns[name] for name in _POINTS if name in columns), [None] * count)
    for row, path in enumerate(columns["image_path"]):
        box = columns["bbox_xywh"][row] if "bbox_xywh" in columns else [columns[name][row] for name in _BOX]
        size = [columns[name][row] if name in columns else None for name in ("image_width", "image_height")]
        number = columns["annotation_id"][row] if "annotation_id" in columns else start + row
        people.reason[row] = _fill(people, row, path, size, box, points[row], number, f"row {start + row}")
    return people


def _fill(
    people: People, row: int, path: Any, size: list, box: Any, points: Any, number: Any, where: str
) -> Skip | None:
    """Put one person in their row; why they cannot be used, or None."""
    if not isinstance(path, str) or not path:
        return Skip(Reason.BAD_IMAGE, f"{where}: image_path: wanted a name, got {path!r}")
    people.image_path[row] = path
    whole = integer(number)
    if whole is None or not 0 <= whole < 2**63:
        people.annotation_id[row] = -1 - people.annotation_id[row]
        return Skip(Reason.NO_ID, f"{where}: annotation_id: wanted a whole number from 0 on, got {number!r}")
    people.annotation_id[row] = whole
    pixels = [integer(n) for n in size]
    if all(n is not None and 0 < n < 2**31 for n in pixels):
        people.image_size[row] = pixels
    if box is not None and not (isinstance(box, list) and all(value is None for value in box)):
        held = numbers(box, 4)
        if held is None or not (held[2] > 0 and held[3] > 0):
            return Skip(
                Reason.BAD_BOX, f"wanted 4 finite numbers x, y, width, height, the last two above 0, got {brief(box)}"
            )
        people.bbox[row] = held
    if points is not None:
        if isinstance(points, list) and any(isinstance(point, list) for point in points):
            points = [value for point in points for value in (point if isinstance(point, list) else [point])]
        return fill_points(people.keypoints[row], points, skeletons.get(_SET).joints)
    return None


# ---- pictures that show one person each
def read_whole(names: Sequence[str], *, dataset: str) -> Iterator[tuple[People, np.ndarray]]:
    """One person a picture, whose box is the picture: infinite, until the picture is opened."""
    for start in range(0, len(names), CHUNK):
        some = names[start : start + CHUNK]
        people = empty_people(dataset, start + np.arange(len(some)), landmark_set=_SET)
        people.image_path[:] = some
        people.bbox[:] = np.inf
        yield people, start + np.arange(len(some))


# ---- WebDataset
def read_samples(tars: Sequence[Path], *, dataset: str) -> Iterator[tuple[People, np.ndarray]]:
    """People of WebDataset samples: pictures with a JSON file of the same key.

    The JSON is one COCO annotation, a list of them, or an object with `annotations` and, where it has them, `width` and
    `height`. An annotation has a
    `bbox`, `keypoints`, or both; without `id` it has its place in the sample as one. People whose JSON has no picture
    beside it go by the JSON's name.

    Raises:
        PgtfastError: a tar cannot be read, or no picture has a JSON file beside it.
    """
    place, described, alone, held = 0, 0, 0, []
    for path in tars:
        for name, content, paired in _samples(path):
            entries = _described(content)
            if paired:
                described += 1
            else:
                # such a JSON may also be about the set as a whole
                entries = [entry for entry in entries if _tells_of_person(entry[0])]
                alone += bool(entries)
            held += [(name, paired, *entry) for entry in entries]
            while len(held) >= CHUNK:
                yield _sampled(held[:CHUNK], dataset), place + np.arange(CHUNK)
                held, place = held[CHUNK:], place + CHUNK
    if not described and alone:
        raise PgtfastError(
            f"{tars[0]}: no *.json has its picture beside it; write the tars with the files of a sample (a.jpg, "
            f"a.json) side by side"
        )
    if not described:
        raise PgtfastError(
            f"{tars[0]}: no sample has a *.json beside its picture; give the people with --coco or --index, or "
            f"--whole-images"
        )
    if held:
        yield _sampled(held, dataset), place + np.arange(len(held))


def _samples(path: Path) -> Iterator[tuple[str, bytes, bool]]:
    """Name of the picture, and JSON, of each sample with a JSON; the JSON's name, JSON and False where it has no
    picture.

    The files of a sample follow each other.
    """
    key, picture = None, None
    waiting: list[tuple[str, bytes]] = []  # the sample's JSON while it has no picture
    with open(path, "rb") as file:
        for name, offset, size in tar_members(path):
            folder, _, base = name.rpartition("/")
            stem, _, suffix = base.partition(".")
            if (folder, stem) != key:
                yield from ((*held, False) for held in waiting)
                key, picture, waiting = (folder, stem), None, []
            if f".{suffix.lower()}" in IMAGE_SUFFIXES:
                picture = name
            elif suffix.lower() == "json":
                file.seek(offset)
                waiting.append((name, file.read(size)))
            else:
                continue
            if picture is not None:
                yield from ((picture, content, True) for _, content in waiting)
                waiting = []
    yield from ((*held, False) for held in waiting)


def _tells_of_person(entry: Any) -> bool:
    return entry is None or (isinstance(entry, dict) and not entry.keys().isdisjoint(("bbox", "keypoints")))


def _described(content: bytes) -> list[tuple[Any, list, int]]:
    """Annotation, size of the picture and place in the sample; a JSON that is none is one annotation that cannot be
    used."""
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return [(None, [None, None], 0)]
    size = [told.get(name) for name in ("width", "height")] if isinstance(told, dict) else [None, None]
    entries = told.get("annotations", [told]) if isinstance(told, dict) else told
    if not isinstance(entries, list):
        return [(None, size, 0)]
    return [(entry, size, number) for number, entry in enumerate(entries)]


def _sampled(held: list[tuple[str, bool, Any, list, int]], dataset: str) -> People:
    people = empty_people(dataset, [number for *_, number in held], landmark_set=_SET)
    for row, (name, paired, entry, size, number) in enumerate(held):
        if not isinstance(entry, dict):
            people.image_path[row] = name
            people.reason[row] = Skip(
                Reason.BAD_ANNOTATION, f"the JSON of {name} holds no annotation in place {number}"
            )
        else:
            values = (size, entry.get("bbox"), entry.get("keypoints"), entry.get("id", number))
            people.reason[row] = _fill(people, row, name, *values, f"annotation {number} of {name}")
        if not paired:
            people.reason[row] = Skip(
                Reason.MISSING, f"no picture beside {name}; the files of a sample must lie side by side"
            )
    return people
