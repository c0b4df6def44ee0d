"""Entries of large JSON files: what a plain parser finds, wherever the blocks end; and nothing else."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgtfast._errors import PgtfastError
from pgtfast.files import json_entries
from pgtfast.files.json_entries import read_entries, stream_lists

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
ENTRY = st.dictionaries(st.text('ab"\\{}[],é', max_size=4), VALUES, max_size=3)


def entries(path, depth, under=()):
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
        patch.setattr(json_entries, "BLOCK", block)
        assert entries(path, 1) == [((key,), value) for key, value in content.items()]


@settings(max_examples=30, deadline=None)
@given(
    content=st.dictionaries(
        st.text(max_size=3),
        st.dictionaries(st.text(max_size=3), st.dictionaries(st.text(max_size=3), ENTRY, max_size=3), max_size=3),
        max_size=3,
    ),
    block=st.sampled_from((1, 7, 1 << 22)),
)
def test_entries_three_deep(tmp_path_factory, content, block):
    path = tmp_path_factory.getbasetemp() / "deep.json"
    path.write_text(json.dumps(content))
    wanted = [((a, b, c), value) for a, x in content.items() for b, y in x.items() for c, value in y.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_entries, "BLOCK", block)
        assert entries(path, 3) == wanted


@pytest.mark.parametrize("block", [1, 5, 1 << 22])
def test_entries_of_a_list(file, monkeypatch, block):
    monkeypatch.setattr(json_entries, "BLOCK", block)
    rows = [{"a": n, "b": ["]", "}"]} for n in range(9)]
    file.write_text(json.dumps({"ver": 0.1, "other": [1, {"x": 2}], "data": rows, "last": None}))
    assert [value for _, value in entries(file, 2, ("data",))] == rows


@pytest.mark.parametrize("block", [1, 8, 1 << 22])
def test_every_truncation_is_told(file, monkeypatch, block):
    monkeypatch.setattr(json_entries, "BLOCK", block)
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
        ('{"1": NaN, "2": {}}', "1: wanted an object, got nan"),
        ('{"1": Infinity}', "1: wanted an object, got inf"),
        ('{"1": 3, "2": {}}', r"a\.json: 1: wanted an object, got 3"),
        ('{"1": "{}"}', "wanted an object"),
        ("[1, 2]", "wanted a JSON object"),
        ("", "not JSON"),
        ("\x00\x01", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_such_file(file, text, message):
    file.write_text(text)
    with pytest.raises(PgtfastError, match=message):
        entries(file, 1)
    with pytest.raises(PgtfastError, match="no such file"):
        entries(file.with_name("none.json"), 1)


def test_a_giant_entry_is_refused(file, monkeypatch):
    monkeypatch.setattr(json_entries, "BLOCK", 64)
    monkeypatch.setattr(json_entries, "LARGEST_ENTRY", 1000)
    file.write_text(json.dumps({"1": {"a": "x" * 5000}}))
    with pytest.raises(PgtfastError, match="no entry ends within"):
        entries(file, 1)


KEYS = ("images", "annotations")


def read(path) -> dict[str, list]:
    found: dict[str, list] = {key: [] for key in KEYS}
    for key, index, entry in stream_lists(path, dict.fromkeys(KEYS, dict), "things"):
        assert index == len(found[key])
        found[key].append(entry)
    return found


@settings(max_examples=60, deadline=None)
@given(
    content=st.fixed_dictionaries(
        {"info": VALUES, "images": st.lists(ENTRY), "n": VALUES, "annotations": st.lists(ENTRY)}
    ),
    block=st.integers(1, 40),
    indent=st.sampled_from([None, 1]),
    seed=st.integers(0, 99),
)
def test_the_same_as_read_whole_and_what_is_cut_short_is_found(content, block, indent, seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("json") / "a.json"
    text = json.dumps(content, indent=indent, ensure_ascii=seed % 2 == 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_entries, "BLOCK", block)
        path.write_text(text)
        assert read(path) == {key: content[key] for key in KEYS}
        path.write_text(text[: random.Random(seed).randrange(len(text))])
        with pytest.raises(PgtfastError, match=r"truncated|wanted a JSON object"):
            read(path)


def test_a_number_at_the_end_of_a_block_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text('{"images": [{"a": 1e-7}, {"a": 12345}, {"a": -2.5e+10}], "annotations": []}')
    for block in range(1, 30):
        monkeypatch.setattr(json_entries, "BLOCK", block)
        assert [entry["a"] for entry in read(path)["images"]] == [1e-7, 12345, -2.5e10]


def test_what_python_writes_beside_json_counts_as_null(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"info": NaN, "images": [{"a": NaN, "b": [-Infinity, 1]}]}')
    assert read(path)["images"] == [{"a": None, "b": [None, 1]}]


BAD = {
    "list": ("[1]", "wanted a JSON object with 'images' and 'annotations'"),
    "no list": ('{"images": 3}', "key 'images': wanted a list"),
    "no object": ('{"images": [{}, 1]}', "images[1]: wanted an object, got 1"),
    "no comma": ('{"images": [{} {}]}', "not JSON, in the 19 bytes from byte 0 on (Expecting ',' delimiter)"),
    "no colon": ('{"images" [{}]}', "Expecting ':' delimiter"),
    "key": ("{1: 2}", "Expecting property name"),
    "more": ("{} {}", "Extra data"),
    "binary": ("\x00\x01", "not JSON"),
    "long number": ('{"info": ' + "9" * 5000 + ', "images": []}', "Exceeds the limit"),
    "deep": ('{"images": [' + "[" * 100000, "not JSON"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_such_file_is_said(case, tmp_path):
    content, message = BAD[case]
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(PgtfastError) as error:
        read(path)
    assert message in str(error.value)
    assert "a.json" in str(error.value)


def test_an_entry_without_end_is_not_read_for_ever(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text('{"images": ["' + "x" * 4_000_000)
    monkeypatch.setattr(json_entries, "LARGEST_ENTRY", 1 << 20)
    with pytest.raises(PgtfastError, match="not JSON"):
        read(path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(PgtfastError, match="no such file"):
        read(tmp_path / "none.json")
    (tmp_path / "a.json").write_bytes(b'{"images": ["\xff"]}')
    with pytest.raises(PgtfastError, match="not JSON"):
        read(tmp_path / "a.json")


def test_required_lists_may_be_empty_but_not_missing(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"images": [], "annotations": []}')
    assert list(stream_lists(path, dict.fromkeys(KEYS, dict), "things", required=KEYS)) == []
    for content, missing in (("{}", "images"), ('{"images": []}', "annotations"), ('{"annotations": [{}]}', "images")):
        path.write_text(content)
        with pytest.raises(PgtfastError, match=f"a.json: key '{missing}': wanted a list of objects .* got none"):
            list(stream_lists(path, dict.fromkeys(KEYS, dict), "things", required=KEYS))
