"""A report: one or two runs in, a page or a recording out."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from .._errors import PgtfastError
from ..body import BodyModel
from ..files.atomic import replacing
from ..visuals.render import MeshRenderer
from ._compare import Comparison, compare
from ._config import ReportConfig, ReportResult
from ._page import GENERATOR, ContactSheet, Content, page
from ._pair_plots import pair_plots
from ._pictures import PANEL, Photos, person_pictures
from ._plots import run_plots
from ._store import Run, bodies_of, open_run
from ._summary import Summary, median_rows, summarise

PAGE = "index.html"


def run(config: ReportConfig) -> ReportResult:
    """Report; arguments and errors of :func:`pgtfast.report.report`."""
    runs = [open_run(folder) for folder in (config.run, config.against) if folder is not None]
    bodies = bodies_of(runs, config.body)
    photos = Photos(image_folder(runs[0], config.images), exif=bool(runs[0].config.get("exif")))
    viewing = config.viewer or config.rrd is not None
    if viewing:
        from ._viewer import show

        show(runs, bodies, photos, images=config.viewer_images, file=config.rrd)
    if viewing and config.out is None:
        return ReportResult(page=None, people=runs[0].rows)
    out = config.out if config.out is not None else runs[0].folder / "report"
    target = _target(out)
    started = time.perf_counter()
    content = read(runs, bodies, photos, config)
    draw(content, bodies)
    _write(target, page(content))
    for name, why in list(photos.problems.items())[:5]:
        print(f"no image: {name}: {why}", file=sys.stderr)
    if len(photos.problems) > 5:
        print(f"no image for {len(photos.problems) - 5} more people", file=sys.stderr)
    size = target.stat().st_size / 1e6
    people = content.summary.people
    print(f"{target}: {people} people, {size:.1f} MB, in {time.perf_counter() - started:.1f} s")
    return ReportResult(page=target, people=people)


def image_folder(run: Run, given: Path | None) -> Path | None:
    """The folder of the photos: the one given, else the one that run.json names where it is on this machine.

    Raises:
        PgtfastError: the one given is not there.
    """
    if given is not None:
        if not given.is_dir():
            raise PgtfastError(f"--images {given}: no such folder")
        return given
    told = run.told.get("images")
    return Path(told) if isinstance(told, str) and Path(told).is_dir() else None


def read(runs: list[Run], bodies: list[BodyModel], photos: Photos, config: ReportConfig) -> Content:
    """All numbers and plots of a page, and who is to be drawn."""
    count, cut = config.people, config.min_quality
    held = summarise(runs[0], sample=config.sample, pictures=count, cut=cut)
    plots = run_plots(held, bodies[0], cut)
    if len(runs) == 1:
        return Content(held, cut, plots, _sheets(held, count, cut), photos)
    found = compare(runs[0], runs[1], (bodies[0], bodies[1]), sample=config.sample, pictures=count)
    return Content(
        held, cut, plots, _sheets(held, count, cut), photos, comparison=found, pair_plots=pair_plots(found, bodies[0]),
        pair_sheets=_pair_sheets(found, count),
    )  # fmt: skip


def _sheets(held: Summary, count: int, cut: float | None) -> list[ContactSheet]:
    if not held.valid.histograms["quality"].number:
        some = [row for row in held.sample.rows() if row["valid"]][:count]
        return [ContactSheet("People", "Nobody has a quality to rank by: these are drawn by chance.", some)]
    once = "at most one an image"
    sheets = [
        ContactSheet("Best", f"highest quality, {once}", held.best.rows()),
        ContactSheet("Median", f"nearest the median quality, {once}", median_rows(held, count)),
        ContactSheet("Worst", f"lowest quality, {once}", held.worst.rows()),
    ]
    if cut is not None:
        sheets += [
            ContactSheet("Just kept", f"quality {cut:g} and little more", held.above.rows()),
            ContactSheet("Just below the cut", f"quality little less than {cut:g}", held.below.rows()),
        ]
    return sheets


def _pair_sheets(found: Comparison, count: int) -> list[ContactSheet]:
    what = "photo and keypoints; A from the camera and from the side; B likewise"
    return [
        ContactSheet("A and B farthest apart", f"joints, pelvis on pelvis; {what}", found.most.rows()),
        ContactSheet("At the median distance", what, found.median_rows(count)),
        ContactSheet("Nearest", what, found.least.rows()),
    ]


def draw(content: Content, bodies: list[BodyModel]) -> None:
    """Fill the sheets with pictures."""
    from tqdm import tqdm

    total = sum(len(sheet.rows) for sheet in (*content.sheets, *content.pair_sheets))
    with tqdm(total=total, unit="people", desc="draw", disable=None) as bar, MeshRenderer(PANEL) as renderer:
        for sheet, pairs in [(s, False) for s in content.sheets] + [(s, True) for s in content.pair_sheets]:
            sets = [(sheet.rows, bodies[0])]
            if pairs:
                sets.append(([row["other"] for row in sheet.rows], bodies[1]))
            for pictures in person_pictures(sheet.rows, sets, content.photos, renderer):
                sheet.pictures.append(pictures)
                bar.update()


def _target(folder: Path) -> Path:
    """The page's file; one that is no page of ours is not overwritten."""
    target = folder / PAGE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if target.exists():
            with open(target, encoding="utf-8", errors="replace") as file:
                if f'content="{GENERATOR}"' not in file.read(2000):
                    raise PgtfastError(f"{target}: is there and no page of this command; choose another --out")
    except OSError as error:
        raise PgtfastError(
            f"--out {folder}: cannot be written ({error.strerror}); choose a folder that you may write to"
        ) from error
    return target


def _write(target: Path, content: str) -> None:
    if target.exists():
        print(f"{target}: replaced")
    try:
        with replacing(target) as partial:
            partial.write_text(content, encoding="utf-8")
    except OSError as error:
        raise PgtfastError(f"{target}: cannot be written ({error.strerror or error})") from error
