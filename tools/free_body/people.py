"""Adults sampled from anny: their skin, bones and skinning weights in the frame of SMPL (y up, facing +z, metres)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_matrix, csr_matrix, identity, vstack
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
    from anny.face_segmentation import get_face_segmentation_mask
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

    left = (template[faces, 0] > -1e-9).all(1)  # no face crosses the middle; the right half takes the left's diagonals
    faces = np.concatenate([faces[left], mirror[faces[left]][:, ::-1]])
    cavities = get_face_segmentation_mask(model, ["mouth_cavity", "eye_cavity.L", "eye_cavity.R"]).numpy()
    inside = np.setdiff1d(model.faces.numpy()[cavities], model.faces.numpy()[~cavities])
    faces, average = _seal(faces, np.intersect1d(inside, mirror[inside]), len(template))
    keep, faces = _outer_skin(faces, average.shape[0])
    skin, weights = np.stack([average[keep] @ person for person in skin]), average[keep] @ weights
    _, mirror = cKDTree(skin.mean(0)).query(skin.mean(0) * rig.MIRROR)
    fingers = [[bones.index(f"finger{i}-1.{side}") for i in (2, 5)] for side in "LR"]
    return People(
        vertices=skin,
        faces=faces,
        mirror=mirror,
        weights=weights,
        joints=rig.joints_from_bones(heads, bones),
        knuckles=heads[:, fingers],
        keypoints=_mirrored({name: points[:, i] for i, name in enumerate(regressor.labels)}),
    )


def _seal(faces: np.ndarray, inside: np.ndarray, count: int) -> tuple[np.ndarray, csr_matrix]:
    """Cut the vertices `inside` away (mouth and eye sockets) and close each hole by a fan around a new vertex.

    Returns the faces and the averages (count + holes, count) that give old and new vertices from the old ones.
    """
    faces = faces[~np.isin(faces, inside).any(1)]
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    present = {tuple(e) for e in directed.tolist()}
    after = {b: a for a, b in sorted(present) if (b, a) not in present}  # along the rim, seen from the hole
    fans, rims = [], []
    while after:
        rim = [next(iter(after))]
        while (step := after.pop(rim[-1])) != rim[0]:
            rim.append(step)
        hub = count + len(rims)
        fans.append(np.stack([rim, np.roll(rim, -1), np.full(len(rim), hub)], 1))
        rims.append(rim)
    average = vstack([identity(count), *(csr_matrix(np.bincount(r, minlength=count) / len(r)) for r in rims)])
    return np.concatenate([faces, *fans]), average.tocsr()


def _outer_skin(faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest connected piece (eyeballs and tongue are others): kept vertices (n,), faces renumbered."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    piece = connected_components(coo_matrix((np.ones(len(edges)), edges.T), (count, count)), directed=False)[1]
    keep = np.flatnonzero(piece == np.bincount(piece).argmax())
    return keep, np.searchsorted(keep, faces[np.isin(faces[:, 0], keep)])


def _mirrored(points: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each named point averaged with the reflection of its counterpart."""
    swap = {"left": "right", "right": "left"}
    other = {name: "_".join(swap.get(word, word) for word in name.split("_")) for name in points}
    return {name: (points[name] + points[other[name]] * rig.MIRROR) / 2 for name in points}
