"""A report: one or two runs in, a page or a recording out."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from .._errors import PgtfastError
from ..body import BodyModel
from ..files.atomic import replacing
from ..visuals.render import MeshRenderer
from ._compare import Comparison, compare
from ._page import GENERATOR, Content, Sheet, page
from ._pair_plots import pair_plots
from ._pictures import PANEL, Photos, person_pictures
from ._plots import run_plots
from ._store import Run, bodies_of, open_run
from ._survey import Survey, median_rows, survey

PAGE = "index.html"


def run(options: argparse.Namespace) -> None:
    """Do all that the command line asks; raises PgtfastError on bad input."""
    runs = [open_run(folder) for folder in (options.run, options.against) if folder is not None]
    bodies = bodies_of(runs, options.body)
    photos = Photos(image_folder(runs[0], options.images), exif=bool(runs[0].config.get("exif")))
    viewing = options.viewer or options.rrd is not None
    if viewing:
        from ._viewer import show

        show(runs, bodies, photos, images=options.viewer_images, file=options.rrd)
    if viewing and options.out is None:
        return
    out = Path(options.out) if options.out is not None else runs[0].folder / "report"
    target = _target(out)
    started = time.perf_counter()
    content = read(runs, bodies, photos, options)
    draw(content, bodies)
    _write(target, page(content))
    for name, why in list(photos.problems.items())[:5]:
        print(f"no photo: {name}: {why}", file=sys.stderr)
    if len(photos.problems) > 5:
        print(f"no photo for {len(photos.problems) - 5} more images", file=sys.stderr)
    size = target.stat().st_size / 1e6
    print(f"{target}: {content.survey.people} people, {size:.1f} MB, in {time.perf_counter() - started:.1f} s")


def image_folder(run: Run, given: str | None) -> Path | None:
    """The folder of the photos: the one given, else the one that run.json names where it is on this machine.

    Raises:
        PgtfastError: the one given is not there.
    """
    if given is not None:
        if not Path(given).is_dir():
            raise PgtfastError(f"--images {given}: no such folder")
        return Path(given)
    told = run.told.get("images")
    return Path(told) if isinstance(told, str) and Path(told).is_dir() else None


def read(runs: list[Run], bodies: list[BodyModel], photos: Photos, options: argparse.Namespace) -> Content:
    """All numbers and plots of a page, and who is to be drawn."""
    count, cut = options.people, options.min_quality
    held = survey(runs[0], sample=options.sample, pictures=count, cut=cut)
    plots = run_plots(held, bodies[0], cut)
    if len(runs) == 1:
        return Content(held, cut, plots, _sheets(held, count, cut), photos)
    found = compare(runs[0], runs[1], (bodies[0], bodies[1]), sample=options.sample, pictures=count)
    return Content(
        held, cut, plots, _sheets(held, count, cut), photos, comparison=found, pair_plots=pair_plots(found, bodies[0]),
        pair_sheets=_pair_sheets(found, count),
    )  # fmt: skip


def _sheets(held: Survey, count: int, cut: float | None) -> list[Sheet]:
    if not held.valid.histograms["quality"].number:
        some = [row for row in held.sample.rows() if row["valid"]][:count]
        return [Sheet("People", "Nobody has a quality to rank by: these are drawn by chance.", some)]
    once = "at most one an image"
    sheets = [
        Sheet("Best", f"highest quality, {once}", held.best.rows()),
        Sheet("Median", f"nearest the median quality, {once}", median_rows(held, count)),
        Sheet("Worst", f"lowest quality, {once}", held.worst.rows()),
    ]
    if cut is not None:
        sheets += [
            Sheet("Just kept", f"quality {cut:g} and little more", held.above.rows()),
            Sheet("Just below the cut", f"quality little less than {cut:g}", held.below.rows()),
        ]
    return sheets


def _pair_sheets(found: Comparison, count: int) -> list[Sheet]:
    what = "photo and keypoints; A from the camera and from the side; B likewise"
    return [
        Sheet("A and B farthest apart", f"joints, pelvis on pelvis; {what}", found.most.rows()),
        Sheet("At the median distance", what, found.median_rows(count)),
        Sheet("Nearest", what, found.least.rows()),
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
