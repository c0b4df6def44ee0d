"""Columns out of JSON entries: the values that a plain parser finds, and errors that name entry and key."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgtfast._errors import PgtfastError
from pgtfast.formats._json import EntryReader, Field, json_text, row_objects
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
    return EntryReader(FILE, FIELDS, notes or Notes()).read(keys, [json.dumps(entry).encode() for entry in entries])


@settings(max_examples=60, deadline=None)
@given(entries=st.lists(GOOD, min_size=1, max_size=5))
def test_the_values_of_a_plain_parser(entries):
    pose, rotations, scale, name = read(entries)
    missing = [[np.nan] * 2] * 2
    np.testing.assert_array_equal(pose, [entry["body"]["pose"] for entry in entries])
    np.testing.assert_array_equal(
        rotations, [missing if (held := entry["body"].get("turns")) is None else held for entry in entries]
    )
    np.testing.assert_array_equal(scale, [entry["scale"] for entry in entries])
    assert name.tolist() == [entry.get("name") for entry in entries]


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
    assert sorted(notes.lines()) == ["ignored: key 'body.x' of 2 entries", "ignored: key 'y' of 1 entries"]


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
        ({"name": "\ud800.jpg"}, r"not JSON \(UnicodeEncodeError.*\\ud800"),
        ({"scale": float("nan")}, "scale: wanted a finite number, got None"),
        ({"body": {"pose": [1, 2, float("nan")]}}, r"body\.pose: wanted 3 finite numbers"),
        ({"body": {"pose": [1, 2, "3"]}}, r"body\.pose: wanted 3 finite numbers"),
        ({"body": {"pose": [1, 2, 3], "turns": [[1, 2], ["3", 4]]}}, r"body\.turns: wanted 2 x 2"),
        ({"body": {"pose": [1, 2, 3], "turns": [[[1], 2], [3, 4]]}}, r"body\.turns: wanted 2 x 2"),
        ({"body": {"pose": [1, 2, 3], "turns": [[1, 2], [3, True]]}}, r"body\.turns: wanted 2 x 2"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    good = {"body": {"pose": [1, 2, 3]}, "scale": 2.5}
    with pytest.raises(PgtfastError, match=rf"a\.json: id 1: {message}"):
        read([good, good | change])


@pytest.mark.parametrize(
    "text",
    [
        '{"body": {"pose": [1, 2, 3]}, "scale": 2, "scale": 2}',
        '{"body": {"pose": [1, 2, 3], "pose": [1, 2, 3]}, "scale": 2}',
        '{"body": {"pose": [1, 2, 3]}, "scale": 2, "s\\u0063ale": 3}',
        '{"body": {"pose": [1, 2, 3]}, "scale": 2, "\\u003a": 3, "x": 1, "x": 2}',
        '{"body": {"pose": [1, 2, 3]}, "scale": 2, "x": NaN, "x": 2}',
        '{"body": {"pose": [1, 2, 3]}, "scale": 2, "name": ":", "x": {"y": 1}, "x": 2}',
    ],
)
def test_a_key_that_is_there_twice_is_refused(text):
    with pytest.raises(PgtfastError, match=r"a\.json: id 7: key '.*' is there twice"):
        EntryReader(FILE, FIELDS, Notes()).read([("7",)], [text.encode()])


def test_keys_that_look_like_others_are_not_there_twice():
    text = '{"body": {"pose": [1, 2, 3], ":": {"x": 1, "y": 2}}, "scale": 2, "name": "a: b", "\\u003a": "c: d"}'
    notes = Notes()
    assert EntryReader(FILE, FIELDS, notes).read([("7",)], [text.encode()])[3].tolist() == ["a: b"]
    assert sorted(notes.lines()) == ["ignored: key ':' of 1 entries", "ignored: key 'body.:' of 1 entries"]


def test_float32_numbers_have_nine_digits():
    draw = np.random.default_rng(0)
    values = np.concatenate([draw.normal(0, 10.0 ** np.arange(-12, 8)[:, None], (20, 50)).ravel(), [0, 1, 5000]])
    values = values.astype(np.float32).astype(np.float64)
    (text,) = (json_text(row["a"]) for row in row_objects({"a": values[None]}))
    assert np.array_equal(np.array(json.loads(text)).astype(np.float32), values)
    digits = [
        number.lstrip("-0.").partition("e")[0].replace(".", "").rstrip("0") for number in text.decode()[1:-1].split(",")
    ]
    assert max(map(len, digits)) <= 9


def test_numbers_come_back_to_the_bit():
    values = np.concatenate(
        [
            np.random.default_rng(0).normal(0, 10.0 ** np.arange(-20, 20)[:, None], (40, 5)).ravel(),
            [0.1, -0.0, 1e22, 5e-324],
        ]
    )
    (text,) = (json_text(row["a"]) for row in row_objects({"a": values[None]}))
    assert np.array(json.loads(text)).tobytes() == values.tobytes()


def test_objects_of_rows():
    inner = row_objects({"pose": np.arange(6.0).reshape(2, 3)[:, ::-1]})
    rows = row_objects({"body": inner, "id": np.array([7, 8]), "name": ["a", 'é"']})
    assert [json.loads(json_text(row)) for row in rows] == [
        {"body": {"pose": [2, 1, 0]}, "id": 7, "name": "a"},
        {"body": {"pose": [5, 4, 3]}, "id": 8, "name": 'é"'},
    ]
    with pytest.raises(ValueError, match="pose: not finite"):
        row_objects({"pose": np.array([[1.0, np.nan]])})
