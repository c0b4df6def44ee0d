"""Export of a run: everybody of enough quality, and no more memory for more people."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.export import PART, export, people_of, write_store
from pgtfast._errors import PgtfastError
from pgtfast.formats import read_neuralannot
from pgtfast.formats.bulk import export_neuralannot
from pgtfast.people.arrow import to_arrow
from pgtfast.runs import Store


@pytest.mark.parametrize("kind", ["smpl", "smplx"])
def test_bodies_of_enough_quality_are_exported(kind, tmp_path, capsys):
    people = people_of(kind, 0, 40)
    people.scores["quality"][3] = np.nan
    people.body["betas"][5] = np.nan
    with Store(tmp_path / "run", {"dataset": "made"}) as store:
        for rows in (slice(0, 15), slice(15, 40)):
            store.write_part(to_arrow(people.rows(rows)))
        export_neuralannot(store, kind, 0.5)
    path = tmp_path / "run" / "export" / f"made_{kind.upper()}_NeuralAnnot.json"
    kept = np.flatnonzero(people.has_body & (people.scores["quality"].astype(np.float32) >= 0.5))
    exported = read_neuralannot(path)
    assert exported.annotation_id.tolist() == people.annotation_id[kept].tolist()
    for name in ("global_orient", "body_pose", "betas", "transl"):
        np.testing.assert_array_equal(
            exported.body[name].astype(np.float32), people.body[name][kept].astype(np.float32)
        )
    np.testing.assert_array_equal(exported.focal.astype(np.float32), people.focal[kept].astype(np.float32))
    assert (
        f"{len(kept)} people; {39 - len(kept)} are left out, of quality below 0.5 or of none" in capsys.readouterr().out
    )
    entry = json.loads(path.read_text())[str(kept[0])]
    assert set(entry) == {"smpl_param" if kind == "smpl" else "smplx_param", "cam_param"}


@pytest.mark.parametrize("kind", ["mano", "smplh"])
def test_bodies_that_the_format_lacks_are_refused_by_name(kind, tmp_path):
    with Store(tmp_path / "run", {"dataset": "made"}) as store:
        store.write_part(to_arrow(people_of(kind, 0, 3)))
        with pytest.raises(
            PgtfastError, match=f"--export neuralannot: holds smpl, free, smplx bodies, these are of {kind!r}"
        ):
            export_neuralannot(store, kind)
    assert not list((tmp_path / "run" / "export").glob("*.json"))


def test_memory_does_not_grow_with_the_run(tmp_path):
    grown = []
    for parts in (6, 60):
        write_store(tmp_path / str(parts), "smpl", parts * PART, different=6)
        grown.append(export(tmp_path / str(parts), "smpl")["mib"])
    assert grown[1] < grown[0] + 40, grown
    assert grown[1] < 600
