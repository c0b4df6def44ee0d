"""People with bodies, boxes, cameras and keypoints that belong together, and where their joints are seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pgtfast import load_body, skeletons
from pgtfast.formats import Context, Format
from pgtfast.formats.columns import joined
from pgtfast.formats.recamera import camera_of, joint_points
from pgtfast.people import People, empty_people, layout_of
from pgtfast.people.table import objects

BODY = load_body("free")


def people(count: int = 12, seed: int = 0, *, model: str = "free", an_image: int = 2, virtual: bool = False) -> People:
    """`an_image` people an image, apart from each other; ids are not in order. `virtual` cameras look through the
    middle of each one's box."""
    rng = np.random.default_rng(seed)
    bodies = empty_people("tiny", rng.permutation(count) * 7 + 100, gender="neutral")
    size = np.tile([1600, 1200], (count, 1))
    rotations = layout_of(model).rotations
    pose = rng.normal(0, 0.3, (count, rotations["global_orient"] + rotations["body_pose"]))
    pose[:, :3] = rng.normal((np.pi, 0, 0), 0.3, (count, 3))
    places = np.stack([np.arange(count) % an_image - (an_image - 1) / 2, np.zeros(count), np.full(count, 6.0)], 1)
    bodies = replace(
        bodies,
        image_path=objects([f"photos/{row // an_image:06d}.jpg" for row in range(count)]),
        image_size=size,
        person_id=np.arange(count) % an_image,
        focal=rng.uniform(1300, 1400, (count, 1)) * np.array([1, 1.002]),
        center=size / 2 + rng.normal(0, 15, (count, 2)),
    ).with_pose(
        model,
        pose,
        betas=rng.normal(0, 0.5, (count, 10)),
        transl=places + rng.normal(0, 0.1, (count, 3)),
    )
    if model not in ("smpl", "free"):
        return replace(bodies, bbox=np.stack([np.array([300.0 + 500 * i, 200, 240, 600]) for i in bodies.person_id]))
    points = seen(bodies)
    low, high = points.min(1) - 10, points.max(1) + 10
    bodies = replace(bodies, bbox=np.concatenate([low, high - low], 1))
    if virtual:
        high = np.repeat(5000 / 256 * bodies.bbox[:, 3:], 2, 1)  # of a box that was grown to 192 x 256 first
        bodies = replace(bodies, focal=high, center=bodies.bbox[:, :2] + bodies.bbox[:, 2:] / 2)
        bodies = with_parameters(bodies, transl=np.tile([0, 0, 40.0], (count, 1)))
    return bodies


def with_parameters(people: People, **parameters: np.ndarray) -> People:
    """The people with these parameters beside their others."""
    return replace(people, body={**people.body, **parameters})


def with_keypoints(bodies: People, name: str = "spin24") -> People:
    """The people with the limbs' joints labelled where they are seen."""
    index, mine = skeletons.get(name).index, skeletons.get("smpl24").index
    points = np.zeros((len(bodies), len(index), 3))
    for key in set(index) & set(mine):
        points[:, index[key]] = np.concatenate([seen(bodies)[:, mine[key]], np.ones((len(bodies), 1))], 1)
    return replace(bodies, keypoints=points, landmark_set=name)


def seen(bodies: People) -> np.ndarray:
    """(N, 24, 2) pixels of the joints."""
    return camera_of(bodies).project(joint_points(bodies, BODY)).numpy()


def turns(pose: np.ndarray) -> np.ndarray:
    """(N, J, 3, 3) of rotation vectors, which have several names for one turn."""
    from pgtfast import reference

    return reference.rotvec_to_matrix(torch.from_numpy(pose.reshape(len(pose), -1, 3))).numpy()


def write(format: Format, path: Path, people: People, /, **context: Any) -> Path:
    """The people in a file of a format."""
    assert format.write is not None
    format.write(path, [people], Context(**context))
    return path


def read(format: Format, path: Path, /, **context: Any) -> People:
    """All people of a file."""
    assert format.read is not None
    return joined(list(format.read(path, Context(**context))))


def by_id(bodies: People) -> People:
    """In the order of their ids."""
    return bodies.rows(np.argsort(bodies.annotation_id))
