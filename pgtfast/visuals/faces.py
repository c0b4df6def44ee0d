"""Which triangle each pixel sees: the one question that shading, masks and visibility need answered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyvista
from vtkmodules.vtkCommonCore import vtkLogger

from .render import _set_camera


class FaceRenderer:
    """An off-screen renderer that is kept from picture to picture: a new one costs more than the drawing.

    Args:
        size: width and height of the pictures in pixels.
        supersample: samples a pixel and axis; samples are laid out evenly within a pixel.
    """

    def __init__(self, size: tuple[int, int], supersample: int = 1) -> None:
        self.size = size
        self.supersample = supersample
        # without a display VTK tries X first, says so, and renders through EGL or Mesa
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)
        window = [n * supersample for n in size]
        self._plotter = pyvista.Plotter(off_screen=True, window_size=window, lighting="none")
        self._plotter.render_window.SetMultiSamples(0)  # type: ignore[union-attr]  # None only once closed
        self._plotter.background_color = pyvista.Color("black")

    def render(
        self,
        vertices: np.ndarray,
        faces: np.ndarray,
        *,
        focal: Sequence[float] | np.ndarray,
        center: Sequence[float] | np.ndarray,
    ) -> np.ndarray:
        """Number of the nearest triangle at every sample.

        Args:
            vertices: (V, 3) metres, camera frame (x right, y down, z forward), in front of the camera.
            faces: (F, 3), F below 2**24 - 1.
            focal: fx, fy in pixels.
            center: cx, cy in pixels, the centre of the first pixel at (0, 0).

        Returns:
            (height * supersample, width * supersample) int32: row of `faces`, -1 where nothing is seen.
        """
        number = np.arange(1, len(faces) + 1, dtype=np.uint32)
        points, corners = np.asarray(vertices, np.float64), np.asarray(faces, np.int64)
        mesh = pyvista.PolyData.from_regular_faces(points, corners)  # type: ignore[arg-type]  # PyVista's ints are Python's
        mesh.cell_data["number"] = np.stack([number & 255, number >> 8 & 255, number >> 16], 1).astype(np.uint8)
        self._plotter.add_mesh(
            mesh,
            name="people",
            scalars="number",
            rgb=True,
            lighting=False,
            copy_mesh=False,
            reset_camera=False,
            render=False,
        )
        _set_camera(
            self._plotter.camera, list(focal), list(center), self.size, max(float(np.max(vertices[:, 2])) * 1.1, 1.0)
        )
        self._plotter.render()
        picture = np.asarray(self._plotter.screenshot(return_img=True)).astype(np.int32)
        return picture[..., 0] + (picture[..., 1] << 8) + (picture[..., 2] << 16) - 1

    def close(self) -> None:
        """Free the window."""
        self._plotter.close()
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_INFO)

    def __enter__(self) -> FaceRenderer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
