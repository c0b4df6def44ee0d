"""Overlays of a run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from .. import skeletons
from ..body import BodyModel
from ..files.atomic import disk_errors, replacing
from ..formats import read_records
from ..images.source import SIZE_TOLERANCE, escapes_root
from ..people.layout import PARAMETERS, layout_of
from .overlay import render_overlay
from .sheet import contact_sheet

COLUMNS = (
    "image_path", "image_width", "image_height", "annotation_id", *PARAMETERS, "focal", "center",
    "landmark_set", "landmarks_2d", "reprojection_px", "reprojection_rel", "quality", "valid",
)  # fmt: skip
LONGEST = 200
"""Bytes of an image's path that an overlay's name keeps, from its end; file systems take 255 a name."""


def draw_run(run: Path, images: Path, body: BodyModel, count: int, *, exif: bool = False) -> None:
    """Draw up to `count` images, spread evenly over those that have a body and a photo, into RUN/overlays, and
    RUN/contact_sheet.jpg.

    Images that cannot be drawn are said on stderr, one line each.

    Args:
        run: its folder.
        images: folder of the photos.
        body: of the run, on the CPU.
        count: of images.
        exif: turn photos as their EXIF says, as the run did.

    Raises:
        PgtfastError: a picture cannot be written.
    """
    table = read_records(run, columns=COLUMNS)
    by_image: dict[str, list[dict]] = {}
    for row in table.filter(table["valid"]).to_pylist():
        by_image.setdefault(row["image_path"], []).append(row)
    problems, names = [], []
    for name in by_image:
        if escapes_root(name):
            problems.append(f"{name}: leads out of {images}")
        elif os.path.isfile(images / name):  # unlike Path.is_file no error for a name that is too long
            names.append(name)
        else:
            problems.append(f"{name}: not in {images}")
    names = [names[at] for at in np.unique(np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int))]
    folder = run / "overlays"
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
    pictures = []
    for name, file_name in zip(names, _file_names(names), strict=True):
        try:
            picture = _picture(images / name, by_image[name], body, exif)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError, SyntaxError) as error:
            problems.append(f"{name}: {error}")
            continue
        _save(picture, folder / file_name, quality=88)
        pictures.append(picture)
    if pictures:
        _save(contact_sheet(pictures), run / "contact_sheet.jpg", quality=85)
        print(f"{folder}: {len(pictures)} pictures; {run / 'contact_sheet.jpg'}")
    for line in problems[:10]:
        print(f"no overlay: {line}", file=sys.stderr)
    if len(problems) > 10:
        print(f"no overlay for {len(problems) - 10} more images", file=sys.stderr)


def _picture(path: Path, rows: list[dict], body: BodyModel, exif: bool) -> np.ndarray:
    with Image.open(path) as file:
        turned = ImageOps.exif_transpose(file) if exif else file
        photo = np.asarray(turned.convert("RGB"))
    size = (rows[0]["image_width"], rows[0]["image_height"])
    if None not in size and np.abs(np.subtract(photo.shape[1::-1], size)).max() > SIZE_TOLERANCE:
        raise ValueError(
            f"the photo is {photo.shape[1]} x {photo.shape[0]} pixels, the annotation file says {size[0]} x {size[1]}"
        )
    names = layout_of(body.kind).parameters
    known = {name: torch.tensor([row[name] for row in rows]) for name in names if rows[0].get(name) is not None}
    vertices = body(**{**known, "betas": known["betas"][:, : body.num_betas]}).vertices.numpy()
    nothing = np.zeros((len(skeletons.get(rows[0]["landmark_set"])), 3))
    keypoints = np.array([nothing if row["landmarks_2d"] is None else row["landmarks_2d"] for row in rows])
    return render_overlay(
        photo, vertices, body.faces, focal=[row["focal"] for row in rows], center=[row["center"] for row in rows],
        captions=[_caption(row) for row in rows], keypoints=keypoints, skeleton=rows[0]["landmark_set"],
    )  # fmt: skip


def _file_names(names: list[str]) -> list[str]:
    """Names of the overlays of images: theirs on one level, numbered where two would be the same."""
    found: list[str] = []
    for name in names:
        stem = Path(name).with_suffix("").as_posix().replace("/", "__")
        stem = stem.encode()[-LONGEST:].decode(errors="ignore")
        number, chosen = 1, f"{stem}.jpg"
        while chosen in found:
            number += 1
            chosen = f"{stem}-{number}.jpg"
        found.append(chosen)
    return found


def _save(picture: np.ndarray, path: Path, *, quality: int) -> None:
    with disk_errors(path), replacing(path) as partial:
        Image.fromarray(picture).save(partial, "JPEG", quality=quality)


def _caption(row: dict) -> str:
    quality = "" if row["quality"] is None else f" quality {row['quality']:.2f},"
    error = "no keypoints"
    if row["reprojection_px"] is not None:
        error = f"{row['reprojection_px']:.1f} px ({100 * row['reprojection_rel']:.1f} %)"
    return f"{row['annotation_id']}:{quality} {error}, {row['transl'][2]:.1f} m"
