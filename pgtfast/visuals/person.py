"""One person close up: the photo around them, the body over it, and the body from the side."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from .overlay import _over, draw_keypoints, side_view
from .render import PALETTE, MeshRenderer

GREY = 216
"""Of what lies outside the photo, and of photos that are not there."""


class Window(NamedTuple):
    """A rectangle of a photo: column and row of its first pixel, width and height; it may lie partly outside."""

    left: int
    top: int
    width: int
    height: int


def window_around(points: np.ndarray, *, shape: tuple[int, int], margin: float = 0.2) -> Window:
    """The window of a given shape about points.

    Args:
        points: (N, 2) pixels of the photo, at least one.
        shape: width and height, whose ratio the window has.
        margin: added on each side, as a share of the points' extent.

    Returns:
        A window at least 16 pixels high.
    """
    low, high = np.min(points, 0), np.max(points, 0)
    middle, extent = (low + high) / 2, (high - low) * (1 + 2 * margin)
    height = max(float(extent[1]), float(extent[0]) * shape[1] / shape[0], 16.0)
    size = round(height * shape[0] / shape[1]), round(height)
    return Window(round(middle[0] - size[0] / 2), round(middle[1] - size[1] / 2), *size)


def cut_photo(photo: np.ndarray, window: Window, shape: tuple[int, int]) -> np.ndarray:
    """The window of the photo at another size, grey outside.

    Args:
        photo: (H, W, 3) uint8 RGB.
        window: in pixels of the photo.
        shape: width and height of the result.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    paper = Image.new("RGB", (window.width, window.height), (GREY,) * 3)
    left, top = max(window.left, 0), max(window.top, 0)
    inside = photo[top : max(window.top + window.height, 0), left : max(window.left + window.width, 0)]
    if inside.size:
        paper.paste(Image.fromarray(np.ascontiguousarray(inside)), (left - window.left, top - window.top))
    return np.asarray(paper.resize(shape, Image.Resampling.LANCZOS))


def to_window(pixels: np.ndarray, window: Window, shape: tuple[int, int]) -> np.ndarray:
    """Pixels of the photo (..., 2) in the cut-out picture; the centre of the first pixel is (0, 0) in both."""
    scale = np.array(shape) / (window.width, window.height)
    return (np.asarray(pixels, np.float64) - (window.left, window.top) + 0.5) * scale - 0.5


def photo_panel(
    photo: np.ndarray | None,
    window: Window,
    shape: tuple[int, int],
    *,
    keypoints: np.ndarray | None,
    skeleton: str | None,
) -> np.ndarray:
    """The photo around a person with their keypoints and bones.

    Args:
        photo: (H, W, 3) uint8 RGB, or None for plain grey.
        window: in pixels of the photo.
        shape: width and height of the panel.
        keypoints: (K, 3) pixels of the photo and confidence, or None.
        skeleton: names the keypoints' order; None draws no bones.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    return _marked(_ground(photo, window, shape), window, shape, keypoints, skeleton)


def body_panel(
    photo: np.ndarray | None,
    window: Window,
    renderer: MeshRenderer,
    *,
    vertices: np.ndarray,
    faces: np.ndarray,
    focal: np.ndarray,
    center: np.ndarray,
    keypoints: np.ndarray | None = None,
    color: tuple[int, int, int] = PALETTE[0],
    opacity: float = 0.85,
) -> np.ndarray:
    """The body over the photo around a person, with dots for keypoints.

    Args:
        photo: (H, W, 3) uint8 RGB, or None for plain grey.
        window: in pixels of the photo.
        renderer: of the panel's size.
        vertices: (V, 3) metres, camera frame.
        faces: (F, 3).
        focal: (2,) pixels of the photo.
        center: (2,) pixels of the photo.
        keypoints: (K, 3) pixels of the photo and confidence, or None.
        color: RGB of the body.
        opacity: of the body, 0 to 1.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    shape = renderer.size
    scale = np.array(shape) / (window.width, window.height)
    rendered = renderer.render(
        np.asarray(vertices)[None], faces, focal=tuple(np.asarray(focal, np.float64) * scale),
        center=tuple(to_window(center, window, shape)), colors=(color,),
    )  # fmt: skip
    over = _over(rendered, _ground(photo, window, shape), opacity)
    return _marked(over, window, shape, keypoints, None)


def side_panel(
    vertices: np.ndarray, faces: np.ndarray, renderer: MeshRenderer, *, color: tuple[int, int, int] = PALETTE[0]
) -> np.ndarray:
    """The body (V, 3) seen from the right of the picture, as :func:`side_view` draws it, of the renderer's size."""
    return side_view(np.asarray(vertices)[None], faces, size=renderer.size, colors=(color,), renderer=renderer)


def _ground(photo: np.ndarray | None, window: Window, shape: tuple[int, int]) -> np.ndarray:
    if photo is None:
        return np.full((shape[1], shape[0], 3), GREY, np.uint8)
    return cut_photo(photo, window, shape)


def _marked(
    picture: np.ndarray,
    window: Window,
    shape: tuple[int, int],
    keypoints: np.ndarray | None,
    skeleton: str | None,
) -> np.ndarray:
    if keypoints is None:
        return picture
    points = np.array(keypoints, np.float64)
    points[:, :2] = to_window(points[:, :2], window, shape)
    if skeleton is None:
        return draw_keypoints(picture, points[None], lines=False)
    return draw_keypoints(picture, points[None], skeleton)
