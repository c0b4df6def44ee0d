"""Adults sampled from anny: their skin, bones and skinning weights in the frame of SMPL (y up, facing +z, metres)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from . import rig

_TO_SMPL = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # anny stands along z and faces -y


@dataclass(frozen=True)
class People:
    """S adults in anny's A-pose, mirror-symmetric to the last bit.

    vertices (S, V, 3); faces (F, 3); mirror (V,) pairs vertices across x = 0; weights (V, 24); joints (S, 24, 3);
    knuckles (S, 2, 2, 3): sides x (index, little finger); keypoints: name -> (S, 3) of anny's own COCO points.
    """

    vertices: np.ndarray
    faces: np.ndarray
    mirror: np.ndarray
    weights: np.ndarray
    joints: np.ndarray
    knuckles: np.ndarray
    keypoints: dict[str, np.ndarray]


def sample_people(count: int, seed: int) -> People:
    """Draw `count` adults (18 to 75 years, both sexes) from anny's calibrated distribution of body shapes."""
    import anny
    from anny.keypoints import KeypointsRegressor
    from anny.shape_distribution import SimpleShapeDistribution

    torch.manual_seed(seed)
    model = anny.Anny().to(dtype=torch.float32)
    bones, faces = list(model.bone_labels), model.faces.numpy().astype(np.int64)
    ages = torch.distributions.Uniform(torch.tensor(18.0), torch.tensor(75.0))
    _, phenotypes = SimpleShapeDistribution(model, ages).sample(count)
    phenotypes = {name: value.float().clamp(0, 1) for name, value in phenotypes.items()}
    regressor = KeypointsRegressor.coco(model)
    skin, heads, points = [], [], []
    for start in range(0, count, 50):
        part = {name: value[start : start + 50] for name, value in phenotypes.items()}
        rest = torch.eye(4).expand(len(part["age"]), len(bones), 4, 4)
        with torch.no_grad():
            out = model(pose_parameters=rest, phenotype_kwargs=part)
            points.append(regressor({"vertices": out["rest_vertices"]}).numpy())
        skin.append(out["rest_vertices"].numpy())
        heads.append(out["rest_bone_heads"].numpy())
    skin, heads, points = (np.concatenate(x).astype(np.float64) @ _TO_SMPL.T for x in (skin, heads, points))

    template = model.template_vertices.numpy() @ _TO_SMPL.T
    distance, mirror = cKDTree(template).query(template * rig.MIRROR)
    if distance.max() > 1e-9 or not np.array_equal(mirror[mirror], np.arange(len(mirror))):
        raise ValueError("anny's template mesh is expected to be mirror-symmetric, and this version's is not")
    skin = (skin + skin[:, mirror] * rig.MIRROR) / 2
    swap = [bones.index({"L": b[:-1] + "R", "R": b[:-1] + "L"}.get(b[-1], b) if "." in b else b) for b in bones]
    heads = (heads + heads[:, swap] * rig.MIRROR) / 2

    bone_weights = np.zeros((len(template), len(bones)))
    rows = np.arange(len(template))[:, None]
    np.add.at(bone_weights, (rows, model.vertex_bone_indices.numpy()), model.vertex_bone_weights.numpy())
    weights = rig.merge_weights(bone_weights, bones, skin.mean(0), heads.mean(0))
    weights = (weights + weights[mirror][:, rig.JOINT_MIRROR]) / 2

    keep, faces = _outer_skin(faces, len(template))
    fingers = [[bones.index(f"finger{i}-1.{side}") for i in (2, 5)] for side in "LR"]
    return People(
        vertices=skin[:, keep],
        faces=faces,
        mirror=np.searchsorted(keep, mirror[keep]),
        weights=weights[keep],
        joints=rig.joints_from_bones(heads, bones),
        knuckles=heads[:, fingers],
        keypoints=_mirrored({name: points[:, i] for i, name in enumerate(regressor.labels)}),
    )


def _outer_skin(faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest connected piece (eyes and tongue are separate): kept vertices (n,), faces renumbered."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    piece = connected_components(coo_matrix((np.ones(len(edges)), edges.T), (count, count)), directed=False)[1]
    keep = np.flatnonzero(piece == np.bincount(piece).argmax())
    return keep, np.searchsorted(keep, faces[np.isin(faces[:, 0], keep)])


def _mirrored(points: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each named point averaged with the reflection of its counterpart."""
    swap = {"left": "right", "right": "left"}
    other = {name: "_".join(swap.get(word, word) for word in name.split("_")) for name in points}
    return {name: (points[name] + points[other[name]] * rig.MIRROR) / 2 for name in points}
