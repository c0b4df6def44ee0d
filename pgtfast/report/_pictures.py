"""Small pictures of people, as data that a page can hold."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from .. import ops, skeletons
from ..body import BodyModel
from ..images.source import escapes_root
from ..visuals.person import Window, body_panel, photo_panel, side_panel, window_around
from ..visuals.render import PALETTE, MeshRenderer
from ._summary import POSE

PANEL = (210, 280)
"""Width and height of one panel in pixels."""
COLORS = (PALETTE[0], PALETTE[1])
"""RGB of the bodies of A and B."""
_WHITE = 6


@dataclass(eq=False)
class Photos:
    """The photos of a run."""

    folder: Path | None
    """None where nobody knows it."""
    exif: bool = False
    """Turn photos as their EXIF says, as the run did."""
    problems: dict[str, str] = field(default_factory=dict)
    """Image path -> why it cannot be shown."""

    def path(self, row: dict) -> Path | None:
        """The file of a row's image, None where there is none or its path leads out of the folder."""
        if self.folder is None:
            return None
        name = row["image_path"] or ".."
        if escapes_root(name):
            self.problems[str(row["image_path"])] = "leads out of the image folder"
            return None
        path = self.folder / name
        if not os.path.isfile(path):  # unlike Path.is_file no error for a name that is too long
            self.problems[str(row["image_path"])] = f"not in {self.folder}"
            return None
        return path

    def read(self, row: dict) -> np.ndarray | None:
        """(H, W, 3) uint8 RGB of a row's image, None where it cannot be shown."""
        path = self.path(row)
        if path is None:
            return None
        try:
            with Image.open(path) as file:
                turned = ImageOps.exif_transpose(file) if self.exif else file
                photo = np.asarray(turned.convert("RGB"))
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError, SyntaxError) as error:
            self.problems[row["image_path"]] = f"cannot be read ({error})"
            return None
        size = (row["image_width"], row["image_height"])
        if None not in size and photo.shape[1::-1] != size:
            self.problems[row["image_path"]] = (
                f"is {photo.shape[1]} x {photo.shape[0]} pixels, the annotations say {size[0]} x {size[1]}"
            )
            return None
        return photo


def vertices_of(rows: Sequence[dict], body: BodyModel) -> np.ndarray:
    """(N, V, 3) metres, camera frame."""
    orient, pose, betas, transl = (torch.tensor([row[name] for row in rows]) for name in POSE)
    joints = ops.rotvec_to_matrix(torch.cat((orient, pose), 1).unflatten(-1, (-1, 3)))
    return ops.vertices(joints, betas[:, : body.num_betas], transl, body.terms).numpy()


def keypoints_of(row: dict) -> tuple[np.ndarray | None, str | None]:
    """(K, 3) pixels and confidence, and the skeleton that connects them where it is a known one."""
    if row["landmarks_2d"] is None:
        return None, None
    points = np.array(row["landmarks_2d"], np.float64)
    name = row["landmark_set"]
    known = name in skeletons.NAMES and len(skeletons.get(name)) == len(points)
    return points, name if known else None


def window_of(row: dict, vertices: np.ndarray) -> Window:
    """What of the photo a picture of a person shows: box and keypoints, or the body where there are neither."""
    seen = []
    if row["bbox_xywh"] is not None:
        box = np.array(row["bbox_xywh"])
        seen += [box[:2], box[:2] + box[2:]]
    if row["landmarks_2d"] is not None:
        points = np.array(row["landmarks_2d"])
        seen += list(points[points[:, 2] > 0, :2])
    if not seen:
        seen = list(vertices[:, :2] / vertices[:, 2:] * row["focal"] + row["center"])
    return window_around(np.array(seen), shape=PANEL)


def person_pictures(
    rows: Sequence[dict],
    sets: Sequence[tuple[Sequence[dict], BodyModel]],
    photos: Photos,
    renderer: MeshRenderer,
) -> Iterator[tuple[str, ...]]:
    """For each person the photo with keypoints, then for each set of bodies a picture from the camera beside one from
    the side.

    Args:
        rows: whose window, photo and keypoints are shown.
        sets: the same people's bodies: rows and their model.
        photos: of the run.
        renderer: of the size of :data:`PANEL`.

    Yields:
        Data URIs of JPEG pictures: the photo, and one a set.
    """
    for at, row in enumerate(rows):
        vertices = [vertices_of([bodies[at]], body)[0] for bodies, body in sets]
        window = window_of(row, vertices[0])
        photo = photos.read(row)
        keypoints, skeleton = keypoints_of(row)
        found = [jpeg_uri(photo_panel(photo, window, PANEL, keypoints=keypoints, skeleton=skeleton))]
        for (bodies, body), points, color in zip(sets, vertices, COLORS, strict=False):
            camera = body_panel(
                photo, window, renderer, vertices=points, faces=body.faces, focal=np.array(bodies[at]["focal"]),
                center=np.array(bodies[at]["center"]), keypoints=keypoints, color=color,
            )  # fmt: skip
            gap = np.full((PANEL[1], _WHITE, 3), 255, np.uint8)
            side = side_panel(points, body.faces, renderer, color=color)
            found.append(jpeg_uri(np.concatenate((camera, gap, side), 1)))
        yield tuple(found)


def jpeg_uri(picture: np.ndarray) -> str:
    """A picture (H, W, 3) uint8 as a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=84, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
