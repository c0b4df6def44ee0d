"""The size of an image from its first bytes, and whether the file holds all of it."""

from __future__ import annotations

import io
import struct
from typing import NamedTuple

from ..people.reason import Reason, Skip

_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset(range(0xD0, 0xD8)) | {0x01}
_SOS, _EOI, _APP1 = 0xDA, 0xD9, 0xE1
_PNG = b"\x89PNG\r\n\x1a\n"


class UnreadableError(ValueError):
    """An encoded image that cannot be decoded whole.

    Args:
        code: of the reason.
        detail: what is wrong with it.
    """

    def __init__(self, code: Reason, detail: str) -> None:
        self.skip = Skip(code, detail)
        super().__init__(self.skip)


class Header(NamedTuple):
    """What the first bytes say."""

    width: int
    """Pixels, before any rotation."""
    height: int
    orientation: int
    """EXIF orientation 1 to 8; 5 and above swap width and height."""


def read_header(data: bytes) -> Header:
    """Read the size of an encoded image.

    Raises:
        UnreadableError: the file is empty, no image, or ends too early.
    """
    if not data:
        raise UnreadableError(Reason.EMPTY, "the file holds no byte")
    if data[:2] == b"\xff\xd8":
        return _jpeg(data)
    if data[:8] == _PNG:
        if len(data) < 33 or data[12:16] != b"IHDR":
            raise UnreadableError(Reason.TRUNCATED, "the PNG ends within its header")
        if data.rfind(b"IEND") < 0:
            raise UnreadableError(Reason.TRUNCATED, "the PNG has no end mark")
        width, height = struct.unpack(">II", data[16:24])
        return Header(width, height, _png_orientation(data))
    return _other(data)


def check_decodable(data: bytes, header: Header) -> None:
    """Have the decoder's own parser look at an image. One that it refuses must not come into a batch: DALI can crash
    where one of many fails so early.

    Args:
        data: the file.
        header: what it says here.

    Raises:
        UnreadableError: it cannot.
    """
    import nvidia.nvimgcodec as nvimgcodec

    try:
        stream = nvimgcodec.CodeStream(data)
        size = stream.width, stream.height  # read now, not before
    except RuntimeError as error:
        raise UnreadableError(Reason.FORMAT, "DALI's decoder cannot read it; convert it to JPEG or PNG") from error
    if size != (header.width, header.height):
        raise UnreadableError(
            Reason.DAMAGED, f"its header says {header.width} x {header.height} and {size[0]} x {size[1]} pixels"
        )


def _jpeg(data: bytes) -> Header:
    at, end, size, orientation = 2, len(data), None, 1
    while at + 4 <= end:
        if data[at] != 0xFF:
            raise UnreadableError(Reason.DAMAGED, f"no JPEG marker at byte {at}")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _ALONE:
            at += 2
            continue
        if marker in (_SOS, _EOI):
            break
        length = data[at + 2] << 8 | data[at + 3]
        if length < 2 or at + 2 + length > end:
            break
        if marker in _SOF and length >= 8:
            height, width = data[at + 5] << 8 | data[at + 6], data[at + 7] << 8 | data[at + 8]
            size = width, height
        elif marker == _APP1 and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = _orientation(data[at + 10 : at + 2 + length])
        at += 2 + length
    if size is None:
        raise UnreadableError(Reason.TRUNCATED, "the JPEG ends before it tells its size")
    if min(size) < 1:
        raise UnreadableError(Reason.DAMAGED, f"the JPEG says that it is {size[0]} x {size[1]} pixels")
    # A decoder paints what is missing grey, without an error; the end mark may be followed by padding.
    if data[-2:] != b"\xff\xd9" and data.rfind(b"\xff\xd9", at) < 0:
        raise UnreadableError(Reason.TRUNCATED, "the JPEG has no end mark")
    return Header(*size, orientation)


def _orientation(tiff: bytes) -> int:
    """EXIF tag 0x0112 of the first directory; 1 where there is none or the block makes no sense."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _png_orientation(data: bytes) -> int:
    """Of the eXIf chunk, 1 without one."""
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"eXIf":
            return _orientation(data[at + 8 : at + 8 + length])
        at += 12 + length
    return 1


def _other(data: bytes) -> Header:
    """WebP, BMP, TIFF and the like, by Pillow."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            orientation = int(image.getexif().get(0x0112, 1) or 1)
            tags = getattr(image, "tag_v2", None)  # of a TIFF, whose size Pillow has rotated already
            size = image.size if tags is None else (int(tags[0x0100]), int(tags[0x0101]))
            return Header(*size, orientation)
    except Exception as error:  # Pillow raises whatever its many readers raise
        raise UnreadableError(Reason.FORMAT, "the file is no image that can be read") from error
