"""Sheets to look at: rest pose with joints and landmarks, shapes, and poses (PyVista, off-screen)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyvista as pv

from . import rig
from .checks import skinned

_SKIN = "#c9a58f"
_VIEWS = {"front": (0, 0, 1), "side": (1, 0, 0), "back": (0, 0, -1), "half": (0.7, 0.15, 0.75), "top": (0, 1, 0.3)}


def hand_made_poses() -> dict[str, np.ndarray]:
    """A few poses (24, 3) that show where skinning usually breaks."""

    def pose(**degrees):
        out = np.zeros((24, 3))
        for name, value in degrees.items():
            out[rig.JOINT[name]] = np.radians(value)
        return out

    def both(**degrees):
        return pose(
            **{f"{s}_{k}": np.array(v) * (1, m, m) for k, v in degrees.items() for s, m in (("left", 1), ("right", -1))}
        )

    twist = both(hip=(-45, 0, 8), knee=(70, 0, 0), shoulder=(0, -20, 10), elbow=(0, -50, 0))
    twist[[rig.JOINT[n] for n in ("spine1", "spine2", "spine3")], 1] = np.radians((15, 20, 15))
    return {
        "arms down": both(shoulder=(0, -5, -72), elbow=(0, -10, 0)),
        "arms up": both(shoulder=(0, -10, 65), collar=(0, 0, 22)),
        "arms forward": both(shoulder=(0, -80, -5), collar=(0, -12, 0)),
        "walk": pose(left_hip=(-30, 0, 0), right_hip=(22, 0, 0), right_knee=(35, 0, 0), left_knee=(8, 0, 0),
                     left_shoulder=(20, 10, -68), right_shoulder=(-25, 10, 68),
                     left_elbow=(0, -25, 0), right_elbow=(0, 30, 0)),
        "sit": both(hip=(-88, 0, 8), knee=(88, 0, 0), shoulder=(0, -25, -62), elbow=(0, -55, 0)),
        "squat": both(hip=(-112, 0, 18), knee=(135, 0, 0), ankle=(-20, 0, 0), shoulder=(0, -70, -20)),
        "twist": twist,
        "look": pose(neck=(10, 35, 0), head=(-10, 30, 0), left_shoulder=(0, 0, 45), right_shoulder=(0, 100, 20),
                     right_elbow=(0, 110, 0), left_elbow=(0, -95, 0)),
    }  # fmt: skip


def sheets(body: dict, folder: Path, name: str, real: Path | None) -> None:
    """Write NAME_{rest,shapes,poses}.png, with real poses NAME_real.png too, and NAME.png with some of each."""
    folder.mkdir(parents=True, exist_ok=True)
    rest, still = body["v_template"], np.zeros((24, 3))
    stands = [(f"rest, {view}", rest, view, None) for view in ("front", "side", "back")]
    marked = [("joints", rest, view, (body["J_regressor"] @ rest, "red")) for view in ("front", "side")]
    for key in ("coco17_feet", "h36m17", "lsp14", "mupots17"):
        points = landmark_points(body, key, rest)
        marked += [(key, rest, view, (points, "blue")) for view in ("front", "side")]
    shapes = [
        (f"beta {b} = {size:+d}", skinned(body, still[None], size * np.eye(10)[b])[0], "front", None)
        for b in range(5)
        for size in (2, -2)
    ]
    acted = {label: skinned(body, pose[None])[0] for label, pose in hand_made_poses().items()}
    posed = [(label, v, view, None) for label, v in acted.items() for view in ("front", "half", "back")]
    captured = []
    if real:
        poses = np.load(real)["poses"]
        chosen = poses[_varied(poses, 18)].astype(float)
        chosen[:, 0] = 0  # all upright
        captured = [("real pose", v, view, None) for v in skinned(body, chosen) for view in ("front", "half")]
        _sheet(body, captured, folder / f"{name}_real.png", 9)
    _sheet(body, stands + marked, folder / f"{name}_rest.png", 5)
    _sheet(body, shapes, folder / f"{name}_shapes.png", 5, 1.15)
    _sheet(body, posed, folder / f"{name}_poses.png", 6)
    some = [p for p in posed if p[2] == ("front" if "arms" in p[0] else "half")]
    mixed = [*stands, marked[0], marked[2], marked[3], marked[4], marked[8], *shapes[:8], *some, *captured[1::4][:8]]
    _sheet(body, mixed, folder / f"{name}.png", 8, width=210)


def landmark_points(body: dict, key: str, vertices: np.ndarray) -> np.ndarray:
    """Landmarks (K, 3) of one stored set on vertices (V, 3)."""
    row, col, val = (body[f"landmarks/{key}/{part}"] for part in ("row", "col", "val"))
    points = np.zeros((len(body[f"landmarks/{key}/names"]), 3))
    np.add.at(points, row, val[:, None] * vertices[col])
    return points


def _varied(poses: np.ndarray, count: int) -> list[int]:
    """Indices of poses that lie far from each other, found greedily."""
    flat = poses[:, 1:].reshape(len(poses), -1)
    chosen, distance = [0], np.full(len(flat), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, np.linalg.norm(flat - flat[chosen[-1]], axis=1))
        chosen.append(int(distance.argmax()))
    return chosen


def _sheet(body: dict, panels: list, path: Path, columns: int, scale: float | None = None, width: int = 300) -> None:
    """Draw panels (label, vertices, view, (points, colour) or None); `scale` is half the height shown, else it fits."""
    size = (width, width * 4 // 3)
    rows = -(-len(panels) // columns)
    plot = pv.Plotter(
        off_screen=True, shape=(rows, columns), border=False, window_size=(size[0] * columns, size[1] * rows)
    )
    faces = np.c_[np.full(len(body["f"]), 3), body["f"].astype(np.int64)]
    for i, (label, vertices, view, marks) in enumerate(panels):
        plot.subplot(i // columns, i % columns)
        mesh = pv.PolyData(np.asarray(vertices, float), faces.ravel())
        plot.add_mesh(
            mesh, color=_SKIN, smooth_shading=True, split_sharp_edges=False, opacity=0.35 if marks else 1, specular=0.1
        )
        if marks:
            plot.add_points(np.asarray(marks[0], float), color=marks[1], point_size=8, render_points_as_spheres=True)
        plot.add_text(label, font_size=8, color="black")
        plot.camera_position = [np.array(mesh.center) + 6 * np.array(_VIEWS[view]), mesh.center, (0, 1, 0)]
        plot.enable_parallel_projection()
        reach = max(np.ptp(vertices[:, 1]), np.ptp(vertices[:, 0]) * size[1] / size[0])
        plot.camera.parallel_scale = scale or 0.54 * reach
        _light(plot)
        plot.background_color = "white"
    plot.screenshot(str(path))
    plot.close()


def _light(plot: pv.Plotter) -> None:
    """Key, fill and back light, so that no side is black."""
    plot.remove_all_lights()
    for position, strength in (((1, 2, 3), 0.75), ((-3, 1, 2), 0.35), ((0, 1, -4), 0.7), ((4, 0, 0), 0.25)):
        plot.add_light(pv.Light(position=position, intensity=strength))
