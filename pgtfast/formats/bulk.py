"""Export of a run."""

from __future__ import annotations

import pyarrow.compute as pc

from ..runs import Store, read_records
from .neuralannot import write_neuralannot


def export_neuralannot(store: Store, body_kind: str, min_quality: float | None = None) -> None:
    """Write the valid people of a run, with `min_quality` those of at least this quality, as RUN/export/<dataset>_<BODY>_NeuralAnnot.json."""
    folder = store.folder / "export"
    folder.mkdir(exist_ok=True)
    path = folder / f"{store.config['dataset']}_{body_kind.upper()}_NeuralAnnot.json"
    table = read_records(store.folder)
    if min_quality is not None:
        valid = sum(table["valid"].to_pylist())
        table = table.filter(pc.field("quality") >= min_quality)  # null is no more than anything
    written = write_neuralannot(path, table)
    left = (
        "" if min_quality is None else f"; {valid - written} are left out, of quality below {min_quality:g} or of none"
    )
    print(f"{path}: {written} people{left}")
    if body_kind != "smpl":
        print(
            f"{path}: parameters of the {body_kind!r} body; its shape is not SMPL's, so SMPL's mesh will not fit the photos as well"
        )
