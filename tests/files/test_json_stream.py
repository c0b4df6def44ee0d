"""Lists of a JSON file, an entry at a time: the same as read whole, wherever the blocks end, and damage is found."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgtfast._errors import PgtfastError
from pgtfast.files import json_stream as _json_stream
from pgtfast.files.json_stream import stream_lists

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
KEYS = ("images", "annotations")


def read(path) -> dict[str, list]:
    found: dict[str, list] = {key: [] for key in KEYS}
    for key, place, entry in stream_lists(path, KEYS, "things"):
        assert place == len(found[key])
        found[key].append(entry)
    return found


@settings(max_examples=60, deadline=None)
@given(
    content=st.fixed_dictionaries({"info": VALUES, "images": st.lists(VALUES), "n": VALUES, "annotations": st.lists(VALUES)}),
    block=st.integers(1, 40),
    indent=st.sampled_from([None, 1]),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_the_same_as_read_whole_and_what_is_cut_short_is_found(content, block, indent, seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("json") / "a.json"
    text = json.dumps(content, indent=indent, ensure_ascii=seed % 2 == 0)
    before, _json_stream.BLOCK = _json_stream.BLOCK, block
    try:
        path.write_text(text)
        assert read(path) == {key: content[key] for key in KEYS}
        path.write_text(text[: random.Random(seed).randrange(len(text))])
        with pytest.raises(PgtfastError, match=r"truncated|wanted a JSON object"):
            read(path)
    finally:
        _json_stream.BLOCK = before


def test_a_number_at_the_end_of_a_block_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text('{"images": [1e-7, 12345, -2.5e+10], "annotations": []}')
    for block in range(1, 30):
        monkeypatch.setattr(_json_stream, "BLOCK", block)
        assert read(path)["images"] == [1e-7, 12345, -2.5e10]


BAD = {
    "list": ("[1]", "wanted a JSON object with 'images' and 'annotations'"),
    "no list": ('{"images": 3}', "key 'images': wanted a list"),
    "no comma": ('{"images": [1 2]}', "wanted ',' or ']' at character 14"),
    "no colon": ('{"images" [1]}', "wanted ':'"),
    "key": ("{1: 2}", "wanted a key"),
    "more": ("{} {}", "text after the object's end"),
    "binary": ("\x00\x01", "wanted a JSON object"),
    "long number": ('{"images": [' + "9" * 5000 + "]}", "cannot be read behind character 12 (Exceeds the limit"),
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
    monkeypatch.setattr(_json_stream, "LONGEST", 1 << 20)
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
    assert list(stream_lists(path, KEYS, "things", required=KEYS)) == []
    for content, missing in (("{}", "images"), ('{"images": []}', "annotations"), ('{"annotations": [1]}', "images")):
        path.write_text(content)
        with pytest.raises(PgtfastError, match=f"a.json: key '{missing}': wanted a list of objects .* got none"):
            list(stream_lists(path, KEYS, "things", required=KEYS))
