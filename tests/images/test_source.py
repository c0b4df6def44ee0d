"""Images of a folder or of tars: nothing from outside, whoever asks; trouble of a disk is no missing image."""

from __future__ import annotations

import os
import tarfile

import numpy as np
import pytest

pytest.importorskip("nvidia.dali")

from pgtfast._errors import PgtfastError
from pgtfast.files.tars import tar_members
from pgtfast.images.source import FolderSource, Location, NoImageError, TarSource, check_images, open_source
from pgtfast.loading.loader import OrderedLoader
from pgtfast.people import ImageSet, Reason
from tests.helpers.image_sets import config, encoded, folder, mixed, people, smooth_picture


@pytest.fixture
def outside(tmp_path):
    """A set of four people: two of the folder, one of `../secret.jpg`, one of a link to it."""
    held = folder(tmp_path / "images", 2)
    (tmp_path / "secret.jpg").write_bytes(encoded(smooth_picture(9)))
    (tmp_path / "images" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    names = [*held.people.image_path, "../secret.jpg", "link.jpg"]
    return ImageSet(people=people(names), images=tmp_path / "images", role="wild")


def test_training_opens_nothing_outside_the_folder(outside):
    loader = mixed([(outside, 2)])
    shown = {person for batch in loader.batches(0, 6) for person in batch.person.tolist()}
    assert shown == {0, 1}
    assert {s.image_path: s.reason.code for s in loader.skipped} == {
        "../secret.jpg": Reason.OUTSIDE,
        "link.jpg": Reason.OUTSIDE,
    }
    (link,) = (s.reason for s in loader.skipped if s.image_path == "link.jpg")
    assert "see --follow-links" in link


def test_links_are_followed_where_that_is_asked_for(outside):
    loader = OrderedLoader(outside, None, config(follow_links=True))
    assert [batch.person.tolist() for batch in loader] == [[0, 1, 3]]
    assert [(s.image_path, s.reason.code) for s in loader.skipped] == [("../secret.jpg", Reason.OUTSIDE)]


def test_a_set_of_images_outside_the_folder_is_refused(outside):
    alone = ImageSet(people=outside.people.rows(slice(2, 3)), images=outside.images, role="wild")
    with pytest.raises(PgtfastError, match=r"none of 1 images .*\(\.\./secret\.jpg leaves the folder of images"):
        mixed([(alone, 1)])


@pytest.mark.parametrize("name", ["../secret.jpg", "a/../../secret.jpg", "/etc/passwd", "..", "a\0.jpg", "\udcff.jpg"])
def test_names_that_are_no_files_of_the_folder(tmp_path, name):
    (tmp_path / "images").mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    for follow_links in (False, True):
        with pytest.raises(NoImageError) as refused:
            FolderSource(tmp_path / "images", follow_links=follow_links).read(name)
        assert refused.value.skip.code in (Reason.OUTSIDE, Reason.BAD_IMAGE, Reason.MISSING)


def test_a_name_with_two_dots_in_it_is_a_name(tmp_path):
    (tmp_path / "a..b.jpg").write_bytes(b"1")
    assert open_source(tmp_path).read("a..b.jpg") == b"1"


def test_pipes_and_folders_are_no_images(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for name in ("pipe.jpg", "folder.jpg"):
        with pytest.raises(NoImageError, match=r"^missing: "):
            open_source(tmp_path).read(name)


def test_training_stops_where_the_folder_went_away(tmp_path):
    held = folder(tmp_path / "images", 4)
    loader = mixed([(held, 2)])
    (tmp_path / "images").rename(tmp_path / "away")
    (tmp_path / "images").mkdir()  # what is under a mount that went away
    with pytest.raises(PgtfastError, match="the image folder went away; bring it back"):
        next(loader.batches(0, 1))
    assert loader.skipped == []


def test_tars_survive_short_reads(tmp_path, monkeypatch):
    content = bytes(range(250)) * 4
    (tmp_path / "0.jpg").write_bytes(content)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "0.jpg", "0.jpg")
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda file, size, at: pread(file, min(size, 300), at))
    source = open_source([tmp_path / "a.tar"])
    assert source.read("0.jpg") == content
    with pytest.raises(NoImageError, match=r"^missing: not in the tars"):
        source.read("1.jpg")
    ((name, offset, size),) = tar_members(tmp_path / "a.tar")
    plain = TarSource([tmp_path / "a.tar"], indexed=False)
    assert plain.read("0.jpg", Location(name, 0, offset, size)) == content
    with pytest.raises(NoImageError):
        plain.read("0.jpg")


def test_one_readable_image_is_enough_to_begin(outside):
    check_images(outside, open_source(outside.images), np.arange(4))
