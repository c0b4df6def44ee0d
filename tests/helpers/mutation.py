"""JSON files of people, damaged at random."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

from hypothesis import strategies as st

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**20),
    st.floats(),
    st.text(max_size=4),
    st.lists(st.integers(0, 3), max_size=4),
    st.just({}),
)
"""What a value may become."""


def mutated(draw: Callable, content: dict) -> str:
    """The file as text, with one to three values replaced or keys lost; one in ten is cut short as well."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        entry = draw(st.sampled_from(content[draw(st.sampled_from(("images", "annotations", "categories")))]))
        name = draw(st.sampled_from(sorted(entry)))
        if isinstance(entry[name], list) and entry[name] and draw(st.booleans()):
            entry[name][draw(st.integers(0, len(entry[name]) - 1))] = draw(ODD)
        elif draw(st.booleans()):
            entry[name] = draw(ODD)
        elif len(entry) > 1:
            del entry[name]
    text = json.dumps(content)
    return text[: draw(st.integers(0, len(text) - 1))] if draw(st.integers(0, 9)) == 0 else text
