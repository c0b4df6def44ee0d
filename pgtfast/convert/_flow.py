"""What happens to each batch between reading and writing."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .._errors import PgtfastError
from ..formats.columns import hands, joined, known, names, padded
from ..formats.format import Context, Format
from ..formats.hands import measured_from
from ..formats.recamera import boxes_around
from ..images.sizes import read_image_size
from ..images.source import escapes_root
from ..people import People, layout_of
from ._config import ConvertConfig
from ._match import Matcher

_SHOWN = {"transl": "translation", "betas": "shape", "body_pose": "body pose", "global_orient": "orientation"}
_HINTS = {
    "image_path": "image name (--people brings it)",
    "image_size": "image size (--people or --images brings it)",
    "bbox": "box (--people brings it)",
    "transl": "translation in front of the camera, or none at all",
}


class Flow:
    """Matches, completes and checks the people of a source for a target, and counts what is lost."""

    def __init__(self, config: ConvertConfig, source: Format, target: Format, context: Context) -> None:
        self.config, self.source, self.target, self.context = config, source, target, context
        self.notes = context.notes
        self.read = self.bodies = self.lost = 0
        self.not_held: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.model: str | None = None

    def kept(self, batches: Iterator[People]) -> Iterator[People]:
        """The people to write, all checked and counted."""
        index = self.context.people
        matcher = Matcher(index) if index is not None and not self.source.matched else None
        if matcher is not None:
            batches = _whole_unless_keyed(batches)
        progress = tqdm(unit=" people", disable=not sys.stderr.isatty(), leave=False)
        for people in batches:
            self.read += len(people)
            self.bodies += int(people.has_body.sum())
            progress.update(len(people))
            self._check_model(people)
            people = self._told_hands(people)
            if "betas" in people.body:
                shape = padded(people.body["betas"], layout_of(people.body_model or "").betas)
                people = replace(people, body={**people.body, "betas": shape})
            if self.config.min_quality is not None:
                people = self._good(people, self.config.min_quality)
            if matcher is not None:
                people = self._matched(people, matcher)
            yield self._writable(self._complete(people))
        progress.close()

    def _matched(self, people: People, matcher: Matcher) -> People:
        if not people.keyed and np.isnan(people.bbox).any():  # people are told apart by their boxes
            sizes = np.where(people.image_size > 0, people.image_size, matcher.image_sizes(people))
            people = self._complete(replace(people, image_size=sizes))
            there = known(people)
            rows = there["body"] & there["transl"] & there["focal"] & there["center"] & ~there["bbox"]
            if rows.any() and self.context.measured is not None:
                boxes = people.bbox.copy()
                boxes[rows] = boxes_around(people.rows(rows), self.context.measured)
                people = replace(people, bbox=boxes)
        before = int(people.has_body.sum())
        people = matcher.match(people, self.notes)
        self.lost += before - int(people.has_body.sum())
        return people

    def _good(self, people: People, least: float) -> People:
        """Those of a quality; people without a body stay, for their reason."""
        quality = people.scores.get("quality", np.full(len(people), np.nan))
        low = people.has_body & ~(quality >= least)
        self.notes.count(f"omitted: {{n}} people of quality below {least:g}, or of none", int(low.sum()))
        return people.rows(~low)

    def _told_hands(self, people: People) -> People:
        """The people with what the user says of their hands."""
        if self.config.hands is None or not hands(people):
            return people
        flat = self.config.hands == "flat"
        if people.flat_hand_mean not in (None, flat):
            measured = "a flat hand" if people.flat_hand_mean else "the mean hand"
            raise PgtfastError(
                f"--hands {self.config.hands}: {self.config.src} says that its hands are measured from {measured}"
            )
        return replace(people, flat_hand_mean=flat)

    def _check_model(self, people: People) -> None:
        model, to, src = people.body_model, self.config.to, self.config.src
        if model is None:
            if "body" in self.target.needs:
                raise PgtfastError(
                    f"{src}: holds no body that --to {to} has a place for; keypoints and cameras go to parquet"
                )
            return
        if self.model not in (None, model):
            raise PgtfastError(f"{src}: holds {self.model!r} and {model!r} bodies; they cannot go in one file")
        self.model = model
        if model not in self.target.models:
            raise PgtfastError(
                f"{src}: holds {model!r} parameters and --to {to} holds {' or '.join(self.target.models)} ones; "
                f"poses and shapes of different "
                "body models are not exchangeable, a body has to be fitted anew"
            )
        body = self.context.body
        if body is not None and body.kind != model:
            raise PgtfastError(
                f"--body {self.config.body}: is a {body.kind!r} body, the parameters of {src} are {model!r} ones"
            )
        if model == "free" and "body_model" not in self.target.holds:
            self.notes.count(
                "body model: these are parameters of the 'free' body, whose shape is not SMPL's, and the file does "
                "not say so ({n} people)",
                int(people.has_body.sum()),
            )

    def _complete(self, people: People) -> People:
        """Sizes from the images, and the principal points of formats that omit them."""
        if self.config.images is not None and (people.image_size == 0).any():
            size = people.image_size.copy()
            found: dict[str, tuple[int, int]] = {}
            for row in np.flatnonzero((size == 0).any(1)):
                name = people.image_path[row]
                if name is not None and not escapes_root(name):
                    if name not in found:
                        found[name] = read_image_size(Path(self.config.images) / name) or (0, 0)
                    size[row] = found[name]
            people = replace(people, image_size=size)
        if self.source.center_of_image:
            sized = (people.image_size > 0).all(1) & ~np.isfinite(people.center).all(1)
            people = replace(people, center=np.where(sized[:, None], people.image_size / 2, people.center))
        return people

    def _writable(self, people: People) -> People:
        there = known(people)
        if self.target.moves_camera and "transl" in people.body:
            there["transl"] &= people.body["transl"][:, 2] > 0
        keep = np.ones(len(people), bool)
        for need in self.target.needs:
            missing = keep & ~there[need]
            if need == "body":
                self.reasons.update(str(getattr(reason, "code", reason)) for reason in people.reason[missing])
            else:
                self.lost += int(missing.sum())
                hint = _HINTS.get(need, f"camera ({need})")
                self.notes.count(
                    f"not written: {{n}} people have no {hint}", int(missing.sum()), names(people, missing)
                )
            keep &= there[need]
        self._count_losses(people, there, keep)
        people = people if keep.all() else people.rows(keep)
        if self.target.flat_hand_mean is not None and len(people):
            where = f"{self.config.src}: --to {self.config.to}"
            people = measured_from(people, self.target.flat_hand_mean, self.context.body, where)
        return people

    def _count_losses(self, people: People, there: dict[str, np.ndarray], keep: np.ndarray) -> None:
        to, holds = self.config.to, self.target.holds
        if "gender" not in holds:
            named = keep & there["gender"] & there["body"]
            if named.any():
                raise PgtfastError(
                    f"{self.config.src}: {int(named.sum())} people ({', '.join(names(people, named)[:3])}) are of "
                    f"a male or female body model, {to} files are read as "
                    "neutral, and shapes of different genders are not exchangeable; choose --to spin, bedlam, "
                    "humandata or parquet"
                )
        own_camera = {"focal", "center"} if self.target.moves_camera and "transl" in holds else set()
        for name in there.keys() - holds - own_camera - {"body", "gender"}:
            lost = there[name] & keep
            if name in people.body:
                lost &= np.abs(np.nan_to_num(people.body[name])).max(1) > 0
            self.not_held[_SHOWN.get(name, name)] += int(lost.sum())
        limit = self.target.betas
        if limit is not None and "betas" in people.body and people.body["betas"].shape[1] > limit:
            beyond = keep & (np.abs(people.body["betas"][:, limit:]) > 0).any(1)
            self.notes.count(
                f"shape: {{n}} people have coefficients beyond the {limit} that are written",
                int(beyond.sum()),
                names(people, beyond),
            )

    def lines(self) -> list[str]:
        """What the format has no place for, and who has no body."""
        out = [
            f"not held by {self.config.to}: {name} of {number} people"
            for name, number in sorted(self.not_held.items())
            if number
        ]
        if self.reasons:
            codes = ", ".join(f"{code} {number}" for code, number in sorted(self.reasons.items()))
            out.insert(0, f"not written: {sum(self.reasons.values())} people without a body ({codes})")
        return out


def _whole_unless_keyed(batches: Iterator[People]) -> Iterator[People]:
    """Batches as they come where people have ids; all at once where they are told by the others of their image."""
    first = next(batches, None)
    if first is None:
        return
    if first.keyed:
        yield first
        for people in batches:
            yield replace(people, keyed=True) if people.keyed else people
        return
    yield joined([first, *batches])
