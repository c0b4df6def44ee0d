"""Pieces of HTML: everything that comes from files is escaped here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from ._axes import Plot


def tag(name: str, content: str = "", **attributes: object) -> str:
    """An element of content that is HTML already; attributes are escaped, `class_` is class, None leaves one out."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{told}>{content}</{name}>"


def text(value: object) -> str:
    """Any value as text."""
    return escape(str(value))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: Sequence[int] = (0,)) -> str:
    """A table of cells that are HTML already.

    Args:
        head: titles.
        rows: of as many cells.
        words: columns of words, which are laid left.
    """
    kind = ["text" if at in words else None for at in range(len(head))]
    top = tag("tr", "".join(tag("th", cell, class_=k) for cell, k in zip(head, kind, strict=True)))
    body = "".join(
        tag("tr", "".join(tag("td", cell, class_=k) for cell, k in zip(row, kind, strict=True))) for row in rows
    )
    return tag("div", tag("table", tag("thead", top) + tag("tbody", body)), class_="wide panel")


def tiles(values: Iterable[tuple[str, str]]) -> str:
    """Large numbers: (number, what it is)."""
    return tag(
        "div",
        "".join(tag("div", tag("b", text(n)) + tag("span", text(what)), class_="tile") for n, what in values),
        class_="tiles",
    )


def plots(found: Iterable[Plot]) -> str:
    """Plots in a grid."""
    return tag("div", "".join(
        tag("figure", tag("figcaption", text(plot.title)) + f'<img src="{plot.uri}" alt="{escape(plot.alt)}">'
            + (tag("div", text(plot.note), class_="soft") if plot.note else ""), class_="plot")
        for plot in found), class_="plots")  # fmt: skip


def image(uri: str, alt: str, kind: str, size: tuple[int, int]) -> str:
    """A picture; `kind` is its class."""
    return f'<img class="{kind}" src="{uri}" alt="{escape(alt)}" width="{size[0]}" height="{size[1]}" loading="lazy">'


def data(name: str, value: Any) -> str:
    """JSON in the page, safe whatever the strings in it are."""
    content = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        content = content.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="{name}">{content}</script>'
