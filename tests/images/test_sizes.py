"""Annotated sizes against the headers of the pictures."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.datasets.coco import read_coco_persons
from pgtfast.images.sizes import (
    check_image_sizes,
    check_reach,
    compare_image_sizes,
    read_image_size,
    swapped_sizes,
    unswap_sizes,
)
from tests.helpers.writers2d import coco_content, write_json, write_picture, write_pictures


def people_of(tmp_path, count=8):
    content = coco_content("coco17", people=count)
    write_pictures(tmp_path, content)
    return read_coco_persons(write_json(tmp_path / "a.json", content))


def test_right_pictures(tmp_path):
    people = people_of(tmp_path)
    sizes = check_image_sizes(people, tmp_path)
    assert (sizes.checked, sizes.wrong, sizes.missing, sizes.examples) == (7, 0, 0, ())
    assert check_image_sizes(people, tmp_path, sample=3).checked == 3


def test_counts_of_every_kind(tmp_path):
    people = people_of(tmp_path)
    write_picture(tmp_path / "000.jpg", (30, 20))
    write_picture(tmp_path / "001.jpg", (41, 60))
    write_picture(tmp_path / "002.jpg", (40, 60))
    write_picture(tmp_path / "003.jpg", (60, 60))
    write_picture(tmp_path / "004.jpg", (61, 39))
    (tmp_path / "005.jpg").write_bytes(b"no picture")
    (tmp_path / "006.jpg").unlink()
    sizes = compare_image_sizes(people, tmp_path)
    assert sizes._replace(examples=()) == (5, 1, 1, 1, 1, 2, ())
    assert "000.jpg: 30 x 20, annotated 60 x 40 (scaled)" in sizes.examples


def test_another_copy_is_an_error_that_counts(tmp_path):
    people = people_of(tmp_path)
    for name in set(people.image_path):
        write_picture(tmp_path / name, (120, 80))
    with pytest.raises(PgtfastError, match=r"of 7 pictures of a, 7 are scaled, 0 have .* another copy of the pictures"):
        check_image_sizes(people, tmp_path)


def test_swapped(tmp_path):
    people = people_of(tmp_path)
    people.image_size[:] = people.image_size[:, ::-1]
    with pytest.raises(PgtfastError, match=r"7 have width and height swapped.*unswap_sizes"):
        check_image_sizes(people, tmp_path)
    assert swapped_sizes(people, tmp_path).all()
    mended = unswap_sizes(people, tmp_path)
    assert check_image_sizes(mended, tmp_path).checked == 7
    np.testing.assert_array_equal(unswap_sizes(people).image_size, mended.image_size)
    np.testing.assert_array_equal(unswap_sizes(mended).image_size, mended.image_size)


def test_tars(tmp_path):
    people = people_of(tmp_path)
    write_picture(tmp_path / "001.jpg", (40, 60))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in sorted(set(people.image_path))[:4]:
            tar.add(tmp_path / name, f"./{name}")
        tar.add(tmp_path / "a.json", "a.json")
    sizes = compare_image_sizes(people, (tmp_path / "a.tar",))
    assert (sizes.checked, sizes.swapped) == (4, 1)
    assert compare_image_sizes(people, (tmp_path / "a.tar",), sample=1).checked == 1


def test_unknown_sizes_are_not_checked(tmp_path):
    people = people_of(tmp_path)
    people.image_size[:] = 0
    assert check_image_sizes(people, tmp_path).checked == 0
    assert not swapped_sizes(people, tmp_path).any()
    assert not swapped_sizes(people.rows(slice(0))).any()


def test_keypoints_beyond_pictures_of_unknown_size(tmp_path):
    people = people_of(tmp_path)
    for name in set(people.image_path):
        write_picture(tmp_path / name, (12, 8))
    check_reach(people, tmp_path)  # their sizes are known, and told otherwise
    people.image_size[:] = 0
    with pytest.raises(
        PgtfastError, match=r"of 8 people of a looked at, 8 have .* annotation \d+ reach to .* smaller copy"
    ):
        check_reach(people, tmp_path)
    for name in set(people.image_path):
        write_picture(tmp_path / name, (60, 40))
    check_reach(people, tmp_path)
    people.keypoints[0, :, :2] += 100  # one person gone wrong is no other copy
    check_reach(people, tmp_path)


def test_read_image_size(tmp_path):
    write_picture(tmp_path / "a.png", (7, 5))
    assert read_image_size(tmp_path / "a.png") == (7, 5)
    assert read_image_size(tmp_path / "b.png") is None
    assert read_image_size(tmp_path) is None
