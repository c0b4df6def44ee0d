"""JSON by type: what is wrong is named by entry and key."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.files.json import decode, load


class Camera(msgspec.Struct):
    focal: Annotated[list[float], msgspec.Meta(min_length=2, max_length=2)]


class Image(msgspec.Struct):
    id: int
    name: str
    camera: Camera | None = None
    points: list[list[float]] = []


def test_typed_values():
    text = b'{"id": 3, "name": "a", "camera": {"focal": [1, 2.5]}, "more": {"x": [1]}}'
    assert decode(text, Image, "a") == Image(3, "a", Camera([1, 2.5]))
    assert decode(b"\xef\xbb\xbf" + text, Image, "a") == decode(text, Image, "a")
    assert decode(b'{"id": 3, "name": "a", "more": [NaN, -Infinity]}', Image, "a") == Image(3, "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"name": "a"}', "a.json: images[2]: key 'id': wanted, got none"),
        ('{"id": "x", "name": "a"}', "a.json: images[2]: id: wanted a whole number, got 'x'"),
        ('{"id": 1, "name": 3}', "a.json: images[2]: name: wanted text, got 3"),
        ('{"id": 1, "name": "a", "camera": 5}', "a.json: images[2]: camera: wanted an object, got 5"),
        ('{"id": 1, "name": "a", "camera": {"focal": [1]}}', "camera.focal: wanted a list of length >= 2, got [1]"),
        ('{"id": 1, "name": "a", "camera": {"focal": [1, NaN]}}', "camera.focal[1]: wanted a number, got None"),
        ('{"id": 1, "name": "a", "points": [[1], [2, "x"]]}', "points[1][1]: wanted a number, got 'x'"),
        ("[1]", "a.json: images[2]: wanted an object, got [1]"),
        ('{"id": 1, "name": "a"', "a.json: images[2]: not JSON (Expecting ',' delimiter at line 1, column 22)"),
        ('{"id": 1, "name": "\\ud800"}', "a.json: images[2]: not JSON (UnicodeEncodeError"),
        ("[" * 100_000, "not JSON (RecursionError"),
        ("", "not JSON"),
    ],
)
def test_what_is_wrong_is_named(text, message):
    with pytest.raises(PgtfastError) as error:
        decode(text.encode(), Image, "a.json: images[2]")
    assert message in str(error.value)


def test_half_a_character_concerns_the_one_who_reads_it():
    assert decode(b'{"id": 1, "name": "\\ud800", "x": NaN}', dict, "a") == {"id": 1, "name": "\ud800", "x": None}


def test_files(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"id": 1, "name": "a"}))
    assert load(path, "an image", Image) == Image(1, "a")
    assert load(path, "an image", Any) == {"id": 1, "name": "a"}
    path.write_text('{"id": 1}')
    with pytest.raises(PgtfastError, match=r"a\.json \(an image\): key 'name': wanted, got none"):
        load(path, "an image", Image)
    path.write_bytes(b'{"id": "\xff"}')
    with pytest.raises(PgtfastError, match=r"a\.json: not JSON \(UnicodeDecodeError"):
        load(path, "an image")
    with pytest.raises(PgtfastError, match="no such file"):
        load(tmp_path / "none.json", "an image")
    with pytest.raises(PgtfastError, match="cannot be read"):
        load(tmp_path, "an image")
