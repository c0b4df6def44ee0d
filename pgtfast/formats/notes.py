"""What a conversion has to tell: what was ignored, omitted, approximated or not matched."""

from __future__ import annotations

from collections.abc import Iterable

NAMED = 3
"""So many of the people or rows that a note counts are named."""


class Notes:
    """Counts by what there is to tell, with the first few named; nothing is printed before the end."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, list[str]] = {}
        self._worst: dict[str, float] = {}
        self.lost = 0
        """Bodies of the file that belong to nobody; the conversion does not count as complete."""

    def count(self, what: str, number: int = 1, first: Iterable[str] = ()) -> None:
        """Add to a count.

        Args:
            what: the note; `{n}` in it becomes the count.
            number: people, rows or entries.
            first: names of some of them.
        """
        if number:
            self._counts[what] = self._counts.get(what, 0) + number
            named = self._first.setdefault(what, [])
            named.extend(name for name, _ in zip(first, range(NAMED - len(named)), strict=False))

    def worst(self, what: str, value: float) -> None:
        """Keep the largest of the values given; `{n}` in `what` becomes it."""
        self._worst[what] = max(self._worst.get(what, value), value)

    def lines(self) -> list[str]:
        """One line a note."""
        out = []
        for what, number in self._counts.items():
            named = ", ".join(self._first[what])
            more = ", ..." if 0 < len(self._first[what]) < number else ""
            out.append(what.replace("{n}", f"{number}") + (f"; first: {named}{more}" if named else ""))
        out += [what.replace("{n}", f"{value:.3g}") for what, value in self._worst.items()]
        return out
