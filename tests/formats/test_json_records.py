"""Entries of large JSON files: what a plain parser finds, whatever the blocks; and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgtfast._errors import PgtfastError
from pgtfast.formats import _json_records
from pgtfast.formats._json_records import read_entries

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
ENTRY = st.dictionaries(st.text('ab"\\{}[],é', max_size=4), VALUES, max_size=3)


def entries(path, depth, under=None):
    return [
        (keys, json.loads(text))
        for part in read_entries(path, depth, under)
        for keys, text in zip(part.keys, part.texts, strict=True)
    ]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.json"


@settings(max_examples=40, deadline=None)
@given(
    content=st.dictionaries(st.text(max_size=5), ENTRY, max_size=9),
    block=st.sampled_from((1, 3, 16, 1 << 22)),
    indent=st.sampled_from((None, 1)),
)
def test_entries_of_the_root(tmp_path_factory, content, block, indent):
    path = tmp_path_factory.getbasetemp() / "root.json"
    path.write_text(json.dumps(content, indent=indent, ensure_ascii=False), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_json_records, "BLOCK", block)
        assert entries(path, 1) == [((key,), value) for key, value in content.items()]


@settings(max_examples=30, deadline=None)
@given(
    content=st.dictionaries(
        st.text(max_size=3), st.dictionaries(st.text(max_size=3), st.dictionaries(st.text(max_size=3), ENTRY, max_size=3), max_size=3), max_size=3
    ),
    block=st.sampled_from((1, 7, 1 << 22)),
)  # fmt: skip
def test_entries_three_deep(tmp_path_factory, content, block):
    path = tmp_path_factory.getbasetemp() / "deep.json"
    path.write_text(json.dumps(content))
    wanted = [((a, b, c), value) for a, x in content.items() for b, y in x.items() for c, value in y.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_json_records, "BLOCK", block)
        assert entries(path, 3) == wanted


@pytest.mark.parametrize("block", [1, 5, 1 << 22])
def test_entries_of_a_list(file, monkeypatch, block):
    monkeypatch.setattr(_json_records, "BLOCK", block)
    rows = [{"a": n, "b": ["]", "}"]} for n in range(9)]
    file.write_text(json.dumps({"ver": 0.1, "other": [1, {"x": 2}], "data": rows, "last": None}))
    assert [value for _, value in entries(file, 2, "data")] == rows


@pytest.mark.parametrize("block", [1, 8, 1 << 22])
def test_every_truncation_is_told(file, monkeypatch, block):
    monkeypatch.setattr(_json_records, "BLOCK", block)
    text = json.dumps({"1": {"a": [1, "}"]}, "2": {"b": {}}})
    for length in range(len(text)):
        file.write_text(text[:length])
        with pytest.raises(PgtfastError, match="not JSON"):
            entries(file, 1)
    file.write_text(text)
    assert len(entries(file, 1)) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"1": {}} x', "not JSON"),
        ('{"1": {} "2": {}}', "not JSON"),
        ('{"1": {}, }', "not JSON"),
        ('{"1" {}}', "not JSON"),
        ('{"1": {}}}', "more brackets close"),
        ('{"1": NaN, "2": {}}', "not JSON"),
        ('{"1": Infinity}', "not JSON"),
        ('{"1": 3, "2": {}}', r"\['1'\]: wanted an object, got '3'"),
        ('{"1": "{}"}', "wanted an object"),
        ("[1, 2]", "wanted a JSON object at the root"),
        ("", "not JSON"),
        ("\x00\x01", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_such_file(file, text, message):
    file.write_text(text)
    with pytest.raises(PgtfastError, match=message):
        entries(file, 1)
    with pytest.raises(PgtfastError, match="cannot be read"):
        entries(file.with_name("none.json"), 1)


def test_a_giant_entry_is_refused(file, monkeypatch):
    monkeypatch.setattr(_json_records, "BLOCK", 64)
    monkeypatch.setattr(_json_records, "LARGEST_ENTRY", 1000)
    file.write_text(json.dumps({"1": {"a": "x" * 5000}}))
    with pytest.raises(PgtfastError, match="no entry ends within"):
        entries(file, 1)
