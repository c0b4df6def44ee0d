"""Which people make up each batch."""

from __future__ import annotations

import numpy as np
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.loading.mixing import Mixture


def batch(mixture: Mixture, step: int) -> dict[int, tuple[int, int]]:
    """slot -> (stream, person)."""
    slots = mixture.slots(step)
    out = {}
    for stream in range(len(mixture.sizes)):
        mine = slots.stream == stream
        people = mixture.people(stream, slots.position[mine])
        out.update({int(s): (stream, int(p)) for s, p in zip(slots.slot[mine], people, strict=True)})
    return out


def test_every_batch_has_exact_counts():
    mixture = Mixture((50, 7, 1000), (6, 2, 8), seed=1)
    for step in (0, 1, 2, 77, 10**9):
        held = [stream for stream, _ in batch(mixture, step).values()]
        assert [held.count(k) for k in range(3)] == [6, 2, 8]


def test_a_pass_shows_everyone_once_and_passes_differ():
    mixture = Mixture((12, 5), (4, 4), seed=0)
    shown = [p for step in range(6) for stream, p in batch(mixture, step).values() if stream == 0]
    first, second = shown[:12], shown[12:]
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second
    others = [p for step in range(5) for stream, p in batch(mixture, step).values() if stream == 1]
    assert all(sorted(others[k : k + 5]) == list(range(5)) for k in range(0, 20, 5))


def test_an_epoch_is_the_longest_stream():
    assert Mixture((100, 9, 31), (10, 4, 3)).steps_per_epoch == 11
    assert Mixture((3,), (8,)).steps_per_epoch == 1


@pytest.mark.parametrize("world", [2, 4, 8])
def test_ranks_share_one_batch(world):
    sizes, counts = (40, 6), (12, 4)
    whole = Mixture(sizes, counts, seed=3)
    parts = [Mixture(sizes, counts, seed=3, rank=r, world=world) for r in range(world)]
    for step in (0, 5):
        joined: dict[int, tuple[int, int]] = {}
        for part in parts:
            mine = batch(part, step)
            assert len(mine) == 16 // world
            assert not set(joined) & set(mine)
            joined.update(mine)
        assert joined == batch(whole, step)


def test_steps_can_be_asked_for_in_any_order():
    a, b = Mixture((30, 8), (4, 4), seed=9), Mixture((30, 8), (4, 4), seed=9)
    forward = [batch(a, step) for step in range(20)]
    backward = [batch(b, step) for step in reversed(range(20))]
    assert forward == backward[::-1]


def test_seeds_and_streams_are_shuffled_apart():
    a, b = Mixture((50, 50), (50, 50), seed=0), Mixture((50, 50), (50, 50), seed=1)
    everyone = np.arange(50)
    assert not np.array_equal(a.people(0, everyone), b.people(0, everyone))
    assert not np.array_equal(a.people(0, everyone), a.people(1, everyone))


def test_looking_ahead_stays_in_the_pass():
    mixture = Mixture((5,), (1,), seed=2)
    order = mixture.people(0, np.arange(5))
    for ahead in range(7):
        assert mixture.people(0, np.array([3]), ahead)[0] == order[(3 + ahead) % 5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": (3, 0), "counts": (1, 1)}, r"sizes: wanted at least 1 person of each stream, got \(3, 0\)"),
        ({"sizes": (3,), "counts": (0,)}, "counts: wanted at least 1"),
        ({"sizes": (3, 4), "counts": (1,)}, "2 streams and 1 counts"),
        ({"sizes": (3,), "counts": (5,), "world": 2}, "5 people does not divide over 2 processes"),
        ({"sizes": (3,), "counts": (4,), "world": 2, "rank": 2}, "rank: wanted 0 to 1, got 2"),
        ({"sizes": (3,), "counts": (4,), "seed": -1}, "seed"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    sizes, counts = arguments.pop("sizes"), arguments.pop("counts")
    with pytest.raises(PgtfastError, match=message):
        Mixture(sizes, counts, **arguments)


def test_memory_does_not_grow_with_the_passes():
    mixture = Mixture((10, 20), (4, 4))
    for step in range(200):
        batch(mixture, step)
    assert len(mixture._passes) <= 4
