"""Read, match, check, write, and say what became of everybody."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from .._errors import PgtfastError
from ..body import BodyModel, load_body
from ..formats.bodies import PARTS, Bodies, joined, padded
from ..formats.notes import Notes
from ..formats.people_index import PeopleIndex, read_people
from ..formats.recamera import boxes_around
from ..formats.spin import is_fits
from ..images.bulk_source import leads_out
from ..images.sizes import read_image_size
from ._match import Matcher
from ._options import WORLD
from ._sources import format_of, read, together
from ._targets import NothingToWrite, Target, refuse_existing, target_of, write

_MIDDLE = ("cliff", "smplify-x")
"""Formats whose camera looks through the middle of the image."""
_SWITCH = 2e-4
"""Seconds that a thread keeps Python's lock while the other waits for it."""
_IN_FRONT = ("eft", *_MIDDLE)
"""Formats that people are placed anew for, which only those before the camera can be."""
_SHOWN = {"pose": "body pose and orientation", "transl": "translation", "betas": "shape"}


def run(options: argparse.Namespace) -> int:
    """Convert; returns the exit code."""
    src, dst = Path(options.src), Path(options.dst)
    options.source = options.source or format_of(src)
    if options.min_quality is not None and options.source != "parquet":
        raise PgtfastError(
            f"--min-quality: {src} is a {options.source} file; only the store of pgtfast knows a quality"
        )
    target = target_of(options.to, options.variant, dst)
    if target.suffixes and dst.suffix not in target.suffixes:
        raise PgtfastError(f"{dst}: wanted a name that ends in {' or '.join(target.suffixes)} for --to {options.to}")
    refuse_existing(dst)
    notes = Notes()
    dataset = options.dataset or src.stem
    body = load_body(options.body) if options.body else None
    measured = (body if body is not None and body.num_joints == 24 else load_body("free")).to("cpu", torch.float64)
    index = None
    if options.people is not None:
        cameras = Path(options.cameras) if options.cameras else None
        world = options.variant if options.to == "neuralannot" and options.variant in WORLD else options.src_variant
        index = read_people(options.people, dataset=dataset, notes=notes, variant=world, cameras=cameras)
    started = time.perf_counter()
    flow = _Flow(options, target, index, body, measured, notes)
    batches = flow.kept(read(options, options.source, dataset, index, body, measured, notes))
    try:
        with _two_threads():
            written = write(options, _ahead(batches), index, body, measured, notes)
    except NothingToWrite as error:
        why = "; ".join((*flow.lines(), *notes.lines())) or "it holds nobody"
        raise PgtfastError(f"{src}: nobody to write as {options.to}: {why}") from error
    seconds = time.perf_counter() - started
    print(f"{src} ({options.source}): {flow.read} people, {flow.bodies} with a body")
    print(f"{dst} ({options.to}): {written} written in {seconds:.1f} s ({flow.read / max(seconds, 1e-9):.0f} people/s)")
    for line in (*flow.lines(), *notes.lines()):
        print(line)
    return 1 if flow.lost or notes.lost else 0


class _Flow:
    """What happens to each block between reading and writing."""

    def __init__(
        self,
        options: argparse.Namespace,
        target: Target,
        index: PeopleIndex | None,
        body: BodyModel | None,
        measured: BodyModel,
        notes: Notes,
    ) -> None:
        self.options, self.target, self.index, self.body, self.measured, self.notes = (
            options,
            target,
            index,
            body,
            measured,
            notes,
        )
        self.read = self.bodies = self.lost = 0
        self.not_held: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.model: str | None = None

    def kept(self, batches: Iterator[Bodies]) -> Iterator[Bodies]:
        """The people to write, all checked and counted."""
        matcher = Matcher(self.index) if self.index is not None and not self._placed_already() else None
        if matcher is not None:
            batches = _whole_unless_keyed(batches)
        progress = tqdm(unit=" people", disable=not sys.stderr.isatty(), leave=False)
        for bodies in batches:
            self.read += len(bodies)
            self.bodies += int(bodies.with_body().sum())
            progress.update(len(bodies))
            self._check_model(bodies)
            bodies = replace(bodies, betas=padded(bodies.betas))
            if self.options.min_quality is not None:
                bodies = self._good(bodies, self.options.min_quality)
            if matcher is not None:
                if self.options.source == "smplify-x":
                    bodies = self._complete(replace(bodies, image_size=matcher.image_sizes(bodies)))
                    bodies = replace(bodies, bbox=boxes_around(bodies, self.measured))
                before = int(bodies.with_body().sum())
                bodies = matcher.match(bodies, self.notes)
                self.lost += before - int(bodies.with_body().sum())
            bodies = self._complete(bodies)
            yield self._writable(bodies)
        progress.close()

    def _good(self, bodies: Bodies, least: float) -> Bodies:
        """Those of a quality; people without a body stay, for their reason."""
        low = bodies.with_body() & ~(bodies.others["quality"] >= least)
        self.notes.count(f"left out: {{n}} people of quality below {least:g}, or of none", int(low.sum()))
        return bodies.rows(~low)

    def _placed_already(self) -> bool:
        """Whether reading has laid the people on those of --people."""
        world = self.options.source == "neuralannot" and self.options.src_variant in WORLD
        fits = self.options.source == "spin" and self.index is not None and self.index.path.suffix == ".npz"
        return world or (fits and self._is_fits())

    def _is_fits(self) -> bool:
        return is_fits(Path(self.options.src))

    def _check_model(self, bodies: Bodies) -> None:
        model, to = bodies.body_model, self.options.to
        if model is None:
            if "body" in self.target.needs:
                raise PgtfastError(
                    f"{self.options.src}: holds no body that --to {to} has a place for; keypoints and cameras go to parquet"
                )
            return
        if self.model not in (None, model):
            raise PgtfastError(
                f"{self.options.src}: holds {self.model!r} and {model!r} bodies; they cannot go in one file"
            )
        self.model = model
        if model not in self.target.models:
            raise PgtfastError(
                f"{self.options.src}: holds {model!r} parameters and --to {to} holds {' or '.join(self.target.models)} ones; poses and shapes of different "
                "body models are not exchangeable, a body has to be fitted anew"
            )
        if self.body is not None and self.body.kind != model:
            raise PgtfastError(
                f"--body {self.options.body}: is a {self.body.kind!r} body, the parameters of {self.options.src} are {model!r} ones"
            )
        if model == "free" and to != "parquet":
            self.notes.count(
                "body model: these are parameters of the 'free' body, whose shape is not SMPL's, and the file does not say so ({n} people)",
                int(bodies.with_body().sum()),
            )

    def _complete(self, bodies: Bodies) -> Bodies:
        """Sizes from the pictures, and the principal points of formats that leave them out."""
        if self.options.images is not None and (bodies.image_size == 0).any():
            size = bodies.image_size.copy()
            known: dict[str, tuple[int, int]] = {}
            for row in np.flatnonzero((size == 0).any(1)):
                name = bodies.image_path[row]
                if name is not None and not leads_out(name):
                    if name not in known:
                        known[name] = read_image_size(Path(self.options.images) / name) or (0, 0)
                    size[row] = known[name]
            bodies = replace(bodies, image_size=size)
        if self.options.source in _MIDDLE:
            sized = (bodies.image_size > 0).all(1) & ~np.isfinite(bodies.center).all(1)
            bodies = replace(bodies, center=np.where(sized[:, None], bodies.image_size / 2, bodies.center))
        return bodies

    def _writable(self, bodies: Bodies) -> Bodies:
        known = bodies.known()
        if self.options.to in _IN_FRONT:
            known["transl"] &= bodies.transl[:, 2] > 0
        body = bodies.with_body()
        keep = np.ones(len(bodies), bool)
        for need in self.target.needs:
            there = body if need == "body" else known[need]
            if need == "body":
                self.reasons.update(str(reason).partition(":")[0] for reason in bodies.reason[keep & ~there])
            else:
                missing = keep & ~there
                self.lost += int(missing.sum())
                self.notes.count(
                    f"not written: {{n}} people have no {_hint(need)}", int(missing.sum()), bodies.names(missing)
                )
            keep &= there
        self._count_losses(bodies, known, keep)
        return bodies if keep.all() else bodies.rows(keep)

    def _count_losses(self, bodies: Bodies, known: dict[str, np.ndarray], keep: np.ndarray) -> None:
        to, holds = self.options.to, self.target.holds
        if "gender" not in holds:
            named = keep & known["gender"] & bodies.with_body()
            if named.any():
                raise PgtfastError(
                    f"{self.options.src}: {int(named.sum())} people ({', '.join(bodies.names(named)[:3])}) are of a male or female body model, {to} files are read as "
                    "neutral, and shapes of different genders are not exchangeable; choose --to spin, bedlam, humandata or parquet"
                )
        for name, there in known.items():
            there = there & keep
            if name in PARTS and name not in holds:
                there &= np.abs(bodies.parts[name]).max(1) > 0
            if (
                name not in holds
                and name != "gender"
                and not (name in ("focal", "center") and "transl" in holds and to in ("eft", *_MIDDLE))
            ):
                self.not_held[_SHOWN.get(name, name)] += int(there.sum())
        if to not in ("humandata", "bedlam") and bodies.betas.shape[1] > 10:
            beyond = keep & (np.abs(bodies.betas[:, 10:]) > 0).any(1)
            self.notes.count(
                "shape: {n} people have coefficients beyond the ten that are written",
                int(beyond.sum()),
                bodies.names(beyond),
            )

    def lines(self) -> list[str]:
        """What the format has no place for, and who has no body."""
        out = [
            f"not held by {self.options.to}: {name} of {number} people"
            for name, number in self.not_held.items()
            if number
        ]
        if self.reasons:
            told = ", ".join(f"{code} {number}" for code, number in sorted(self.reasons.items()))
            out.insert(0, f"not written: {sum(self.reasons.values())} people without a body ({told})")
        return out


def _hint(need: str) -> str:
    return {
        "image_path": "image name (--people brings it)",
        "image_size": "image size (--people or --images brings it)",
        "bbox": "box (--people brings it)",
        "transl": "translation in front of the camera, or none at all",
    }.get(need, f"camera ({need})")


def _whole_unless_keyed(batches: Iterator[Bodies]) -> Iterator[Bodies]:
    """Blocks as they come where people have ids; all at once where they are told by the others of their image."""
    first = next(batches, None)
    if first is None:
        return
    if first.keyed:
        yield first
        for bodies in batches:
            yield replace(bodies, keyed=True) if bodies.keyed else bodies
        return
    rest = together(batches)
    yield joined([first, rest]) if rest is not None else first


@contextlib.contextmanager
def _two_threads() -> Iterator[None]:
    """Settings for one thread that reads and one that writes: torch without threads of its own, which would be in their way, and a lock that goes to and
    fro between them in a fraction of the time that a block takes."""
    threads, interval = torch.get_num_threads(), sys.getswitchinterval()
    torch.set_num_threads(1)
    sys.setswitchinterval(_SWITCH)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        sys.setswitchinterval(interval)


def _ahead(batches: Iterator[Bodies]) -> Iterator[Bodies]:
    """The same blocks; the next is made while one is written."""
    with ThreadPoolExecutor(1, "reading") as pool:
        coming = pool.submit(next, batches, None)
        while (bodies := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield bodies
