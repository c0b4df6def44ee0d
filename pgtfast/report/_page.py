"""The page: what was read and drawn, laid out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.metadata import version
from typing import Any

import jinja2
from markupsafe import Markup

from ._axes import Plot, axis_name, number
from ._compare import Comparison
from ._pictures import PANEL, Photos
from ._statistics import Statistics
from ._store import Run
from ._summary import Summary

GENERATOR = "pgtfast.report"
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
    sections = [_section("numbers", f"Numbers{whose}", "numbers", _numbers(content))]
    if content.comparison is not None:
        sections.append(_section("against", "A against B", "against", _against(content, content.comparison)))
    sections += [
        _section(title.lower().replace(" ", "-"), title + whose, "plots", found)
        for title, found in content.plots.items()
        if found
    ]
    people = people_data(held)
    sections.append(_section("people", f"People{whose}", "people", _people(held, people["columns"])))
    if content.cut is not None:
        sections.append(_section("cut", f"The cut{whose}", "cut", _cut(held, content.cut)))
    sections.append(_section("pictures", f"Pictures{whose}", "pictures", content.sheets))
    runs = [held.run] if content.comparison is None else [content.comparison.first, content.comparison.second]
    sections.append(_section("config", "Config and versions", "config", _configs(runs)))
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_file("page.html.j2")).render(
        title=f"{held.run.folder.resolve().name} – pseudo-ground-truths",
        generator=GENERATOR,
        version=version("pgtfast"),
        css=_file("page.css"),
        js=_file("page.js"),
        runs=[_about(letter, run) for letter, run in zip("AB", runs, strict=False)],
        sections=sections,
        photos=content.photos,
        cards=_cards,
        panel=PANEL,
        pair=_PAIR,
        sample=held.sample.count,
        summary=_json(summary_of(content)),
        people_data=_json(people),
    )


def _section(key: str, label: str, kind: str, view: Any) -> dict[str, Any]:
    """One part of the page: `kind` is the template's macro that shows the view."""
    return {"key": key, "label": label, "kind": kind, "view": view}


def _file(name: str) -> str:
    return (resources.files("pgtfast.report") / name).read_text(encoding="utf-8")


def _json(value: Any) -> Markup:
    """JSON in the page, safe whatever the strings in it are."""
    content = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        content = content.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(content)


def summary_of(content: Content) -> dict[str, Any]:
    """The page's numbers, for programs."""
    held = content.summary
    told: dict[str, Any] = {
        "people": held.people,
        "valid": held.valid.people,
        "skipped": dict(held.reasons),
        "metrics": held.valid.summary(),
        "joint_spread_deg": [round(float(v), 3) for v in held.rotations.spread_deg()],
    }
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
            **found.found,
            "distance_mm": found.distance.mean,
            "aligned_mm": found.aligned.mean,
            "axes_mm": [float(v) for v in found.axes / found.number],
            "joints_mm": [float(v) for v in found.joints / found.number],
            "turned": found.turned,
            "metrics": [side.summary() for side in found.statistics],
        }
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


# ---- what each section shows


def _about(letter: str, run: Run) -> dict[str, Any]:
    when = run.told.get("finished_at") or ""
    what = f"{run.config.get('command', 'run')} of {run.config.get('dataset', 'unknown')}"
    about = f"{run.folder}: {what}{', finished ' + when if when else ''}"
    return {"letter": letter, "folder": run.folder, "about": about, "finished": bool(run.told.get("finished"))}


def _numbers(content: Content) -> dict[str, Any]:
    held = content.summary
    valid, people = held.valid.people, held.people
    rates = held.run.told.get("rates") or {}
    tiles = [
        (f"{people:,}", "people"),
        (f"{valid:,}", f"with a body ({_fraction(valid, people)})"),
        (f"{people - valid:,}", "skipped"),
    ]
    for column, what in (
        ("quality", "mean quality"),
        ("reprojection_px", "mean keypoint error, px"),
        ("reprojection_rel", "mean keypoint error, % of the box"),
    ):
        mean = held.valid.histograms[column].mean
        if mean is not None:
            tiles.append((number(mean), what))
    if rates.get("people_per_second"):
        where = held.run.told.get("device", "?")
        tiles.append((number(rates["people_per_second"]), f"people/s in the last session, on {where}"))
    metrics = []
    for metric in held.valid.metrics:
        values = held.valid.histograms[metric.column]
        if values.number:
            cells = (values.mean, *(values.quantile(q) for q in (0.1, 0.5, 0.9, 0.99)))
            metrics.append((axis_name(metric), f"{values.number:,}", *(number(cell) for cell in cells)))
    reasons = [
        (code, f"{count:,}", _fraction(count, people), held.examples[code])
        for code, count in held.reasons.most_common()
    ]
    return {"tiles": tiles, "metrics": metrics, "reasons": reasons}


def _sides(first: Statistics, second: Statistics, names: tuple[str, str], change: str) -> dict[str, Any]:
    """Means and medians of two groups, and the difference of the means."""
    rows = []
    for metric in first.metrics:
        one, two = first.histograms[metric.column], second.histograms[metric.column]
        if one.number or two.number:
            difference = "–" if one.mean is None or two.mean is None else _signed(two.mean - one.mean)
            medians = number(one.quantile(0.5)), number(two.quantile(0.5))
            rows.append((axis_name(metric), number(one.mean), number(two.mean), difference, *medians))
    return {"names": names, "change": change, "rows": rows}


def _signed(value: float) -> str:
    return ("+" if value > 0 else "−" if value < 0 else "") + number(abs(value))


def _fraction(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _against(content: Content, found: Comparison) -> dict[str, Any]:
    counts, total = found.found, found.number
    x, y, z = found.axes / total
    tiles = [
        (f"{total:,}", "people with a body in both"),
        (number(found.distance.mean), "mm between joints, pelvis on pelvis"),
        (number(found.aligned.mean), "mm after the best similarity"),
        (f"{number(x)} / {number(y)} / {number(z)}", "mm right / down / in depth"),
        (f"{found.turned:,}", f"face ways more than 90° apart ({_fraction(found.turned, total)})"),
    ]
    note = (
        f"A body in A alone: {counts['first']:,}; in B alone: {counts['second']:,}; in neither: {counts['neither']:,}. "
        f"No row in A: {counts['absent_first']:,}, in B: {counts['absent_second']:,}. People are matched "
        "by dataset, image and annotation id."
    )
    kinds = {run.config.get("body", {}).get("kind") for run in (found.first, found.second)}
    if len(kinds) > 1:
        told = ", ".join(map(str, kinds))
        note += (
            f" The two runs have bodies of different models ({told}), whose joints do not lie at quite the same places."
        )
    sides = _sides(*found.statistics, ("A", "B"), "B − A")
    return {"tiles": tiles, "note": note, "sides": sides, "plots": content.pair_plots, "sheets": content.pair_sheets}


def _cut(held: Summary, cut: float) -> dict[str, Any]:
    scored = held.kept.people + held.dropped.people
    tiles = [
        (f"{held.kept.people:,}", f"kept: quality {cut:g} and more ({_fraction(held.kept.people, scored)})"),
        (f"{held.dropped.people:,}", f"below ({_fraction(held.dropped.people, scored)})"),
    ]
    if held.valid.people > scored:
        tiles.append((f"{held.valid.people - scored:,}", "without a quality: on neither side"))
    return {"tiles": tiles, "sides": _sides(held.kept, held.dropped, ("kept", "below"), "below − kept")}


def _people(held: Summary, columns: list[dict[str, str]]) -> dict[str, Any]:
    """Filters and the head of the list, which the page's script fills."""
    titles = [("image", "image", True), ("id", "annotation", False)]
    titles += [(c["name"], f"{c['title']} ({c['unit']})" if c["unit"] else c["title"], False) for c in columns]
    return {
        "has_quality": held.valid.histograms["quality"].number > 0,
        "has_error": held.valid.histograms["reprojection_rel"].number > 0,
        "has_columns": bool(columns),
        "states": [("", "all"), ("valid", "with a body"), ("skipped", "skipped")]
        + [(code, f"skipped: {code}") for code in held.reasons],
        "titles": [*titles, ("reason", "skipped because", True)],
    }


def _cards(sheet: ContactSheet, pairs: bool) -> Iterator[dict[str, Any]]:
    """The people of a sheet."""
    for row, uris in zip(sheet.rows, sheet.pictures, strict=True):
        scores, error = _scores(row), row["reprojection_rel"]
        if pairs:
            scores = f"{row['mm']:.0f} mm apart ({row['pa_mm']:.0f} aligned). A: {scores}. B: {_scores(row['other'])}"
        yield {
            "who": f"{row['image_path'] or 'no image name'}, annotation {row['annotation_id']}",
            "uris": uris,
            "scores": scores,
            "text": f"{row['dataset']} {row['image_path']} {row['annotation_id']}",
            "quality": "" if row["quality"] is None else row["quality"],
            "error": "" if error is None else 100 * error,
        }


def _scores(row: dict) -> str:
    told = [] if row["quality"] is None else [f"quality {row['quality']:.2f}"]
    if row["reprojection_px"] is not None and row["reprojection_rel"] is not None:
        told.append(f"{row['reprojection_px']:.1f} px ({100 * row['reprojection_rel']:.1f} % of the box)")
    return ", ".join(told) or "not scored"


def _configs(runs: Sequence[Run]) -> dict[str, Any]:
    """What the runs say of themselves, key by key."""
    told = ("versions", "device", "threads", "counts", "rates", "mean")
    flat = [_flat({**{key: run.told.get(key) for key in told}, "config": run.config}) for run in runs]
    keys = dict.fromkeys(key for one in flat for key in one)
    rows = [(key, [one.get(key, "–") for one in flat]) for key in keys]
    return {"runs": [str(run.folder) for run in runs], "rows": rows}


def _flat(value: Any, name: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        return {
            k: v for key, inner in value.items() for k, v in _flat(inner, f"{name}.{key}" if name else str(key)).items()
        }
    return {name: str(value)}
