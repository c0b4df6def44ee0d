"""Export of a run."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from .._errors import PgtfastError
from ..people import People
from ..people.columns import COLUMNS
from ..runs import Store, iter_people
from .neuralannot import ITW, write_neuralannot

_EXPORTED = ("annotation_id", "dataset", "focal", "center", "quality")
_COLUMNS = tuple(column.name for column in COLUMNS if column.name in _EXPORTED or column.body)


def export_neuralannot(store: Store, body_kind: str, min_quality: float | None = None) -> None:
    """Write the valid people of a run as RUN/export/<dataset>_<BODY>_NeuralAnnot.json, part by part.

    Args:
        store: of the run.
        body_kind: of its bodies.
        min_quality: people of a lower quality, or of none, are omitted; None keeps all.

    Raises:
        PgtfastError: the format does not hold this body model, or the file cannot be written.
    """
    if body_kind not in ITW.models:
        raise PgtfastError(f"--export neuralannot: holds {', '.join(ITW.models)} bodies, these are of {body_kind!r}")
    folder = store.folder / "export"
    folder.mkdir(exist_ok=True)
    path = folder / f"{store.config['dataset']}_{body_kind.upper()}_NeuralAnnot.json"
    omitted = 0

    def chosen() -> Iterator[People]:
        nonlocal omitted
        for people in _ahead(iter_people(store.folder, columns=_COLUMNS)):
            has_body = people.has_body
            kept = has_body
            if min_quality is not None:
                kept = has_body & (people.scores.get("quality", np.full(len(people), np.nan)) >= min_quality)
            omitted += int((has_body & ~kept).sum())
            yield _as_stored(people.rows(kept))

    written = write_neuralannot(path, chosen())
    left = "" if min_quality is None else f"; {omitted} are left out, of quality below {min_quality:g} or of none"
    print(f"{path}: {written} people{left}")
    if body_kind != "smpl":
        print(
            f"{path}: parameters of the {body_kind!r} body; its shape is not SMPL's, so SMPL's mesh will not fit "
            f"the photos as well"
        )


def _ahead(batches: Iterator[People]) -> Iterator[People]:
    """The same batches, the next one read while one is written."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, batches, None)
        while (people := waiting.result()) is not None:
            waiting = pool.submit(next, batches, None)
            yield people


def _as_stored(people: People) -> People:
    """The numbers as the store holds them: float32, which are written with nine digits."""
    body = {name: values.astype(np.float32) for name, values in people.body.items()}
    return replace(people, body=body, focal=people.focal.astype(np.float32), center=people.center.astype(np.float32))
