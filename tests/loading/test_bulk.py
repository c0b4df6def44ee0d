"""Crops of shards: those of a picture share its decode and are the same as decoded apart; nobody is left out without a
reason.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pgtfast.datasets._coco_layout import empty_people
from pgtfast.images import pipeline
from pgtfast.images.source import FolderSource
from pgtfast.loading.bulk import BulkConfig, BulkLoader, Finished, Shard
from pgtfast.loading.loader import LoaderConfig, OrderedLoader
from pgtfast.people import ImageSet

CONFIG = BulkConfig(crop_size=(48, 64), normalize="imagenet", batch_size=8, threads=1)
SIZE = (200, 150)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for at in range(6):
        small = Image.fromarray(draw.integers(0, 256, (15, 20, 3), np.uint8))
        small.resize(SIZE, Image.Resampling.BICUBIC).save(folder / f"{at}.jpg", quality=90)
    return folder


def shards(pictures: int = 6, each: int = 3, per_shard: int = 2) -> list[Shard]:
    """Three people a picture, their rows mixed, two pictures a shard."""
    draw, made = np.random.default_rng(1), []
    for number, first in enumerate(range(0, pictures, per_shard)):
        names = [f"{at}.jpg" for at in range(first, min(first + per_shard, pictures))] * each
        people = empty_people("set", 100 * number + np.arange(len(names)), landmark_set="coco17")
        people.image_path[:] = names
        people.image_size[:] = SIZE
        low = draw.uniform(0, 60, (len(names), 2))
        people.bbox[:] = np.concatenate([low, draw.uniform(30, 90, (len(names), 2))], 1)
        made.append(Shard(number, people, None))
    return made


def crops(folder, held: list[Shard], config: BulkConfig = CONFIG):
    """Crops by (shard, row), sizes of batches, and the shards in the order in which they ended."""
    found, batches, ended = {}, [], []
    for item in BulkLoader(FolderSource(folder), config).crops(iter(held)):
        if isinstance(item, Finished):
            ended.append(item.shard.number)
            continue
        batches.append(len(item))
        for at in range(len(item)):
            key = int(item.shard[at]), int(item.row[at])
            assert key not in found
            assert key[0] not in ended
            found[key] = item.image[at].numpy().copy(), item.matrix[at].numpy(), item.size[at].tolist()
    return found, batches, ended


def test_one_decode_a_picture_gives_the_crops_of_one_decode_a_person(folder, monkeypatch):
    decoded = []
    real = pipeline.share_images

    def counting(graph, inputs, owner):
        real(graph, inputs, owner)
        decoded.append(sum(len(data) > 100 for data in inputs["encoded"]))

    monkeypatch.setattr("pgtfast.loading.bulk.share_images", counting)
    together, batches, ended = crops(folder, shards())
    assert sum(decoded) == 6
    assert batches == [6, 6, 6]
    assert ended == [0, 1, 2]
    apart, *_ = crops(folder, shards(), replace(CONFIG, shared=False))
    assert set(together) == set(apart) == {(s, r) for s in range(3) for r in range(6)}
    for key, (image, matrix, _) in together.items():
        np.testing.assert_allclose(image, apart[key][0], atol=2e-2)
        np.testing.assert_array_equal(matrix, apart[key][1])


def test_the_crops_are_those_of_the_ordered_loader(folder):
    (shard,) = shards(2)
    found, *_ = crops(folder, [shard])
    image_set = ImageSet(people=shard.people, images=folder, role="wild")
    config = LoaderConfig(crop_size=CONFIG.crop_size, normalize="imagenet", threads=1)
    for batch in OrderedLoader(image_set, None, config, batch_size=4):
        for image, matrix, row in zip(batch.image, batch.matrix, batch.person, strict=True):
            np.testing.assert_allclose(found[0, int(row)][0], image.numpy(), atol=2e-2)
            np.testing.assert_allclose(found[0, int(row)][1], matrix.numpy(), rtol=1e-6)


def test_people_far_apart_in_a_huge_picture_are_decoded_apart(folder, monkeypatch):
    monkeypatch.setattr(pipeline, "_APART", 1)
    decoded = []
    real = pipeline.share_images

    def counting(graph, inputs, owner):
        real(graph, inputs, owner)
        decoded.append(sum(len(data) > 100 for data in inputs["encoded"]))

    monkeypatch.setattr("pgtfast.loading.bulk.share_images", counting)
    (shard,) = shards(1, each=2)
    shard.people.bbox[:] = [[2, 2, 20, 25], [170, 110, 20, 25]]
    far, *_ = crops(folder, [shard])
    assert decoded == [2]
    alone, *_ = crops(folder, [shard], replace(CONFIG, shared=False))
    for key in far:
        np.testing.assert_array_equal(far[key][0], alone[key][0])


@pytest.mark.parametrize("batch_size", [1, 2, 4, 64])
def test_batches_hold_no_more_than_asked_and_everybody_once(folder, batch_size):
    found, batches, ended = crops(folder, shards(), replace(CONFIG, batch_size=batch_size))
    assert max(batches) <= batch_size
    assert len(found) == 18
    assert ended == [0, 1, 2]


def test_pictures_that_cannot_be_shown_take_nobody_with_them(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "0.jpg").unlink()
    broken = bytearray((tmp_path / "3.jpg").read_bytes())
    table = broken.find(b"\xff\xc4")  # the Huffman tables: nothing can be decoded without them
    broken[table + 5 : table + 21] = b"\xff" * 16
    (tmp_path / "3.jpg").write_bytes(broken)
    held = shards()
    held[2].people.bbox[0] = [500, 500, 10, 10]
    found, _, ended = crops(tmp_path, held)
    assert ended == [0, 1, 2]
    assert len(found) == 18 - 3 - 3 - 1
    for shard in held:
        for row, (path, reason) in enumerate(zip(shard.people.image_path, shard.people.reason, strict=True)):
            code = {"0.jpg": "missing", "3.jpg": "decode"}.get(path)
            if (shard.number, row) == (2, 0):
                code = "box"
            assert (None if reason is None else reason.partition(":")[0]) == code
            assert ((shard.number, row) in found) == (code is None)


def test_a_shard_of_nobody_ends_too(folder):
    held = shards()
    for shard in held[:2]:
        shard.people.reason[:] = "crowd: x"
    found, _, ended = crops(folder, held)
    assert len(found) == 6
    assert ended == [0, 1, 2]
    assert crops(folder, [])[0] == {}


def test_whole_pictures_and_unknown_sizes_are_filled_in(folder):
    (shard,) = shards(2, each=1)
    shard.people.bbox[:], shard.people.image_size[:] = np.inf, 0
    found, *_ = crops(folder, [shard])
    assert shard.people.bbox.tolist() == [[0, 0, *SIZE]] * 2
    assert shard.people.image_size.tolist() == [list(SIZE)] * 2
    assert [size for *_, size in found.values()] == [list(SIZE)] * 2


def test_pictures_of_many_pixels_come_in_smaller_batches_or_not_at_all(folder):
    pixels = SIZE[0] * SIZE[1]
    _, batches, _ = crops(folder, shards(each=1, per_shard=6), replace(CONFIG, most_pixels=2 * pixels))
    assert batches == [2, 2, 2]
    held = shards()
    assert crops(folder, held, replace(CONFIG, most_pixels=pixels - 1))[0] == {}
    assert all(reason.startswith("too-large") for shard in held for reason in shard.people.reason)


def test_folders_that_lead_out_are_refused_even_when_they_become_links_later(tmp_path):
    root, away = tmp_path / "images", tmp_path / "away"
    for folder in (root / "a", away):
        folder.mkdir(parents=True)
        (folder / "0.jpg").write_bytes(folder.name.encode())
    (root / "b").symlink_to(away)
    (root / "c").symlink_to("a")
    pictures = FolderSource(root)
    assert [pictures.read(f"{name}/0.jpg") for name in "ac"] == [b"a", b"a"]
    (root / "a").rename(root / "old")
    (root / "a").symlink_to(away)
    for name in "ab":
        with pytest.raises(LookupError, match=r"outside: ./0\.jpg is a link that leaves"):
            pictures.read(f"{name}/0.jpg")
        assert FolderSource(root, follow_links=True).read(f"{name}/0.jpg") == b"away"


def test_people_of_a_picture_that_is_told_to_be_of_two_sizes(folder):
    """Whose size is wrong has the reason, and nobody else."""
    (held,) = shards(1, 3)
    held.people.image_size[0] = 9999, 9999
    found, _, _ = crops(folder, [held])
    assert sorted(found) == [(0, 1), (0, 2)]
    assert [str(reason).partition(":")[0] for reason in held.people.reason] == ["size", "None", "None"]
