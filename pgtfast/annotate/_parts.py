"""Batches of bodies gathered into parts of the store, each person once, skipped people between them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..data import People
from ..formats import Store, record_table
from ..formats.quality import Quality
from ..formats.rows import Solved, rows
from ._network import LoadedNetwork

LOST = "no-crop: the loader gave no crop of this person"


class PartWriter:
    """Writes rows of the people that the store lacks.

    Args:
        store: of the run.
        people: all people of the input; whoever has a reason is written with it.
        left: (n,) rows that the store lacks.
        network: that made the bodies.
        method: its name.
        quality: what judges them.
    """

    def __init__(
        self, store: Store, people: People, left: np.ndarray, network: LoadedNetwork, method: str, quality: Quality
    ) -> None:
        self.store, self.people, self.network, self.method, self.quality = store, people, network, method, quality
        self.open = np.zeros(len(people), bool)
        self.open[left] = True
        self.reason = people.reason.copy()
        self.place = {(people.image_path[row], int(people.annotation_id[row])): row for row in left}
        self.rows: list[np.ndarray] = []
        self.solved: list[Solved] = []

    @property
    def waiting(self) -> int:
        """People whose bodies are not written yet."""
        return sum(map(len, self.rows))

    def add(self, person: np.ndarray, solved: Solved) -> None:
        """Take the bodies of some people (B,)."""
        self.rows.append(person)
        self.solved.append(solved)

    def write(self, skipped: Iterable[tuple[str, str, int, str]], *, last: bool = False) -> None:
        """Write a part of all that waits and of all whose reason is known.

        Args:
            skipped: (dataset, image_path, annotation_id, reason) of everybody whom the loader has left out so far.
            last: whether nobody comes any more: whoever is still missing gets a reason.
        """
        for _, path, number, reason in skipped:
            self.reason[self.place[path, number]] = reason
        annotated = np.concatenate([np.zeros(0, np.int64), *self.rows])
        self.reason[annotated] = None
        if last:
            lost = self.open & np.array([reason is None for reason in self.reason], bool)
            lost[annotated] = False
            self.reason[lost] = LOST
        missed = np.flatnonzero(self.open & np.array([reason is not None for reason in self.reason], bool))
        part = np.sort(np.concatenate((annotated, missed)))
        if len(part):
            some = self.people.rows(part)
            some.reason[:] = self.reason[part]
            body, prior = self.network.body, self.network.prior
            columns = rows(
                some, np.searchsorted(part, annotated), self._joined(), keypoints=some.keypoints, body_model=body.kind, gender=body.gender,
                prior=None if prior is None else prior.version, method=self.method, weights_sha256=self.network.sha256,
                quality=self.quality,
            )  # fmt: skip
            self.store.write_part(record_table(columns))
            self.open[part] = False
        self.rows, self.solved = [], []

    def _joined(self) -> Solved | None:
        if not self.solved:
            return None
        columns: dict[str, Any] = {}
        for name, values in zip(Solved._fields, zip(*self.solved, strict=True), strict=True):
            columns[name] = None if values[0] is None else np.concatenate(values)
        return Solved(**columns)
