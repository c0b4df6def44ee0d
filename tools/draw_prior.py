"""Draw what a pose prior makes up and how it gives back poses it never saw.

    python tools/draw_prior.py --prior free --poses POSES.npz --clips 01_03.amc ... --out docs/images/free_prior.png

Needs the extra `report` (pyvista, pillow).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

import pgtfast
from pgtfast.reference import rotvec_to_matrix
from pgtfast.train._poses import read_poses

CELL = (130, 170)
COLUMNS = 12


def vertices(body, rotations: torch.Tensor, turn: float) -> np.ndarray:
    """(N, V, 3) of poses (N, 21, 3, 3), turned about the vertical by `turn` radians and centred."""
    count = len(rotations)
    full = torch.eye(3).repeat(count, 24, 1, 1)
    full[:, 1:22] = rotations
    full[:, 0] = rotvec_to_matrix(torch.tensor([0.0, turn, 0.0]))
    points = pgtfast.ops.vertices(full, None, None, body.terms)
    middle = (points.amin(1) + points.amax(1)) / 2
    return (points - middle[:, None]).numpy()


def draw(rows: list[tuple[str, str, np.ndarray]], faces: np.ndarray, out: Path) -> None:
    """One picture of rows of bodies; a row is (label, colour, (N, V, 3))."""
    import pyvista
    from PIL import Image, ImageDraw

    width, height = CELL[0] * COLUMNS, CELL[1] * len(rows)
    scale = 2.1 / CELL[1]  # metres a pixel
    plotter = pyvista.Plotter(off_screen=True, window_size=(width, height), lighting="light kit")
    plotter.set_background("white")
    cells = np.concatenate((np.full((len(faces), 1), 3), faces), 1).ravel()
    for r, (_, colour, bodies) in enumerate(rows):
        for c, points in enumerate(bodies):
            place = np.array([(c + 0.5) * CELL[0] * scale, -(r + 0.5) * CELL[1] * scale, 0])
            plotter.add_mesh(pyvista.PolyData(points + place, cells), color=colour, smooth_shading=True)
    plotter.enable_parallel_projection()
    centre = (width * scale / 2, -height * scale / 2, 0)
    plotter.camera_position = [(centre[0], centre[1], 50), centre, (0, 1, 0)]
    plotter.camera.parallel_scale = height * scale / 2
    plotter.camera.clipping_range = (1, 100)
    image = Image.fromarray(plotter.screenshot(return_img=True))
    pen = ImageDraw.Draw(image)
    for r, (label, _, _) in enumerate(rows):
        pen.text((4, r * CELL[1] + 2), label, fill=(90, 90, 90))
    image.quantize(96).save(out, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prior", default="free", help="'free' or a file")
    parser.add_argument("--poses", type=Path, required=True, help="npz with poses and src")
    parser.add_argument("--clips", nargs="+", required=True, help="held-out clips to take poses from")
    parser.add_argument("--seed", type=int, default=0, help="of the latents")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    prior, body = pgtfast.load_vposer(options.prior), pgtfast.load_body("free")
    latent = torch.randn(2 * COLUMNS, 32, generator=torch.Generator().manual_seed(options.seed))
    latent[0] = 0
    made = prior.decode(latent)
    seen = read_poses(options.poses, None).select(set(options.clips)).pose
    seen = seen[torch.linspace(0, len(seen) - 1, COLUMNS).long()]
    captured, returned = rotvec_to_matrix(seen), prior(seen)
    rows = []
    for half, first in ((made[:COLUMNS], " (the first: z = 0)"), (made[COLUMNS:], "")):
        rows.append((f"made up, z ~ N(0, I){first}", "#8fb6d9", vertices(body, half, 0.0)))
        rows.append(("the same from the side", "#8fb6d9", vertices(body, half, -np.pi / 2)))
    for view, turn in (("", 0.0), (", from the side", -np.pi / 2)):
        rows.append((f"captured, held out{view}", "#c9c9c9", vertices(body, captured, turn)))
        rows.append((f"encoded and decoded{view}", "#9ccf9c", vertices(body, returned, turn)))
    draw(rows, np.asarray(body.faces), options.out)


if __name__ == "__main__":
    main()
