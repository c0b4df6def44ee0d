"""Which triangle each pixel sees: the one question that shading, masks and visibility need answered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyvista
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkLogger, vtkPoints, vtkUnsignedCharArray
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

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
        # a mesh that is filled anew: PyVista's own adding and taking away costs as much as the drawing
        self._mesh = vtkPolyData()
        mapper = vtkPolyDataMapper()
        mapper.SetInputData(self._mesh)
        mapper.SetScalarModeToUseCellData()
        mapper.SetColorModeToDirectScalars()
        mapper.SetStatic(True)
        actor = vtkActor()
        actor.SetMapper(mapper)
        actor.GetProperty().SetLighting(False)
        self._plotter.renderer.AddActor(actor)
        self._plotter.render()  # PyVista's first drawing sets the window up
        self._pixels = vtkUnsignedCharArray()

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
        colors = np.stack([number & 255, number >> 8 & 255, number >> 16], 1).astype(np.uint8)
        points, corners = vtkPoints(), vtkCellArray()
        points.SetData(numpy_to_vtk(np.ascontiguousarray(vertices, np.float32), deep=True))
        indices = np.ascontiguousarray(faces, np.int64).ravel()
        corners.SetData(3, numpy_to_vtkIdTypeArray(indices, deep=True))
        self._mesh.SetPoints(points)
        self._mesh.SetPolys(corners)
        self._mesh.GetCellData().SetScalars(numpy_to_vtk(colors, deep=True))
        _set_camera(
            self._plotter.camera, list(focal), list(center), self.size, max(float(np.max(vertices[:, 2])) * 1.1, 1.0)
        )
        window = self._plotter.render_window
        window.Render()  # type: ignore[union-attr]  # None only once closed
        width, height = (n * self.supersample for n in self.size)
        window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 0, self._pixels, 0)  # type: ignore[union-attr]
        # rows from the bottom up, as OpenGL has them; red is the lowest byte
        picture = vtk_to_numpy(self._pixels).view("<u4").reshape(height, width)[::-1]
        return (picture & 0xFFFFFF).astype(np.int32) - 1

    def close(self) -> None:
        """Free the window."""
        self._plotter.close()
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_INFO)

    def __enter__(self) -> FaceRenderer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
