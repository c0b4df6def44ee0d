"""Triangle meshes to RGBA pictures, off screen, with the camera of the fits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyvista
from vtkmodules.vtkCommonCore import vtkLogger

PALETTE = (
    (232, 166, 120),
    (120, 178, 226),
    (148, 205, 140),
    (221, 144, 188),
    (229, 205, 106),
    (150, 150, 220),
    (122, 207, 200),
    (214, 128, 116),
)
"""RGB of the people of a picture, in turn."""

_NEAR = 0.05


def render_meshes(
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    focal: Sequence[float],
    center: Sequence[float],
    size: tuple[int, int],
    colors: Sequence[tuple[int, int, int]] = PALETTE,
    supersample: int = 2,
) -> np.ndarray:
    """Render bodies that share one camera; nearer ones hide what lies behind.

    Args:
        vertices: (P, V, 3) metres, camera frame (x right, y down, z forward).
        faces: (F, 3) vertex numbers.
        focal: fx, fy in pixels.
        center: cx, cy in pixels, the centre of the first pixel at (0, 0).
        size: width and height of the picture in pixels.
        colors: RGB, 0 to 255, one a person, used in turn.
        supersample: pictures are rendered this many times larger and averaged.

    Returns:
        (height, width, 4) uint8 RGBA, not premultiplied; alpha 0 where no mesh is seen.
    """
    if not len(vertices):
        return np.zeros((size[1], size[0], 4), np.uint8)
    with MeshRenderer(size, supersample) as renderer:
        return renderer.render(vertices, faces, focal=focal, center=center, colors=colors)


class MeshRenderer:
    """What :func:`render_meshes` draws with, kept from picture to picture: a new one takes many times as long as the
    drawing.

    Args:
        size: width and height of the pictures in pixels.
        supersample: pictures are rendered this many times larger and averaged.
    """

    def __init__(self, size: tuple[int, int], supersample: int = 2) -> None:
        self.size = size
        self.supersample = supersample
        # without a display VTK tries X first, says so, and renders through EGL or Mesa
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)
        window = [n * supersample for n in size]
        self._plotter = pyvista.Plotter(off_screen=True, window_size=window, lighting="none")
        for position, strength in (((-0.5, -1.0, -1.0), 0.75), ((1.0, -0.6, -0.6), 0.35), ((0.0, 0.3, -1.0), 0.25)):
            self._plotter.add_light(
                pyvista.Light(position=position, focal_point=(0, 0, 0), light_type="scene light", intensity=strength)
            )

    def render(
        self,
        vertices: np.ndarray,
        faces: np.ndarray,
        *,
        focal: Sequence[float],
        center: Sequence[float],
        colors: Sequence[tuple[int, int, int]] = PALETTE,
    ) -> np.ndarray:
        """Arguments and result as of :func:`render_meshes`."""
        vertices = np.asarray(vertices, dtype=np.float64)
        width, height = self.size
        if not len(vertices):
            return np.zeros((height, width, 4), np.uint8)
        actors = []
        try:
            for person, points in enumerate(vertices):
                mesh = pyvista.PolyData.from_regular_faces(points, np.asarray(faces, dtype=int))
                color = np.array(colors[person % len(colors)]) / 255
                actors.append(
                    self._plotter.add_mesh(
                        mesh, color=color, smooth_shading=True, ambient=0.25, diffuse=0.75, specular=0.05, render=False
                    )
                )
            far = max(float(vertices[..., 2].max()) * 1.1, 1.0)
            _set_camera(self._plotter.camera, focal, center, self.size, far)
            self._plotter.render()  # from the second picture on; the first one's screenshot renders by itself
            picture = self._plotter.screenshot(return_img=True, transparent_background=True)
        finally:
            for actor in actors:
                self._plotter.remove_actor(actor, render=False)
        return _shrink(np.asarray(picture), self.supersample)

    def close(self) -> None:
        """Free the window."""
        self._plotter.close()
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_INFO)

    def __enter__(self) -> MeshRenderer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _set_camera(camera, focal: Sequence[float], center: Sequence[float], size: tuple[int, int], far: float) -> None:
    """Give VTK the pinhole camera itself: its view angle and window centre know only square pixels."""
    width, height = size
    camera.position, camera.focal_point, camera.up = (0.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)
    # VTK's view frame is x right, y up, z backward; pixel edges lie half a pixel before pixel centres
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[0, 2] = 2 * focal[0] / width, 1 - 2 * (center[0] + 0.5) / width
    matrix[1, 1], matrix[1, 2] = 2 * focal[1] / height, 2 * (center[1] + 0.5) / height - 1
    matrix[2, 2], matrix[2, 3] = -(far + _NEAR) / (far - _NEAR), -2 * far * _NEAR / (far - _NEAR)
    matrix[3, 2] = -1
    camera.SetExplicitProjectionTransformMatrix(pyvista.vtkmatrix_from_array(matrix))
    camera.SetUseExplicitProjectionTransformMatrix(True)
    camera.clipping_range = (_NEAR, far)


def _shrink(picture: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks, colours weighted by alpha."""
    height, width = picture.shape[0] // factor, picture.shape[1] // factor
    blocks = picture.reshape(height, factor, width, factor, 4).astype(np.float32)
    alpha = blocks[..., 3:]
    color = (blocks[..., :3] * alpha).sum((1, 3)) / np.maximum(alpha.sum((1, 3)), 1e-6)
    return np.concatenate((color, alpha.mean((1, 3))), -1).round().astype(np.uint8)
