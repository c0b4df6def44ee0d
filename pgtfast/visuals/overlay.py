"""Bodies drawn over the photo they were fitted to, with a view from the side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .. import skeletons
from .render import PALETTE, MeshRenderer, render_meshes

_SIDE_GREY = 244
_KEYPOINT = (255, 235, 59)


def render_overlay(
    photo: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    focal: Sequence[float] | Sequence[Sequence[float]],
    center: Sequence[float] | Sequence[Sequence[float]],
    keypoints: np.ndarray | None = None,
    skeleton: str = "coco17",
    captions: Sequence[str] = (),
    opacity: float = 0.85,
) -> np.ndarray:
    """Photo with keypoints, photo with bodies, and the bodies from their left side, in a row.

    Args:
        photo: (H, W, 3) uint8 RGB.
        vertices: (P, V, 3) metres, camera frame.
        faces: (F, 3).
        focal: fx, fy in pixels of the photo, of all people or (P, 2) of each.
        center: cx, cy in pixels of the photo, of all people or (P, 2) of each.
        keypoints: (P, K, 3) pixels and confidence, drawn where the confidence is above 0; or None.
        skeleton: names the keypoints' order.
        captions: one line a person, written below in the person's colour.
        opacity: of the bodies over the photo, 0 to 1.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    height, width = photo.shape[:2]
    placed, (fx, fy), (cx, cy) = one_camera(np.asarray(vertices, np.float64), np.array(focal), np.array(center))
    people = render_meshes(placed, faces, focal=(fx, fy), center=(cx, cy), size=(width, height))
    blended = _over(people, photo, opacity)
    side = side_view(vertices, faces, size=(max(width // 2, 200), height))
    left = photo
    if keypoints is not None:
        left = draw_keypoints(photo, keypoints, skeleton)
        blended = draw_keypoints(blended, keypoints, skeleton, lines=False)
    return _captioned(np.concatenate((left, blended, side), 1), captions)


def one_camera(vertices: np.ndarray, focal: np.ndarray, center: np.ndarray):
    """Bodies that cameras of their own see (P, 2), moved so that the first one's camera sees each at the same pixels;
    who looks smaller is farther.
    """
    if focal.ndim == 1 or not len(focal):
        return vertices, focal.ravel()[:2], center.ravel()[:2]
    depth = vertices[..., 2:] * (focal[0, 0] / focal[:, None, :1])
    pixels = vertices[..., :2] / vertices[..., 2:] * focal[:, None] + center[:, None]
    return np.concatenate(((pixels - center[0]) / focal[0] * depth, depth), -1), focal[0], center[0]


def side_view(
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    size: tuple[int, int],
    colors: Sequence[tuple[int, int, int]] = PALETTE,
    renderer: MeshRenderer | None = None,
) -> np.ndarray:
    """The bodies seen from their right in the picture: the camera's forward axis points to the left.

    Bodies far apart in depth would be specks: each is drawn at its own height and moved in depth, side by side, in
    order of depth.

    Args:
        vertices: (P, V, 3) metres, camera frame.
        faces: (F, 3).
        size: width and height in pixels.
        colors: RGB, 0 to 255, one a person, used in turn.
        renderer: of this size, to draw with; None makes one for this picture.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    width, height = size
    paper = np.full((height, width, 3), _SIDE_GREY, np.uint8)
    if not len(vertices):
        return paper
    vertices = np.asarray(vertices, dtype=np.float64)
    order = np.argsort(-vertices[..., 2].mean(1), kind="stable")
    turned = np.stack((-vertices[..., 2], vertices[..., 1], vertices[..., 0]), -1)[order]
    turned -= (turned.max(1, keepdims=True) + turned.min(1, keepdims=True)) / 2
    extent = turned.max(1) - turned.min(1)
    gap = 0.15
    right = np.cumsum(extent[:, 0] + gap) - gap
    turned[..., 0] += (right - extent[:, 0] / 2 - right[-1] / 2)[:, None]
    turned[..., 1] += (extent[:, 1].max() - extent[:, 1])[:, None] / 2
    distance = 40.0
    turned[..., 2] += distance
    scale = 0.92 * min(width / right[-1], height / extent[:, 1].max())
    focal, center = (scale * distance,) * 2, ((width - 1) / 2, (height - 1) / 2)
    shades = [colors[p % len(colors)] for p in order]
    if renderer is None:
        rendered = render_meshes(turned, faces, focal=focal, center=center, size=size, colors=shades)
    else:
        rendered = renderer.render(turned, faces, focal=focal, center=center, colors=shades)
    return _over(rendered, paper, 1.0)


def draw_keypoints(
    photo: np.ndarray, keypoints: np.ndarray, skeleton: str = "coco17", lines: bool = True
) -> np.ndarray:
    """Dots, and bones between them, on a copy of the photo.

    Args:
        photo: (H, W, 3) uint8 RGB.
        keypoints: (P, K, 3) pixels and confidence.
        skeleton: names the keypoints' order.
        lines: whether to draw the bones.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    picture = Image.fromarray(photo)
    pen = ImageDraw.Draw(picture)
    radius = max(2.0, max(photo.shape[:2]) / 320)
    for person, points in enumerate(np.asarray(keypoints, dtype=np.float64)):
        color = PALETTE[person % len(PALETTE)]
        if lines:
            for a, b in skeletons.get(skeleton).edges:
                if points[a, 2] > 0 and points[b, 2] > 0:
                    pen.line([*points[a, :2], *points[b, :2]], fill=color, width=round(radius))
        for x, y, confidence in points:
            if confidence > 0:
                pen.ellipse(
                    [x - radius, y - radius, x + radius, y + radius],
                    fill=_KEYPOINT if confidence > 0.75 else None,
                    outline=(20, 20, 20),
                )
    return np.asarray(picture)


def _over(rgba: np.ndarray, photo: np.ndarray, opacity: float) -> np.ndarray:
    alpha = rgba[..., 3:].astype(np.float32) / 255 * opacity
    return (rgba[..., :3] * alpha + photo * (1 - alpha)).round().astype(np.uint8)


def _captioned(picture: np.ndarray, captions: Sequence[str]) -> np.ndarray:
    if not captions:
        return picture
    font = ImageFont.load_default(size=13)
    line, columns = 17, max(1, picture.shape[1] // 420)
    rows = -(-len(captions) // columns)
    strip = Image.new("RGB", (picture.shape[1], rows * line + 6), (32, 32, 32))
    pen = ImageDraw.Draw(strip)
    for at, text in enumerate(captions):
        column, row = divmod(at, rows)
        pen.text(
            (8 + column * picture.shape[1] // columns, 3 + row * line), text, fill=PALETTE[at % len(PALETTE)], font=font
        )
    return np.concatenate((picture, np.asarray(strip)), 0)
