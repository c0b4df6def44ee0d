"""Whether the pictures on disk are those that were annotated, seen from their headers alone."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._errors import PgtfastError
from ..people.table import People
from .source import escapes_root

TOLERANCE = 2
"""Pixels by which width and height may differ."""
_NAMED = 3


class ImageSizes(NamedTuple):
    """How annotated sizes agree with pictures. The four lists name a few of each kind in words."""

    checked: int
    """Pictures whose header was read."""
    missing: int
    """Pictures that are not there."""
    unreadable: int
    swapped: int
    """Pictures whose annotated width and height are each other's."""
    scaled: int
    """Pictures of the annotated shape in another size."""
    other: int
    """Pictures of another shape altogether."""
    examples: tuple[str, ...]

    @property
    def wrong(self) -> int:
        """Pictures whose pixels the annotations do not fit."""
        return self.swapped + self.scaled + self.other


def read_image_size(path: str | Path) -> tuple[int, int] | None:
    """Width and height of a picture as stored (not turned by EXIF), from its header; None where there is no readable
    picture."""
    return _header(path)


def compare_image_sizes(
    people: People, images: Path | tuple[Path, ...], *, sample: int | None = 256, seed: int = 0
) -> ImageSizes:
    """Compare the annotated sizes of a sample of the pictures with their headers.

    Args:
        people: annotated people; pictures of unknown size are left out.
        images: the folder that `people.image_path` is relative to, or WebDataset tars; of tars the first pictures are
            taken.
        sample: how many pictures at most; None takes all.
        seed: of the sample.
    """
    known = np.array(
        [p is not None and s.all() for p, s in zip(people.image_path, people.image_size, strict=True)], dtype=bool
    )
    names, first = np.unique(people.image_path[known].astype(str), return_index=True)
    wanted = {str(n): tuple(int(v) for v in s) for n, s in zip(names, people.image_size[known][first], strict=True)}
    counts = dict.fromkeys(("checked", "missing", "unreadable", "swapped", "scaled", "other"), 0)
    examples: dict[str, list[str]] = {}
    for name, found in _sizes(sorted(wanted), images, sample, seed):
        kind = found if isinstance(found, str) else _kind(wanted[name], found)
        counts["checked"] += not isinstance(found, str)
        if kind != "same":
            counts[kind] += 1
            width, height = wanted[name]
            got = kind if isinstance(found, str) else f"{found[0]} x {found[1]}, annotated {width} x {height} ({kind})"
            examples.setdefault(kind, []).append(f"{name}: {got}")
    return ImageSizes(**counts, examples=tuple(line for lines in examples.values() for line in lines[:_NAMED]))


def check_image_sizes(
    people: People, images: Path | tuple[Path, ...], *, sample: int | None = 256, seed: int = 0
) -> ImageSizes:
    """As :func:`compare_image_sizes`, but pictures that the annotations do not fit are an error.

    Raises:
        PgtfastError: some picture has another size than annotated; the message counts them and says what to do. Missing
            and unreadable ones
            are only counted.
    """
    sizes = compare_image_sizes(people, images, sample=sample, seed=seed)
    if not sizes.wrong:
        return sizes
    cures = []
    if sizes.scaled:
        cures.append("scaled: these are another copy of the pictures; get the one that was annotated")
    if sizes.swapped:
        cures.append("swapped: the annotations give width for height; pgtfast.images.sizes.unswap_sizes fixes them")
    if sizes.other:
        cures.append("other: the folder holds other pictures of these names, or turned ones; get the annotated ones")
    where = images if isinstance(images, Path) else ", ".join(str(p) for p in images[:_NAMED])
    raise PgtfastError(
        f"{where}: of {sizes.checked} pictures of {people.dataset}, {sizes.scaled} are scaled, {sizes.swapped} have "
        "width and height swapped, "
        f"{sizes.other} have another shape than annotated. For example {'; '.join(sizes.examples)}. {'; '.join(cures)}"
    )


def check_reach(people: People, images: Path, *, sample: int = 32, seed: int = 0) -> None:
    """Look, for a sample of the people whose annotation gives no picture size, whether their pictures are large enough
    for their keypoints.

    Files in SPIN's layout, 3DPW's sequences and MuPoTS's matrices name no size; a smaller copy of the pictures
    (MPI-INF-3DHP's of 1k px with annotations of
    2048) would be cropped at wrong places. A larger copy cannot be told so.

    Args:
        people: annotated people; those of known size, or without a keypoint, are left out.
        images: the folder that `people.image_path` is relative to.
        sample: how many people at most.
        seed: of the sample.

    Raises:
        PgtfastError: more than half of them have more than a quarter of their keypoints outside of their picture.
    """
    unknown = (people.image_size <= 0).any(axis=1) & (people.keypoints[..., 2] > 0).any(axis=1)
    rows = np.array([row for row in np.flatnonzero(unknown) if people.reason[row] is None], dtype=int)
    if len(rows) > sample:
        rows = np.sort(np.random.default_rng(seed).choice(rows, sample, replace=False))
    checked = 0
    beyond: list[str] = []
    for row in rows:
        size = read_image_size(images / people.image_path[row])
        if size is None:
            continue
        checked += 1
        points = people.keypoints[row][people.keypoints[row, :, 2] > 0][:, :2]
        outside = ((points < -TOLERANCE) | (points > np.array(size) + TOLERANCE)).any(axis=1)
        if outside.mean() > 0.25:
            x, y = points.max(axis=0)
            beyond.append(
                f"{people.image_path[row]}: {size[0]} x {size[1]}, keypoints of annotation "
                f"{people.annotation_id[row]} reach to ({x:.0f}, {y:.0f})"
            )
    if 2 * len(beyond) > checked:
        raise PgtfastError(
            f"{images}: of {checked} people of {people.dataset} looked at, {len(beyond)} have keypoints outside "
            "of their picture. For example "
            f"{'; '.join(beyond[:_NAMED])}. These are a smaller copy of the pictures; get the one that was annotated"
        )


def swapped_sizes(people: People, images: Path | None = None) -> np.ndarray:
    """People of pictures whose annotated width and height are each other's.

    Args:
        people: annotated people.
        images: folder of the pictures, to read their headers. Without it, or where a picture is missing, the keypoints
            and boxes decide for
            the file as a whole: it is swapped where more pictures have them only within height x width than only within
            width x height.

    Returns:
        (N,) bool.
    """
    size = people.image_size
    distinct = (size > 0).all(axis=1) & (size[:, 0] != size[:, 1])
    out = distinct & _swapped_by_extent(people)
    if images is None:
        return out
    found: dict[str, tuple[int, int] | None] = {}
    for row in np.flatnonzero(distinct):
        name = people.image_path[row]
        if name is None:
            continue
        if name not in found:
            found[name] = _header(images / name)
        real = found[name]
        if real is not None:
            out[row] = real == (size[row, 1], size[row, 0])
    return out


def unswap_sizes(people: People, images: Path | None = None) -> People:
    """The people with width and height exchanged where :func:`swapped_sizes` finds them swapped."""
    swapped = swapped_sizes(people, images)
    return replace(people, image_size=np.where(swapped[:, None], people.image_size[:, ::-1], people.image_size))


def _swapped_by_extent(people: People) -> bool:
    reach = np.where(people.keypoints[..., 2:] > 0, people.keypoints[..., :2], -np.inf).max(axis=1, initial=-np.inf)
    box = people.bbox[:, :2] + people.bbox[:, 2:]
    reach = np.maximum(reach, np.where(np.isfinite(box), box - 1, -np.inf))
    usable = np.array([r is None for r in people.reason], dtype=bool) & (people.image_size > 0).all(axis=1)
    reach, size = reach[usable], people.image_size[usable]
    straight, turned = (reach <= size).all(axis=1), (reach <= size[:, ::-1]).all(axis=1)
    return bool((turned & ~straight).sum() > (straight & ~turned).sum())


def _kind(wanted: tuple[int, ...], found: tuple[int, int]) -> str:
    if max(abs(wanted[0] - found[0]), abs(wanted[1] - found[1])) <= TOLERANCE:
        return "same"
    if wanted == found[::-1]:
        return "swapped"
    (w, h), (x, y) = wanted, found
    # The same shape up to the rounding of the smaller picture to whole pixels.
    return "scaled" if abs(w * y - h * x) <= max(w, h, x, y) else "other"


def _sizes(
    names: list[str], images: Path | tuple[Path, ...], sample: int | None, seed: int
) -> Iterator[tuple[str, tuple[int, int] | str]]:
    if isinstance(images, Path):
        if sample is not None and sample < len(names):
            chosen = np.random.default_rng(seed).choice(len(names), sample, replace=False)
            names = [names[at] for at in np.sort(chosen)]
        for name in names:
            path = images / name
            if escapes_root(name):
                yield name, "missing"
                continue
            yield name, _header(path) or ("unreadable" if os.path.isfile(path) else "missing")
        return
    wanted, left = set(names), len(names) if sample is None else sample
    for archive in images:
        with tarfile.open(archive) as tar:
            for member in tar:
                if not left:
                    return
                if member.isfile() and member.name.removeprefix("./") in wanted:
                    left -= 1
                    yield member.name.removeprefix("./"), _header(tar.extractfile(member)) or "unreadable"


def _header(file: Any) -> tuple[int, int] | None:
    from PIL import Image

    try:
        with Image.open(file) as image:
            width, height = image.size
            return width, height
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
