"""Numbers and words by which files name people."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np

GENDERS = ("neutral", "male", "female")
"""Of body-model files."""


def person_ids(images: Iterable[Hashable]) -> np.ndarray:
    """(N,) int64: index of each person among the people of the same image, in the order given.

    Args:
        images: of each person, whatever tells images apart.
    """
    counts: dict[Hashable, int] = {}
    ids = []
    for image in images:
        ids.append(counts.get(image, 0))
        counts[image] = ids[-1] + 1
    return np.array(ids, np.int64)


def gender_of(text: object) -> str | None:
    """The gender that a file's word or letter stands for ("F", "female", "m", ...); None for other words."""
    letter = str(text).strip().lower()[:1]
    return next((gender for gender in GENDERS if letter and gender.startswith(letter)), None)
