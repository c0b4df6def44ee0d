"""Columns out of JSON entries: the fast way reads what the strict one reads, and leaves to it what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgtfast._errors import PgtfastError
from pgtfast.formats import _json_columns
from pgtfast.formats._json_columns import Field, json_text, read_columns, row_objects
from pgtfast.formats.notes import Notes

FILE = Path("a.json")
FIELDS = (
    Field(("body", "pose"), (3,)),
    Field(("body", "turns"), (2, 2), False),
    Field(("scale",)),
    Field(("name",), None, False),
)
NUMBER = st.floats(-1e6, 1e6) | st.integers(-9, 9)
GOOD = st.fixed_dictionaries(
    {
        "body": st.fixed_dictionaries(
            {"pose": st.lists(NUMBER, min_size=3, max_size=3)},
            optional={
                "turns": st.none() | st.lists(st.lists(NUMBER, min_size=2, max_size=2), min_size=2, max_size=2),
                "other": st.text(max_size=3),
            },
        ),
        "scale": NUMBER,
    },
    optional={"name": st.none() | st.text(max_size=4), "more": st.lists(NUMBER, max_size=2)},
)


def read(entries: list, notes: Notes | None = None) -> list[np.ndarray]:
    keys = [(str(n),) for n in range(len(entries))]
    return read_columns(FILE, keys, [json.dumps(entry).encode() for entry in entries], FIELDS, notes or Notes())


def never(*_):
    raise AssertionError("the strict way was taken")


@settings(max_examples=60, deadline=None)
@given(entries=st.lists(GOOD, min_size=1, max_size=5))
def test_both_ways_read_the_same(entries):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_json_columns, "_slowly", never)
        fast = read(entries)
    keys, texts = [("0",)] * len(entries), [json.dumps(entry).encode() for entry in entries]
    strict = _json_columns._slowly(FILE, keys, texts, FIELDS, Notes())
    for mine, theirs in zip(fast, strict, strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


def test_other_keys_are_counted():
    notes = Notes()
    read(
        [
            {"body": {"pose": [1, 2, 3], "x": 1}, "scale": 2, "y": {}},
            {"body": {"pose": [1, 2, 3], "x": 1}, "scale": 2},
        ],
        notes,
    )
    told = "\n".join(notes.lines())
    assert "key 'body.x' of 2 entries" in told
    assert "key 'y' of 1 entries" in told


def test_other_keys_are_counted_where_one_entry_is_not_strict_json():
    notes = Notes()
    entry = {"body": {"pose": [1, 2, 3], "x": 1}, "scale": 2}
    read([entry | {"y": float("nan")}, entry], notes)
    assert sorted(notes.lines()) == ["left aside: key 'body.x' of 2 entries", "left aside: key 'y' of 1 entries"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"body": 5}, r"body\.pose: wanted 3 finite numbers, got None"),
        ({"body": [1]}, r"body\.pose"),
        ({"body": "pose"}, r"body\.pose"),
        ({"body": None}, r"body\.pose"),
        ({"body": {"pose": {"0": 1}}}, r"body\.pose: wanted 3 finite numbers"),
        ({"body": {"pose": "abc"}}, r"body\.pose"),
        ({"body": {"pose": 3}}, r"body\.pose"),
        ({"body": {"pose": [1, 2, True]}}, r"body\.pose"),
        ({"body": {"pose": [[1], [2], [3]]}}, r"body\.pose"),
        ({"body": {"pose": [1, 2, 3], "turns": [[1, 2, 3, 4]]}}, r"body\.turns: wanted 2 x 2 finite numbers"),
        ({"body": {"pose": [1, 2, 3], "turns": [1, 2, 3, 4]}}, r"body\.turns"),
        ({"body": {"pose": [1, 2, 3], "turns": [[1, 2], [3]]}}, r"body\.turns"),
        ({"scale": True}, "scale: wanted a finite number"),
        ({"scale": [1]}, "scale"),
        ({"scale": 10**400}, "scale: wanted a finite number"),
        ({"name": 3}, "name: wanted text"),
        ({"name": "\ud800.jpg"}, r"name: wanted text.*\\ud800"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    good = {"body": {"pose": [1, 2, 3]}, "scale": 2.5}
    with pytest.raises(PgtfastError, match=rf"a\.json: id 1: {message}"):
        read([good, good | change])


def test_numbers_come_back_to_the_bit():
    values = np.concatenate([np.random.default_rng(0).normal(0, 10.0 ** np.arange(-20, 20)[:, None], (40, 5)).ravel(), [0.1, -0.0, 1e22, 5e-324]])  # fmt: skip
    assert np.array(json.loads(json_text(values))).tobytes() == values.tobytes()


def test_objects_of_rows():
    inner = row_objects({"pose": np.arange(6.0).reshape(2, 3)[:, ::-1]})
    rows = row_objects({"body": inner, "id": np.array([7, 8]), "name": ["a", 'é"']})
    assert [json.loads(json_text(row)) for row in rows] == [
        {"body": {"pose": [2, 1, 0]}, "id": 7, "name": "a"},
        {"body": {"pose": [5, 4, 3]}, "id": 8, "name": 'é"'},
    ]
    with pytest.raises(ValueError, match="pose: not finite"):
        row_objects({"pose": np.array([[1.0, np.nan]])})
