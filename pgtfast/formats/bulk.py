"""Export of a run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..people import People
from ..runs import Store, iter_people
from .neuralannot import write_neuralannot


def export_neuralannot(store: Store, body_kind: str, min_quality: float | None = None) -> None:
    """Write the valid people of a run, with `min_quality` those of at least this quality, as
    RUN/export/<dataset>_<BODY>_NeuralAnnot.json."""
    folder = store.folder / "export"
    folder.mkdir(exist_ok=True)
    path = folder / f"{store.config['dataset']}_{body_kind.upper()}_NeuralAnnot.json"
    omitted = 0

    def chosen() -> Iterator[People]:
        nonlocal omitted
        for people in iter_people(store.folder):
            low = np.zeros(len(people), bool)
            if min_quality is not None:
                low = people.has_body & ~(people.scores.get("quality", np.full(len(people), np.nan)) >= min_quality)
                omitted += int(low.sum())
            yield people.rows(~low)

    written = write_neuralannot(path, chosen())
    left = "" if min_quality is None else f"; {omitted} are left out, of quality below {min_quality:g} or of none"
    print(f"{path}: {written} people{left}")
    if body_kind != "smpl":
        print(
            f"{path}: parameters of the {body_kind!r} body; its shape is not SMPL's, so SMPL's mesh will not fit "
            f"the photos as well"
        )
