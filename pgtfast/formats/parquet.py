"""The store of pgtfast as a format: the parts of a run, one batch a part or row group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .._errors import PgtfastError
from ..files.atomic import file_sha256
from ..people import LAYOUTS, People
from ..people.arrow import SCORES, conformed, from_arrow, present, to_arrow
from ..people.layout import PARAMETERS
from ..runs import Store
from ..runs.folder import RUN_FILE
from ..runs.parts import FOLDER
from .format import Context, Format
from .sam3d_body import sniff_columns

_ROWS = 4096
"""People that are read at once."""


def _read(path: Path, context: Context) -> Iterator[People]:
    """Read the parts of a run, or one part.

    Raises:
        PgtfastError: a part is damaged, or of another body model than asked for.
    """
    parts = sorted((path / FOLDER).glob("part-*.parquet")) if path.is_dir() else [path]
    for part in parts:
        try:
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(batch_size=_ROWS, columns=present(file.schema_arrow)):
                    people = from_arrow(conformed(pa.Table.from_batches([batch])), str(part))
                    if context.body_model not in (None, people.body_model):
                        raise PgtfastError(
                            f"{part}: holds {people.body_model!r} bodies, not {context.body_model!r} ones; leave "
                            f"--body-model out"
                        )
                    yield people
        except (pa.ArrowException, ValueError, KeyError, OSError) as error:
            if isinstance(error, PgtfastError):
                raise
            raise PgtfastError(f"{part}: not a readable part of a run ({str(error).splitlines()[0]})") from error


def _write(path: Path, batches: Iterable[People], context: Context) -> int:
    """Write a run with one part a batch.

    Raises:
        PgtfastError: two people have one key.
    """
    source, name = context.source, context.source_format
    config = {
        "verb": "convert",
        "source": source.name if source is not None else None,
        "sha256": file_sha256(source) if source is not None and source.is_file() else None,
        "from": name,
    }
    keys: list[np.ndarray] = []
    written = valid = 0
    with Store(path, config) as store:
        for people in batches:
            if len(people):
                valid += int(people.has_body.sum())
                hashes = [hash(image) for image in people.image_path]
                keys.append(np.array([hashes, people.annotation_id], np.int64).T)
                written += len(people)
                store.write_part(to_arrow(people, method=f"convert:{name}"))
        _unique(keys)
        store.write_run(finished=True, counts={"read": written, "written": written, "valid": valid})
    (path / ".lock").unlink(missing_ok=True)
    return written


def _unique(keys: list[np.ndarray]) -> None:
    """Raise where two people have one key (N, 2): hash of the image path, and annotation id."""
    if not keys:
        return
    found, counts = np.unique(np.concatenate(keys), axis=0, return_counts=True)
    if (counts > 1).any():
        raise PgtfastError(
            f"annotation {found[counts.argmax(), 1]} of one image is there twice; a person is in the store once: "
            f"remove one, or name --people"
        )


def _sniff(path: Path) -> bool:
    if path.is_dir():
        return (path / RUN_FILE).is_file() or (path / FOLDER).is_dir()
    return "annotation_id" in sniff_columns(path)


PARQUET = Format(
    name="parquet",
    about="the store of pgtfast: RUN/annotations/*.parquet",
    sniff=_sniff,
    models=tuple(LAYOUTS),
    holds=frozenset(
        (
            "image_path",
            "image_size",
            "bbox",
            "gender",
            "focal",
            "center",
            "latent",
            "keypoints",
            "body_model",
            *PARAMETERS,
            *SCORES,
        )
    ),
    betas=None,
    read=_read,
    write=_write,
)
