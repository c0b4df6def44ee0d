"""Blocks of bytes that wait on the disk in buckets, so that what memory does not hold can be sorted."""

from __future__ import annotations

import tempfile
from array import array
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

KEY_BITS = 63
_BUCKET_BITS = 6
BUCKETS = 1 << _BUCKET_BITS


class Spool:
    """A file without a name that goes with the process, however it ends.

    Args:
        folder: where there is room for it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._index: dict[tuple[str, int], array[int]] = defaultdict(lambda: array("q"))
        self._end = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, kind: str, bucket: int, block: bytes | memoryview) -> None:
        """Put a block behind those of its kind and bucket."""
        size = memoryview(block).nbytes
        self._file.seek(self._end)
        self._file.write(block)
        self._index[kind, bucket].extend((self._end, size))
        self._end += size

    def blocks(self, kind: str, bucket: int) -> Iterator[bytes]:
        """The blocks of a kind and bucket in the order in which they were added."""
        index = self._index[kind, bucket]
        for start, size in zip(index[::2], index[1::2], strict=True):
            self._file.seek(start)
            yield self._file.read(size)


def split(keys: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Buckets and the rows of each, in their order.

    Args:
        keys: (N,) uint64 below 2^63; a bucket holds a range of them, the next bucket the next range.
    """
    bucket = (keys >> np.uint64(KEY_BITS - _BUCKET_BITS)).astype(np.int64)
    order = np.argsort(bucket, kind="stable")
    ends = np.cumsum(np.bincount(bucket, minlength=BUCKETS))
    for number, (start, end) in enumerate(zip(ends - np.diff(ends, prepend=0), ends, strict=True)):
        if end > start:
            yield number, order[start:end]


def first_key(bucket: int) -> int:
    """The lowest key of a bucket."""
    return bucket << (KEY_BITS - _BUCKET_BITS)
