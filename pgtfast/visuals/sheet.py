"""Many pictures on one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image


def contact_sheet(
    pictures: Sequence[np.ndarray], *, columns: int = 3, cell: tuple[int, int] = (720, 330)
) -> np.ndarray:
    """Arrange pictures in a grid, each shrunk or grown to fit its cell.

    Args:
        pictures: (H, W, 3) uint8 RGB each.
        columns: pictures a row.
        cell: width and height of a cell in pixels.

    Returns:
        (rows * height, columns * width, 3) uint8 RGB; one empty row of cells for no pictures.
    """
    width, height = cell
    rows = max(1, -(-len(pictures) // columns))
    sheet = Image.new("RGB", (columns * width, rows * height), (255, 255, 255))
    for at, picture in enumerate(pictures):
        factor = min((width - 6) / picture.shape[1], (height - 6) / picture.shape[0])
        size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
        small = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
        row, column = divmod(at, columns)
        sheet.paste(small, (column * width + (width - size[0]) // 2, row * height + (height - size[1]) // 2))
    return np.asarray(sheet)
