"""People as rows of the store and back: every body model, version 1, and what does not fit."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.people import LAYOUTS, People, Reason, Skip, empty_people
from pgtfast.people.arrow import conformed, from_arrow, to_arrow
from pgtfast.people.columns import COLUMNS, SCHEMA
from pgtfast.people.table import objects

VERSION_1 = Path(__file__).parents[1] / "golden" / "store_version1.parquet"
"""Made by pgtfast 0.1.0's `record_table`: six people of random numbers, four with body and keypoints, the fifth
skipped, the sixth without keypoints."""


def people_of(kind: str, count: int = 5) -> People:
    """Random people; the third has no body, the fourth no keypoints and no box."""
    rng = np.random.default_rng(0)
    layout = LAYOUTS[kind]
    body = {name: rng.normal(size=(count, width)).astype(np.float32) for name, width in layout.parameters.items()}
    empty = empty_people("tiny", np.arange(count) + 2**53, landmark_set="coco17")
    keypoints = rng.uniform(1, 99, empty.keypoints.shape).astype(np.float32).astype(np.float64)
    keypoints[3] = 0
    bbox = rng.uniform(1, 99, (count, 4)).astype(np.float32).astype(np.float64)
    bbox[3] = np.nan
    people = replace(
        empty,
        image_path=objects(["a.jpg", "a.jpg", None, "b.jpg", "c/ä.png"]),
        image_size=np.array([[640, 480]] * 3 + [[0, 0]] * 2),
        person_id=np.array([0, 1, 0, 0, 0]),
        bbox=bbox,
        focal=np.full((count, 2), 500.0),
        center=np.full((count, 2), 250.0),
        gender=objects(["female"] * count),
        keypoints=keypoints,
        flat_hand_mean=False if layout.has_hands else None,
        scores={"quality": np.linspace(0, 1, count, dtype=np.float32), "method": objects(["test"] * count)},
    ).with_body(kind, **body)
    people.reason[2] = Skip(Reason.NO_IMAGE, "nothing names it: a test says so")
    return people


def same(a: People, b: People) -> None:
    for f in fields(People):
        one, other = getattr(a, f.name), getattr(b, f.name)
        if isinstance(one, dict):
            assert set(one) <= set(other), f.name
            for name in one:
                np.testing.assert_array_equal(one[name], other[name], err_msg=name)
        elif isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other, err_msg=f.name)
        else:
            assert one == other, f.name


@pytest.mark.parametrize("kind", LAYOUTS)
def test_people_of_every_body_model_come_back(kind):
    people = people_of(kind)
    table = to_arrow(people)
    table.validate(full=True)
    assert table["valid"].to_pylist() == [True, True, False, True, True]
    optional = {column.name for column in COLUMNS if column.optional}
    expected = (
        set(LAYOUTS[kind].parameters)
        | {"landmark_set"}
        | ({"flat_hand_mean"} if people.flat_hand_mean is not None else set())
    )
    assert set(table.column_names) & optional == expected & optional
    again = from_arrow(table, "test")
    for values in people.body.values():
        values[2] = np.nan  # of a skipped person nothing is kept
    same(people, again)
    assert again.reason[2].code is Reason.NO_IMAGE
    np.testing.assert_array_equal(again.has_body, people.has_body)
    assert conformed(table).schema == SCHEMA


def test_a_slice_of_rows_comes_back_too():
    people = people_of("smplx")
    table = to_arrow(people)
    part = from_arrow(table.slice(1, 3), "test")
    np.testing.assert_array_equal(part.body["body_pose"][0], people.body["body_pose"][1])
    np.testing.assert_array_equal(part.keypoints, people.keypoints[1:4])
    assert len(from_arrow(table.slice(0, 0), "test")) == 0


def test_wider_and_narrower_shapes_keep_their_width():
    wide = people_of("smpl").with_body("smpl", **{**people_of("smpl").body, "betas": np.ones((5, 300))})
    assert from_arrow(to_arrow(wide), "test").body["betas"].shape == (5, 300)
    narrow = wide.with_body("smpl", **{**wide.body, "betas": np.ones((5, 3))})
    assert from_arrow(to_arrow(narrow), "test").body["betas"][0].tolist() == [1.0] * 3 + [0.0] * 7


def test_missing_numbers_become_null():
    nan = np.nan
    people = replace(
        empty_people("tiny", [1, 2, 3]),
        keypoints=np.array([[[1, 2, 1], [3, 4, 0]], [[0] * 3] * 2, [[5, 6, 1], [nan, nan, 0]]]),
        scores={"quality": np.array([0.5, nan, 1])},
        focal=np.array([[nan, 1], [2, 3], [np.inf, -np.inf]]),
    )
    table = to_arrow(people)
    table.validate(full=True)
    assert table["landmarks_2d"].is_null().to_pylist() == [False, True, False]
    assert table["landmarks_2d"][0].as_py() == [[1, 2, 1], [3, 4, 0]]
    np.testing.assert_array_equal(table["landmarks_2d"][2].as_py(), [[5, 6, 1], [nan, nan, 0]])
    assert table["visible_keypoints"].to_pylist() == [1, 0, 1]
    assert table["quality"].to_pylist() == [0.5, None, 1]
    assert table["focal"].to_pylist() == [None, [2, 3], [np.inf, -np.inf]]
    assert table["body_model"].to_pylist() == ["none"] * 3
    assert table["reason"][0].as_py() == "no-body: the file holds no body for this person"


def test_version_1_is_read():
    table = pq.read_table(VERSION_1)
    people = from_arrow(table, str(VERSION_1))
    assert (people.body_model, people.landmark_set, people.prior) == ("free", "coco17", "v1")
    assert people.has_body.tolist() == [True] * 4 + [False, True]
    assert str(people.reason[4]) == "no-image: nothing names the image: a.jpg"
    np.testing.assert_array_equal(people.body["body_pose"][3], table["body_pose"][3].as_py())
    assert people.annotation_id[3] == 2**53 - 1
    assert people.image_size.tolist()[2:4] == [[320, 240], [0, 0]]
    assert (people.keypoints[5] == 0).all()
    assert people.scores["visible_keypoints"].tolist() == [17] * 5 + [0]
    written = to_arrow(people)
    assert conformed(written).equals(conformed(table))
    # the first of version 1 had fewer columns
    fewer = from_arrow(table.drop_columns(["landmark_set", "jitter_mm", "truncation"]), "test")
    assert fewer.landmark_set == ""
    np.testing.assert_array_equal(fewer.keypoints, people.keypoints)


def test_what_does_not_fit_is_refused():
    people = people_of("smplx")
    table = to_arrow(people)
    with pytest.raises(ValueError, match="nonsense: not a column"):
        to_arrow(replace(people, scores={"nonsense": np.zeros(5)}))
    with pytest.raises(ValueError, match="body_pose: wanted 63 numbers of 'smplx', got 69"):
        to_arrow(people.with_body("smplx", **{**people.body, "body_pose": np.zeros((5, 69))}))
    with pytest.raises(ValueError, match="column dataset: 5 of 5 rows have no value"):
        to_arrow(replace(people, dataset=None))
    with pytest.raises(PgtfastError, match=r"here: not rows of a store .no column 'focal'"):
        from_arrow(table.drop_columns(["focal"]), "here")
    newer = table.replace_schema_metadata({b"pgtfast_schema": b"3"})
    with pytest.raises(PgtfastError, match="schema version 3, this pgtfast reads up to 2: update pgtfast"):
        from_arrow(newer, "here")
    column = table.schema.get_field_index("body_model")
    other = table.set_column(column, table.schema.field(column), pa.array(["smpl"] * 5))
    with pytest.raises(PgtfastError, match="here: column body_pose: wanted 69 numbers of 'smpl', got 63"):
        from_arrow(other, "here")
    with pytest.raises(PgtfastError, match="wanted one of smpl, free"):
        from_arrow(table.set_column(column, table.schema.field(column), pa.array(["star"] * 5)), "here")
    two = table.set_column(column, table.schema.field(column), pa.array(["smplx"] * 4 + ["smplh"]))
    with pytest.raises(PgtfastError, match=r"several kinds in column 'body_model' \(smplh, smplx\)"):
        from_arrow(two, "here")
    uneven = table.slice(0, 1).to_pylist()[0]
    rows = [{**uneven, "betas": [0.0] * n} for n in (3, 4)]
    with pytest.raises(PgtfastError, match=r"lists of several lengths \(3, 4\)"):
        from_arrow(pa.Table.from_pylist(rows, table.schema), "here")


def test_numbers_of_people_are_not_rounded():
    large = 2**53 - 1
    assert to_arrow(empty_people("tiny", [large]))["annotation_id"].to_pylist() == [large]
