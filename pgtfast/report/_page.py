"""The page: what was read and drawn, laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.metadata import version
from typing import Any

from . import _html as html
from ._axes import Plot, axis_name, number
from ._compare import Comparison
from ._pictures import PANEL, Photos
from ._statistics import Statistics
from ._store import Run
from ._summary import Summary

GENERATOR = "pgtfast.report"
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_PAIR = (2 * PANEL[0] + 6, PANEL[1])


@dataclass(frozen=True, eq=False)
class ContactSheet:
    """People of one kind with their pictures."""

    title: str
    note: str
    rows: list[dict]
    pictures: list[tuple[str, ...]] = field(default_factory=list)
    """Data URIs of each: photo, then camera and side of each set of bodies."""


@dataclass(frozen=True, eq=False)
class Content:
    """What a page shows."""

    summary: Summary
    cut: float | None
    plots: dict[str, list[Plot]]
    sheets: list[ContactSheet]
    photos: Photos
    comparison: Comparison | None = None
    pair_plots: list[Plot] = field(default_factory=list)
    pair_sheets: list[ContactSheet] = field(default_factory=list)


def page(content: Content) -> str:
    """The whole page as HTML that asks the network for nothing."""
    held = content.summary
    whose = "" if content.comparison is None else " of A"
    sections = [("numbers", f"Numbers{whose}", _numbers(content))]
    if content.comparison is not None:
        sections.append(("against", "A against B", _against(content)))
    sections += [
        (title.lower().replace(" ", "-"), title + whose, html.plots(found))
        for title, found in content.plots.items()
        if found
    ]
    sections.append(("people", f"People{whose}", _people(content)))
    if content.cut is not None:
        sections.append(("cut", f"The cut{whose}", _cut(content, content.cut)))
    sections.append(
        ("pictures", f"Pictures{whose}", _photo_note(content) + "".join(_sheet(sheet) for sheet in content.sheets))
    )
    sections.append(("config", "Config and versions", _configs(content)))
    name = held.run.folder.resolve().name
    title = f"{name} – pseudo-ground-truths"
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="generator" content="{GENERATOR}"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        + html.tag("title", html.text(title)) + html.tag("style", _file("page.css"))
    )  # fmt: skip
    top = html.tag("header", html.tag("h1", html.text(title)) + _runs(content))
    links = html.tag(
        "nav", html.tag("div", "".join(html.tag("a", html.text(label), href=f"#{key}") for key, label, _ in sections))
    )
    body = html.tag("main", "".join(html.tag("section", html.tag("h2", html.text(label)) + inner, id=key) for key, label, inner in sections))  # fmt: skip
    foot = html.tag("footer", html.tag("p", f"pgtfast {html.text(version('pgtfast'))}. Numbers and histograms are of all people, quantiles within 1 %; "
        f"scatter plots, heights and the list are of at most {held.sample.count:,} people, drawn by chance.", class_="soft"))  # fmt: skip
    summary = html.data("summary-data", summary_of(content))
    scripts = html.data("people-data", people_data(held)) + f"<script>{_file('page.js')}</script>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{top}{links}{body}{foot}{summary}{scripts}</body></html>\n'


def _file(name: str) -> str:
    return (resources.files("pgtfast.report") / name).read_text(encoding="utf-8")


def summary_of(content: Content) -> dict[str, Any]:
    """The page's numbers, for programs."""
    held = content.summary
    told: dict[str, Any] = {
        "people": held.people, "valid": held.valid.people, "skipped": dict(held.reasons), "metrics": held.valid.summary(),
        "joint_spread_deg": [round(float(v), 3) for v in held.rotations.spread_deg()],
    }  # fmt: skip
    if content.cut is not None:
        told["cut"] = {
            "min_quality": content.cut,
            **{
                name: {"people": side.people, "metrics": side.summary()}
                for name, side in (("kept", held.kept), ("dropped", held.dropped))
            },
        }
    found = content.comparison
    if found is not None:
        told["against"] = {
            **found.found, "distance_mm": found.distance.mean, "aligned_mm": found.aligned.mean,
            "axes_mm": [float(v) for v in found.axes / found.number], "joints_mm": [float(v) for v in found.joints / found.number],
            "turned": found.turned, "metrics": [side.summary() for side in found.statistics],
        }  # fmt: skip
    return told


def people_data(held: Summary) -> dict[str, Any]:
    """The sample as the page's script reads it."""
    rows = held.sample.rows()
    columns = [metric for metric in held.metrics if any(row[metric.column] is not None for row in rows)]
    return {
        "total": held.people,
        "columns": [{"name": metric.column, "title": metric.title, "unit": metric.unit} for metric in columns],
        "values": [
            [None if row[metric.column] is None else float(f"{row[metric.column] * metric.scale:.5g}") for row in rows]
            for metric in columns
        ],
        "people": [
            [row["image_path"] or "", row["annotation_id"], row["dataset"], "" if row["valid"] else _code(row)]
            for row in rows
        ],
    }


def _code(row: dict) -> str:
    return (row["reason"] or "no reason").partition(":")[0]


# ---- sections


def _runs_of(content: Content) -> list[Run]:
    found = content.comparison
    return [content.summary.run] if found is None else [found.first, found.second]


def _runs(content: Content) -> str:
    lines = []
    for letter, run in zip("ab", _runs_of(content), strict=False):
        what = f"{run.config.get('command', 'run')} of {run.config.get('dataset', 'unknown')}"
        when = run.told.get("finished_at") or ""
        name = html.tag("b", letter.upper() + " ", class_=letter) if content.comparison is not None else ""
        lines.append(
            html.tag(
                "p", name + html.text(f"{run.folder}: {what}{', finished ' + when if when else ''}"), class_="soft"
            )
        )
        if not run.told.get("finished"):
            lines.append(
                html.tag("p", html.text(f"{run.folder} is not finished: this is what it holds so far."), class_="warn")
            )
    return "".join(lines)


def _numbers(content: Content) -> str:
    held = content.summary
    valid, people = held.valid.people, held.people
    rates = held.run.told.get("rates") or {}
    found = [
        (f"{people:,}", "people"),
        (f"{valid:,}", f"with a body ({_share(valid, people)})"),
        (f"{people - valid:,}", "skipped"),
    ]
    for column, what in (("quality", "mean quality"), ("reprojection_px", "mean keypoint error, px"), ("reprojection_rel", "mean keypoint error, % of the box")):  # fmt: skip
        mean = held.valid.histograms[column].mean
        if mean is not None:
            found.append((number(mean), what))
    if rates.get("people_per_second"):
        found.append(
            (number(rates["people_per_second"]), f"people/s in the last session, on {held.run.told.get('device', '?')}")
        )
    parts = [html.tiles(found), _metric_table(held.valid)]
    if held.reasons:
        rows = [
            (html.text(code), f"{count:,}", _share(count, people), html.text(held.examples[code]))
            for code, count in held.reasons.most_common()
        ]
        parts += [
            html.tag("h3", "Skipped"),
            html.table(("reason", "people", "of all", "for example"), rows, words=(0, 3)),
        ]
    return "".join(parts)


def _metric_table(side: Statistics) -> str:
    rows = []
    for metric in side.metrics:
        held = side.histograms[metric.column]
        if held.number:
            cells = (held.mean, *(held.quantile(q) for q in (0.1, 0.5, 0.9, 0.99)))
            rows.append((html.text(axis_name(metric)), f"{held.number:,}", *(number(cell) for cell in cells)))
    return (
        html.table(("of people with a body", "people", "mean", "10 %", "median", "90 %", "99 %"), rows) if rows else ""
    )


def _side_table(first: Statistics, second: Statistics, names: tuple[str, str], *, third: str) -> str:
    """Means and medians of two groups; with `third` also the difference of the means."""
    rows = []
    for metric in first.metrics:
        one, two = first.histograms[metric.column], second.histograms[metric.column]
        if one.number or two.number:
            change = "–" if one.mean is None or two.mean is None else _signed(two.mean - one.mean)
            rows.append(
                (html.text(axis_name(metric)), number(one.mean), number(two.mean), change, number(one.quantile(0.5)), number(two.quantile(0.5)))
            )  # fmt: skip
    a, b = (html.text(name) for name in names)
    return (
        html.table(("metric", f"mean, {a}", f"mean, {b}", third, f"median, {a}", f"median, {b}"), rows) if rows else ""
    )


def _signed(value: float) -> str:
    return ("+" if value > 0 else "−" if value < 0 else "") + number(abs(value))


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _against(content: Content) -> str:
    found = content.comparison
    assert found is not None
    counts = found.found
    total = found.number
    x, y, z = found.axes / total
    tiles = html.tiles(
        [
            (f"{total:,}", "people with a body in both"), (number(found.distance.mean), "mm between joints, pelvis on pelvis"),
            (number(found.aligned.mean), "mm after the best similarity"), (f"{number(x)} / {number(y)} / {number(z)}", "mm right / down / in depth"),
            (f"{found.turned:,}", f"face ways more than 90° apart ({_share(found.turned, total)})"),
        ]
    )  # fmt: skip
    rest = (
        f"A body in A alone: {counts['first']:,}; in B alone: {counts['second']:,}; in neither: {counts['neither']:,}. No row in A: "
        f"{counts['absent_first']:,}, in B: {counts['absent_second']:,}. People are matched by dataset, image and annotation id."
    )
    kinds = {run.config.get("body", {}).get("kind") for run in (found.first, found.second)}
    if len(kinds) > 1:
        rest += f" The two runs have bodies of different models ({', '.join(map(str, kinds))}), whose joints do not lie at quite the same places."
    same = _side_table(found.statistics[0], found.statistics[1], ("A", "B"), third="B − A")
    sheets = _photo_note(content) + "".join(_sheet(sheet, pairs=True) for sheet in content.pair_sheets)
    return (
        tiles + html.tag("p", html.text(rest), class_="soft") + (html.tag("h3", "On the same people") + same if same else "")
        + html.plots(content.pair_plots) + sheets
    )  # fmt: skip


def _cut(content: Content, cut: float) -> str:
    held = content.summary
    scored = held.kept.people + held.dropped.people
    unknown = held.valid.people - scored
    told = [
        (f"{held.kept.people:,}", f"kept: quality {cut:g} and more ({_share(held.kept.people, scored)})"),
        (f"{held.dropped.people:,}", f"below ({_share(held.dropped.people, scored)})"),
    ]
    if unknown:
        told.append((f"{unknown:,}", "without a quality: on neither side"))
    return html.tiles(told) + _side_table(held.kept, held.dropped, ("kept", "below"), third="below − kept")


def _people(content: Content) -> str:
    held = content.summary
    scored = held.valid.histograms
    columns = people_data(held)["columns"]
    filters = []
    if scored["quality"].number:
        filters.append('<label>Quality at least <output id="out-quality"></output><input type="range" id="filter-quality" min="0" max="1" step="0.01" value="0"></label>')  # fmt: skip
    if scored["reprojection_rel"].number:
        filters.append('<label>Keypoint error at most <output id="out-error"></output><input type="range" id="filter-error" min="0" max="100" step="0.1" value="100"></label>')  # fmt: skip
    options = [
        ("", "all"),
        ("valid", "with a body"),
        ("skipped", "skipped"),
        *((code, f"skipped: {code}") for code in held.reasons),
    ]
    choices = "".join(html.tag("option", html.text(label), value=value) for value, label in options)
    filters += [
        html.tag("label", "State " + html.tag("select", choices, id="filter-reason")),
        '<label>Dataset, image or id <input type="search" id="filter-text" placeholder="contains"></label>',
        '<button type="button" id="filter-clear">Show all</button>',
    ]
    titles = [("image", "image", "text"), ("id", "annotation", None)]
    titles += [(c["name"], f"{c['title']} ({c['unit']})" if c["unit"] else c["title"], None) for c in columns]
    titles.append(("reason", "skipped because", "text"))
    head = "".join(
        html.tag("th", html.tag("button", html.text(title), type="button", data_by=key, data_title=title), class_=kind)
        for key, title, kind in titles
    )
    listing = html.tag("table", html.tag("thead", html.tag("tr", head)) + '<tbody id="list-body"></tbody>')
    axes = 'Across <select id="axis-x" aria-label="horizontal axis"></select> up <select id="axis-y" aria-label="vertical axis"></select>'
    scatter = '<canvas id="scatter" role="img" aria-label="Scatter plot of the people of the sample on the two chosen metrics; the list holds the same numbers"></canvas>'
    chosen = html.tag("div", html.tag("p", axes, class_="soft") + scatter, hidden=None if columns else "")
    return (
        html.tag("div", html.tag("div", "".join(filters), class_="filters") + '<p class="soft"><span id="count" aria-live="polite"></span>. '
            "Pictures of people whom the filters leave out are faded. <span id=\"list-note\"></span></p>"
            + html.tag("div", chosen + html.tag("div", listing, class_="list"), class_="explore")
            + '<p class="soft"><span id="picked">Click a dot or a line to see a person.</span> <button type="button" id="to-card" hidden>their picture</button></p>',
            class_="panel")
        + "<noscript><p class=\"warn\">The list and its filters need JavaScript; all else does not.</p></noscript>"
    )  # fmt: skip


def _photo_note(content: Content) -> str:
    photos = content.photos
    if photos.folder is None:
        return html.tag("p", "No photos: run.json names no folder of images; give it with --images DIR.", class_="warn")
    if not photos.problems:
        return ""
    some = "; ".join(f"{name}: {why}" for name, why in list(photos.problems.items())[:3])
    return html.tag("p", html.text(f"{len(photos.problems)} photos are not shown, for example {some}"), class_="warn")


def _sheet(sheet: ContactSheet, *, pairs: bool = False) -> str:
    cards = "".join(_card(row, uris, pairs) for row, uris in zip(sheet.rows, sheet.pictures, strict=True))
    head = html.tag("h3", html.text(sheet.title)) + (
        html.tag("p", html.text(sheet.note), class_="soft") if sheet.note else ""
    )
    if not cards:
        return head + html.tag("p", "Nobody.", class_="soft")
    return head + html.tag("div", cards, class_="cards pairs" if pairs else "cards")


def _card(row: dict, uris: Sequence[str], pairs: bool) -> str:
    who = f"{row['image_path'] or 'no image name'}, annotation {row['annotation_id']}"
    found = [html.image(uris[0], f"Photo and keypoints of {who}", "one", PANEL)]
    for letter, uri in zip(("A", "B"), uris[1:], strict=False):
        whose = f"Body of {letter}" if pairs else "Body"
        found.append(html.image(uri, f"{whose} over the photo of {who}, and from the side", "two", _PAIR))
    if pairs:
        told = f"{row['mm']:.0f} mm apart ({row['pa_mm']:.0f} aligned). A: {_scores(row)}. B: {_scores(row['other'])}"
    else:
        told = _scores(row)
    caption = html.tag("figcaption", html.tag("b", html.text(who)) + html.text(f": {told}"))
    error = row["reprojection_rel"]
    return html.tag(
        "figure", html.tag("div", "".join(found), class_="row") + caption, class_="card",
        data_text=f"{row['dataset']} {row['image_path']} {row['annotation_id']}", data_quality="" if row["quality"] is None else row["quality"],
        data_error="" if error is None else 100 * error,
    )  # fmt: skip


def _scores(row: dict) -> str:
    told = [] if row["quality"] is None else [f"quality {row['quality']:.2f}"]
    if row["reprojection_px"] is not None and row["reprojection_rel"] is not None:
        told.append(f"{row['reprojection_px']:.1f} px ({100 * row['reprojection_rel']:.1f} % of the box)")
    return ", ".join(told) or "not scored"


def _configs(content: Content) -> str:
    runs = _runs_of(content)
    flat = [_flat({**{k: run.told.get(k) for k in ("versions", "device", "threads", "counts", "rates", "mean")}, "config": run.config}) for run in runs]  # fmt: skip
    keys = list(dict.fromkeys(key for one in flat for key in one))
    rows = []
    for key in keys:
        values = [one.get(key, "–") for one in flat]
        differs = len(set(values)) > 1
        name = html.tag("b", html.text(key)) if differs else html.text(key)
        rows.append((name, *(html.text(value) for value in values)))
    head = ("key", *(html.text(run.folder) for run in runs))
    note = html.tag("p", "Keys in bold differ.", class_="soft") if len(runs) > 1 else ""
    return html.tag(
        "details",
        html.tag("summary", "What run.json says") + note + html.table(head, rows, words=range(len(head))),
        open="",
    )


def _flat(value: Any, name: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        return {
            k: v for key, inner in value.items() for k, v in _flat(inner, f"{name}.{key}" if name else str(key)).items()
        }
    return {name: str(value)}
