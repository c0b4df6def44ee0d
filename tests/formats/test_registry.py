"""A format is one object: one from outside the package is recognised, read and written by name."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.convert import ConvertConfig, convert
from pgtfast.formats import Context, Format, formats, register, registry
from pgtfast.people import empty_people, layout_of
from pgtfast.people.arrow import from_arrow, to_arrow
from pgtfast.people.table import objects
from pgtfast.runs import Store, read_records
from tests.formats.synthetic import by_id, people

LAYOUT = layout_of("smpl")


def read_csv(path, context: Context):
    """Rows of id, image, pose and shape, a few at a time."""
    with open(path, newline="") as file:
        rows = list(csv.reader(file))[1:]
    for start in range(0, len(rows), 2):
        batch = rows[start : start + 2]
        numbers = np.array([row[2:] for row in batch], float)
        found = empty_people(context.dataset, [int(row[0]) for row in batch], gender="neutral")
        found = replace(found, image_path=objects([row[1] for row in batch]))
        model = context.model(path, "smpl")
        yield found.with_pose(model, numbers[:, : LAYOUT.pose_size], betas=numbers[:, LAYOUT.pose_size :])


def write_csv(path, batches, context: Context):
    written = 0
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["toy"])
        for batch in batches:
            context.notes.count("toy: a batch was written")
            numbers = np.concatenate([batch.pose, batch.body["betas"]], 1)
            writer.writerows(zip(batch.annotation_id, batch.image_path, *numbers.T, strict=True))
            written += len(batch)
    return written


TOY = Format(
    name="toy",
    about="a test's table",
    suffixes=(".csv",),
    sniff=lambda path: path.suffix == ".csv",
    models=("smpl", "free"),
    holds=frozenset(("global_orient", "body_pose", "betas", "image_path")),
    needs=("body", "image_path"),
    read=read_csv,
    write=write_csv,
)


@pytest.fixture
def toy():
    register(TOY)
    yield TOY
    registry.unregister(TOY)


def test_a_format_from_outside_goes_both_ways(toy, tmp_path, capsys):
    bodies = by_id(people(5, an_image=1))
    with Store(tmp_path / "run", {"of": "tests"}) as store:
        for part in (slice(0, 3), slice(3, 5)):
            store.write_part(to_arrow(bodies.rows(part), method="tests"))
    result = convert(ConvertConfig(src=tmp_path / "run", dst=tmp_path / "a.csv", to="toy"))
    assert (result.read, result.bodies, result.written, result.lost, result.exit_code) == (5, 5, 5, 0, 0)
    assert "toy: a batch was written" in result.notes
    assert "not held by toy: translation of 5 people" in capsys.readouterr().out
    convert(ConvertConfig(src=tmp_path / "a.csv", dst=tmp_path / "back", to="parquet", body_model="free"))
    back = by_id(from_arrow(read_records(tmp_path / "back"), "back"))
    assert back.annotation_id.tolist() == bodies.annotation_id.tolist()
    assert back.image_path.tolist() == bodies.image_path.tolist()
    np.testing.assert_allclose(back.pose, bodies.pose, rtol=1e-6)
    result = convert(ConvertConfig(src=tmp_path / "a.csv", dst=tmp_path / "h.npz", to="humandata"))
    assert result.written == 5
    assert "toy" in registry.names()


def test_names_are_taken_once(toy):
    with pytest.raises(ValueError, match="'toy': there is one of that name"):
        register(toy)
    with pytest.raises(ValueError, match="wanted read or write"):
        register(Format(name="nothing", about=""))


def test_a_format_is_found_by_name_variant_and_ending(tmp_path):
    for format in formats():
        if format.write is not None:
            path = tmp_path / f"a{format.suffixes[0] if format.suffixes else ''}"
            assert registry.target_of(format.name, format.variant or "itw", path) is format
    with pytest.raises(PgtfastError, match=r"wanted a name that ends in \.npy or \.npz for --to spin"):
        registry.target_of("spin", "itw", tmp_path / "a.json")
    for name in ("toy", "sam3dbody"):
        with pytest.raises(PgtfastError, match=f"--to {name}: wanted one of parquet, eft"):
            registry.target_of(name, "itw", tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("1")
    with pytest.raises(PgtfastError, match="its format cannot be told; name it with --from"):
        registry.source_of(None, "itw", tmp_path / "a.csv")
    with pytest.raises(PgtfastError, match="--from toy: wanted one of parquet"):
        registry.source_of("toy", "itw", tmp_path / "a.csv")
