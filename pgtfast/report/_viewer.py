"""Runs in Rerun: photo, keypoints, camera and bodies, one image a step of the time line."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute

from .. import skeletons
from .._errors import PgtfastError
from .._options import needing
from ..body import BodyModel
from ..files.atomic import replacing
from ..visuals.overlay import one_camera
from ..visuals.render import PALETTE
from ._pictures import COLORS, Photos, keypoints_of, vertices_of
from ._store import Run, key_hashes
from ._summary import DRAWN

TIMELINE = "image"
_COLUMNS = (*DRAWN, "quality", "reprojection_px")
_HALF = 0.5
"""Rerun counts pixels from the corner of the first one, the store from its centre."""


def show(runs: Sequence[Run], bodies: Sequence[BodyModel], photos: Photos, *, images: int, file: Path | None) -> None:
    """Open runs in the viewer, or write the recording.

    Args:
        runs: one, or two on the same images; the second's bodies are beside the first's, in blue.
        bodies: of each.
        photos: of the first.
        images: how many, drawn by chance from those with a body in the first run.
        file: recording to write; None opens the viewer.

    Raises:
        PgtfastError: Rerun is not installed, the file cannot be written, or nobody has a body.
    """
    with needing("viewer", "--viewer" if file is None else "--rrd"):
        import rerun
        import rerun.blueprint as blueprint

    names = _some_images(runs[0], images)
    if not names:
        raise PgtfastError(f"{runs[0].folder}: nobody has a body; there is nothing to view")
    rows = [_rows_of(run, names) for run in runs]
    stream = rerun.RecordingStream("pgtfast_report")
    layout = blueprint.Blueprint(
        blueprint.Horizontal(
            blueprint.Vertical(
                blueprint.Spatial2DView(origin="world/camera", name="keypoints"),
                blueprint.Spatial2DView(
                    origin="world/camera",
                    contents=["world/camera/photo/**", "world/bodies/**"],
                    name="bodies on the photo",
                ),
            ),
            blueprint.Vertical(
                blueprint.Spatial3DView(origin="world", name="bodies"),
                blueprint.TextDocumentView(origin="people", name="people"),
                row_shares=[3, 1],
            ),
        ),
        blueprint.TimePanel(state="collapsed", timeline=TIMELINE, play_state="paused"),
        collapse_panels=True,
    )
    with contextlib.ExitStack() as stack:
        if file is None:
            stream.spawn(default_blueprint=layout)
        else:
            try:
                file.absolute().parent.mkdir(parents=True, exist_ok=True)
                partial = stack.enter_context(replacing(file.absolute()))
                partial.touch()
            except OSError as error:
                raise PgtfastError(
                    f"--rrd {file}: cannot be written ({error.strerror}); choose another file"
                ) from error
            stream.save(partial, default_blueprint=layout)
        stream.log("world", rerun.ViewCoordinates.RDF, static=True)
        for step, name in enumerate(names):
            stream.set_time(TIMELINE, sequence=step)
            people = [held.get(name, []) for held in rows]
            for path, entity in _entities(rerun, people, bodies, photos):
                stream.log(path, entity)
        stream.flush()
        if file is not None:
            stream.disconnect()
    where = "the viewer" if file is None else file
    print(f"{where}: {len(names)} images, {sum(len(found) for held in rows for found in held.values())} bodies")


def _some_images(run: Run, count: int) -> list[str]:
    """At most `count` images that hold somebody with a body, drawn by the hash of their path, in the order of their
    names."""
    heap: list[tuple[int, str]] = []
    for batch in run.batches(("image_path", "valid")):
        held = {name for _, name in heap}
        names = sorted(set(batch.filter(batch["valid"])["image_path"].to_pylist()) - held)
        for value, name in zip(key_hashes([(name,) for name in names]), names, strict=True):
            entry = (-int(value), name)
            if len(heap) < count:
                heapq.heappush(heap, entry)
            elif entry > heap[0]:
                heapq.heapreplace(heap, entry)
    return sorted(name for _, name in heap)


def _rows_of(run: Run, names: Iterable[str]) -> dict[str, list[dict]]:
    """The people with a body of some images."""
    wanted = pa.array(list(names), pa.string())
    found: dict[str, list[dict]] = {}
    for batch in run.batches(_COLUMNS):
        valid = batch.filter(batch["valid"])
        for row in valid.filter(compute.is_in(valid["image_path"], value_set=wanted)).to_pylist():
            found.setdefault(row["image_path"], []).append(row)
    return found


def _entities(
    rerun: Any, people: Sequence[list[dict]], bodies: Sequence[BodyModel], photos: Photos
) -> list[tuple[str, Any]]:
    """What is logged of one image: (entity path, archetype)."""
    first = people[0][0]
    photo = photos.read(first)
    placed = [vertices_of(rows, body) for rows, body in zip(people, bodies, strict=True) if rows]
    cameras = [np.array([row[name] for rows in people for row in rows], float) for name in ("focal", "center")]
    moved, focal, center = _in_one_camera(placed, *cameras)
    size = (first["image_width"], first["image_height"])
    if None in size:
        size = tuple(np.ceil(2 * center).astype(int)) if photo is None else photo.shape[1::-1]
    behind = 1.05 * max(float(one[..., 2].max()) for one in moved)
    entities: list[tuple[str, Any]] = [
        (
            "world/camera",
            rerun.Pinhole(
                focal_length=focal,
                principal_point=center + _HALF,
                resolution=size,
                camera_xyz=rerun.ViewCoordinates.RDF,
                image_plane_distance=behind,
            ),
        ),
        (
            "world/camera/photo",
            rerun.Clear(recursive=False) if photo is None else rerun.Image(photo),
        ),  # compressed ones count as a video, of one size
        *_keypoints(rerun, people[0]),
        ("world/bodies", rerun.Clear(recursive=True)),
        ("people", rerun.TextDocument(_words(people), media_type="text/markdown")),
    ]
    sides = [side for side, rows in enumerate(people) if rows]
    for side, vertices in zip(sides, moved, strict=True):
        name, body = ("a", "b")[side], bodies[side]
        for row, points in zip(people[side], vertices, strict=True):
            mesh = rerun.Mesh3D(
                vertex_positions=points.astype(np.float32),
                triangle_indices=body.faces,
                vertex_normals=normals(points, body.faces),
                albedo_factor=COLORS[side],
            )
            entities.append((f"world/bodies/{name}/{row['annotation_id']}", mesh))
    return entities


def _in_one_camera(
    placed: Sequence[np.ndarray], focal: np.ndarray, center: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Bodies of all runs in the frame of the first person's camera."""
    moved, start = [], 0
    for vertices in placed:
        mine = slice(start, start + len(vertices))
        # the first camera goes before those of these people, so that all are moved into its frame
        joined = [np.concatenate((values[:1], values[mine])) for values in (focal, center)]
        moved.append(one_camera(np.concatenate((vertices[:1], vertices)).astype(np.float64), *joined)[0][1:])
        start += len(vertices)
    return moved, focal[0], center[0]


def _keypoints(rerun: Any, rows: Sequence[dict]) -> list[tuple[str, Any]]:
    """Dots and bones of the people of an image."""
    dots, colors, bones, shades = [], [], [], []
    for person, row in enumerate(rows):
        points, skeleton = keypoints_of(row)
        if points is None:
            continue
        color = PALETTE[person % len(PALETTE)]
        seen = points[:, 2] > 0
        dots += list(points[seen, :2] + _HALF)
        colors += [color] * int(seen.sum())
        for a, b in skeletons.get(skeleton).edges if skeleton else ():
            if seen[a] and seen[b]:
                bones.append(points[[a, b], :2] + _HALF)
                shades.append(color)
    at = "world/camera/keypoints"
    return [
        (f"{at}/dots", rerun.Points2D(np.array(dots).reshape(-1, 2), colors=colors, radii=3)),
        (f"{at}/bones", rerun.LineStrips2D(bones, colors=shades)),
    ]


def _words(people: Sequence[list[dict]]) -> str:
    """What is known of the people of an image."""
    lines = [f"**{people[0][0]['image_path']}**", ""]
    for name, rows in zip(("A", "B"), people, strict=False):
        for row in rows:
            quality = "no quality" if row["quality"] is None else f"quality {row['quality']:.2f}"
            error = "" if row["reprojection_px"] is None else f", {row['reprojection_px']:.1f} px"
            lines.append(f"- {name} {row['annotation_id']}: {quality}{error}")
    return "\n".join(lines)


def normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3) of a mesh: (V, 3) vertices and (F, 3) faces, which turn counter-clockwise seen from
    outside."""
    corners = vertices[faces]
    of_faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    found = np.zeros(vertices.shape)
    for corner in range(3):
        np.add.at(found, faces[:, corner], of_faces)
    return (found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)).astype(np.float32)
