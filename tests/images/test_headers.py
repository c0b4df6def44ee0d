"""What a picture is told to be before it comes into a batch: of the size that the decoder will give, and readable by
it.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("nvidia.nvimgcodec")

from pgtfast.datasets._coco_layout import empty_people
from pgtfast.images.source import FolderSource, validate_image
from pgtfast.loading.bulk import BulkConfig, BulkLoader, PersonCrops, Shard

SIZE = (64, 48)
TURNED = Image.Exif()
TURNED[0x0112] = 6


def picture(kind: str, mode: str = "RGB", **more) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(file, kind, **more)
    return file.getvalue()


def png_of(depth: int, color: int) -> bytes:
    data = bytearray(picture("PNG"))
    data[24:26] = depth, color
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def jpeg_of(components: int) -> bytes:
    data = bytearray(picture("JPEG"))
    data[data.find(b"\xff\xc0") + 9] = components
    return bytes(data)


UNREADABLE = {
    "gif": picture("GIF"), "ico": picture("ICO"), "tga": picture("TGA"), "pcx": picture("PCX"),
    "png of 3 bits": png_of(3, 2), "png of colour 5": png_of(8, 5), "jpeg of 9 components": jpeg_of(9),
}  # fmt: skip


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_the_decoder_cannot_parse(name):
    held = validate_image(UNREADABLE[name], SIZE, adjust_orientation=False)
    assert held.data is None
    assert held.reason == "format: DALI's decoder cannot read it; convert it to JPEG or PNG"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_kinds_that_are_read(kind, mode):
    held = validate_image(picture(kind, mode), SIZE, adjust_orientation=False)
    assert (held.width, held.height, held.reason) == (*SIZE, None)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_sizes_of_turned_pictures(kind):
    data = picture(kind, exif=TURNED)
    plain = validate_image(data, SIZE, adjust_orientation=False)
    assert (plain.width, plain.height, plain.reason) == (*SIZE, None)
    turned = validate_image(data, SIZE[::-1], adjust_orientation=True)
    assert (turned.width, turned.height, turned.reason) == (*SIZE[::-1], None)
    other = validate_image(data, SIZE, adjust_orientation=True)
    assert other.reason is not None
    assert other.reason.endswith("its EXIF orientation is 6: set adjust_orientation=False")


@pytest.mark.parametrize("turn", [False, True])
def test_a_large_batch_with_pictures_that_cannot_be_parsed(tmp_path, turn):
    """DALI ends the process where one of very many fails in its parser, so it must not get there."""
    good, bad = (
        {"a.jpg": picture("JPEG"), "b.png": picture("PNG", exif=TURNED), "c.tif": picture("TIFF", exif=TURNED)},
        UNREADABLE,
    )
    for name, data in {**good, **bad}.items():
        (tmp_path / name).write_bytes(data)
    names = [*list(good) * 40, *bad]
    people = empty_people("set", np.arange(len(names)), landmark_set="coco17")
    people.image_path[:], people.bbox[:] = names, (5, 5, 30, 30)
    config = BulkConfig(
        crop_size=(48, 64), normalize="imagenet", batch_size=128, threads=1, shared=False, adjust_orientation=turn
    )
    found = list(BulkLoader(FolderSource(tmp_path), config).crops(iter([Shard(0, people, None)])))
    assert sum(len(item) for item in found if isinstance(item, PersonCrops)) == 120
    assert [reason is None for reason in people.reason] == [True] * 120 + [False] * len(bad)
    sizes = dict(zip(names[:3], people.image_size[:3].tolist(), strict=True))
    assert sizes == {"a.jpg": [64, 48], **dict.fromkeys(("b.png", "c.tif"), [48, 64] if turn else [64, 48])}
