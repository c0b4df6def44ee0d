"""Reading a run a few thousand rows at a time, with no more columns than needed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .._errors import PgtfastError
from ..body import BodyModel, load_body
from ..people import LAYOUTS
from ..people.arrow import conformed, present
from ..people.arrow import vectors as numbers
from ..people.columns import KEY, SCHEMA
from ..runs.folder import RUN_FILE
from ..runs.parts import FOLDER

_EMBEDDED = ("free", "free-full")
KINDS = tuple(kind for kind, layout in LAYOUTS.items() if layout.rotations == LAYOUTS["smpl"].rotations)
"""Body models that a page shows: those with SMPL's joints."""


@dataclass(frozen=True, eq=False)
class Run:
    """A run on disk."""

    folder: Path
    told: dict[str, Any]
    """What run.json says."""
    parts: tuple[Path, ...]
    schema: pa.Schema
    rows: int

    @property
    def config(self) -> dict[str, Any]:
        return self.told.get("config") or {}

    def batches(self, columns: Sequence[str], *, size: int = 4096) -> Iterator[pa.Table]:
        """All rows in the order written.

        Args:
            columns: their names.
            size: rows at once.

        Raises:
            PgtfastError: a part is damaged or lacks a column.
        """
        for path in self.parts:
            try:
                with pq.ParquetFile(path) as file:
                    for batch in file.iter_batches(batch_size=size, columns=present(file.schema_arrow, columns)):
                        yield conformed(pa.Table.from_batches([batch]), columns)
            except (pa.ArrowException, ValueError, KeyError, OSError) as error:
                raise _damaged(path, error) from error


def open_run(folder: str | Path) -> Run:
    """Open a run.

    Raises:
        PgtfastError: it is none, or a part is damaged.
    """
    folder = Path(folder)
    path = folder / RUN_FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PgtfastError(f"{folder}: no {RUN_FILE}, so it is no run of fit or annotate") from None
    except (OSError, ValueError) as error:
        raise PgtfastError(f"{path}: cannot be read ({error})") from error
    if not isinstance(told, dict) or not isinstance(told.get("config"), dict):
        raise PgtfastError(f"{path}: wanted an object with the run's config")
    parts = tuple(sorted((folder / FOLDER).glob("part-*.parquet")))
    if not parts:
        raise PgtfastError(f"{folder / FOLDER}: no part of a run yet; run the command that makes it first")
    rows, names = 0, set[str]()
    for part in parts:
        try:
            with pq.ParquetFile(part) as file:
                rows += file.metadata.num_rows
                names |= set(file.schema_arrow.names)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(part, error) from error
    return Run(folder, told, parts, pa.schema([field for field in SCHEMA if field.name in names]), rows)


def _damaged(path: Path, error: Exception) -> PgtfastError:
    line = str(error).splitlines()[0] if str(error) else type(error).__name__
    return PgtfastError(
        f"{path}: not a readable part of a run ({line}); remove it and run the command that made it again"
    )


def bodies_of(runs: Sequence[Run], paths: Sequence[str]) -> list[BodyModel]:
    """The body of each run: the embedded one, or that of the paths whose sha256 the run names.

    Raises:
        PgtfastError: a run's body is not among them, or a path is no run's body.
    """
    given = [load_body(path) for path in paths]
    bodies = [_body_of(run, given) for run in runs]
    for path, body in zip(paths, given, strict=True):
        if not any(body is used for used in bodies):
            wanted = "; ".join(f"{run.folder} has {_named(run)}" for run in runs)
            raise PgtfastError(f"--body {path}: sha256 {body.source.sha256} is of no run here: {wanted}")
    return bodies


def _body_of(run: Run, given: Sequence[BodyModel]) -> BodyModel:
    told = run.config.get("body") or {}
    kind = told.get("kind") or _first_kind(run)
    if kind not in KINDS:
        raise PgtfastError(f"{run.folder}: holds bodies of {kind!r}; pages are made of {', '.join(KINDS)}")
    for body in given:
        if (told.get("sha256") or body.source.sha256) == body.source.sha256 and body.kind == kind:
            return body
    if kind == "free":
        for name in _EMBEDDED:
            body = load_body(name)
            if (told.get("sha256") or body.source.sha256) == body.source.sha256:
                return body
    raise PgtfastError(
        f"{run.folder}: its bodies are of {_named(run)}, which is not in the package; give the file with --body PATH"
    )


def _first_kind(run: Run) -> str:
    """What the rows say where run.json names no body."""
    for batch in run.batches(("body_model",)):
        if batch.num_rows:
            return batch["body_model"][0].as_py()
    return "free"


def _named(run: Run) -> str:
    told = run.config.get("body") or {}
    kind = told.get("kind") or _first_kind(run)
    return f"the body {kind!r} of sha256 {told.get('sha256') or 'unknown'}"


# ---- columns as arrays


def scalars(batch: pa.Table, name: str) -> np.ndarray:
    """(N,) float64, NaN where null."""
    return batch[name].cast(pa.float64()).to_numpy()


def vectors(batch: pa.Table, name: str) -> np.ndarray:
    """(N, size) float32 of a column of fixed size, NaN where null."""
    return numbers(batch[name], name).astype(np.float32)


def keys(batch: pa.Table) -> list[tuple]:
    """(dataset, image_path, annotation_id) of each row."""
    return list(zip(*(batch[name].to_pylist() for name in KEY), strict=True))


def key_hashes(people: Sequence[tuple]) -> np.ndarray:
    """(N,) uint64: the same number for the same person in every run, as good as drawn by chance."""
    digests = (blake2b("\0".join(map(str, key)).encode(), digest_size=8).digest() for key in people)
    return np.array([int.from_bytes(d, "big") for d in digests], np.uint64)
