"""Which people make up each batch, as a pure function of seed and step."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from .._errors import PgtfastError
from ..images.augment import generator

_SHUFFLES = np.uint64(1 << 63)
"""Set in the key of shuffles, so that they share no random numbers with anything that is keyed by a step."""


class Slots(NamedTuple):
    """The places of one batch."""

    slot: np.ndarray
    """(B,) int64: place in the whole batch, over all ranks."""
    stream: np.ndarray
    """(B,) int64."""
    position: np.ndarray
    """(B,) int64: how many people of that stream were asked for before, since step 0."""


class Mixture:
    """Streams that take part in every batch with an exact number of people.

    A stream of n people is passed through again and again, each pass in an order of its own: the one at position p is
    number p mod n of the shuffle of pass p // n. Nothing is remembered from batch to batch, so any step can be asked
    for at once.

    Args:
        sizes: people of each stream.
        counts: people of each stream in a batch, all ranks together.
        seed: of the shuffles.
        rank: which share of each batch is wanted.
        world: number of shares; the batch must divide by it. Rank r takes places r, r + world, ..., so that each share
            holds its part of each stream.
    """

    def __init__(
        self, sizes: tuple[int, ...], counts: tuple[int, ...], *, seed: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        if len(sizes) != len(counts) or not sizes:
            raise PgtfastError(
                f"Mixture: wanted a count for each stream, got {len(sizes)} streams and {len(counts)} counts"
            )
        for name, values in (("sizes", sizes), ("counts", counts)):
            if min(values) < 1:
                raise PgtfastError(f"Mixture: {name}: wanted at least 1 person of each stream, got {tuple(values)}")
        total = sum(counts)
        if not 0 <= rank < world:
            raise PgtfastError(f"Mixture: rank: wanted 0 to {world - 1}, got {rank}")
        if total % world:
            raise PgtfastError(
                f"Mixture: counts: a batch of {total} people does not divide over {world} processes; change the counts"
            )
        if not 0 <= seed < 1 << 64:
            raise PgtfastError(f"Mixture: seed: wanted 0 to 2^64 - 1, got {seed}")
        self.sizes, self.counts, self.seed = tuple(sizes), tuple(counts), seed
        self.batch_size = total
        self._slot = np.arange(rank, total, world)
        self._stream = np.repeat(np.arange(len(counts)), counts)[self._slot]
        within = np.concatenate([np.arange(n) for n in counts])
        self._within = within[self._slot]
        self._count = np.array(counts, np.int64)[self._stream]
        self._passes: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()

    @property
    def steps_per_epoch(self) -> int:
        """Batches until the stream that takes longest has shown everyone."""
        return max(-(-n // count) for n, count in zip(self.sizes, self.counts, strict=True))

    def slots(self, step: int) -> Slots:
        """The places of this rank's share of batch `step`."""
        return Slots(self._slot, self._stream, step * self._count + self._within)

    def people(self, stream: int, positions: np.ndarray, ahead: np.ndarray | int = 0) -> np.ndarray:
        """(M,) int64: who is at these positions of a stream, from 0 to its size - 1.

        Args:
            positions: (M,).
            ahead: (M,) look this many people further within the same pass, round to its beginning: who stands in for
                people that cannot be shown.
        """
        n = self.sizes[stream]
        passes, places = np.divmod(np.asarray(positions, np.int64), n)
        places = (places + ahead) % n
        out = np.empty(len(places), np.int64)
        for number in np.unique(passes):
            chosen = passes == number
            out[chosen] = self._order(stream, int(number))[places[chosen]]
        return out

    def _order(self, stream: int, number: int) -> np.ndarray:
        """(n,) uint32: the shuffle of one pass. The last two of each stream are kept."""
        key = (stream, number)
        order = self._passes.get(key)
        if order is None:
            order = np.arange(self.sizes[stream], dtype=np.uint32)
            generator(self.seed, int(_SHUFFLES) | stream << 48 | number).shuffle(order)
            self._passes[key] = order
            for old in [k for k in self._passes if k[0] == stream][:-2]:
                del self._passes[old]
        return order
