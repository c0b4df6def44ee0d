"""Measures of a finished body: held-out errors, symmetry, closedness."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import landmarks, poses, rig, skin, surface


@dataclass
class HeldOut:
    """Errors on people and poses that nothing was fitted to; millimetres."""

    values: dict[str, str] = field(default_factory=dict)

    def shape(self, people: np.ndarray, template: np.ndarray, directions: np.ndarray) -> None:
        flat = directions.reshape(-1, directions.shape[-1])
        betas, *_ = np.linalg.lstsq(flat, (people - template).reshape(len(people), -1).T, rcond=None)
        error = 1e3 * np.linalg.norm((flat @ betas).T.reshape(people.shape) + template - people, axis=-1)
        self.values["shape: 10 betas, mean vertex error"] = (
            f"{error.mean():.2f} mm (worst person {error.mean(1).max():.2f})"
        )
        self.values["shape: standard deviation of betas"] = " ".join(f"{s:.2f}" for s in betas.std(1))

    def joints(self, people: np.ndarray, joints: np.ndarray, regressor: np.ndarray) -> None:
        error = 1e3 * np.linalg.norm(regressor @ people - joints, axis=-1).mean(0)
        worst = rig.JOINT_NAMES[error.argmax()]
        self.values["joint regressor, mean error"] = f"{error.mean():.2f} mm (worst joint {worst} {error.max():.2f})"

    def landmark_people(self, people: np.ndarray, points: dict, rows: dict) -> None:
        self._landmarks("people", {k: rows[k] @ people - point for k, point in points.items()})

    def landmark_poses(self, posed: np.ndarray, known: dict, maps: np.ndarray, rows: dict) -> None:
        """posed (P, V, 3): the mean body; known: landmarks of the people whose mean it is, with their carriers."""
        moved = {k: landmarks.carried(rest.mean(0), carrier, maps) for k, (rest, carrier) in known.items()}
        self._landmarks("poses", {k: rows[k] @ posed - point for k, point in moved.items()})

    def _landmarks(self, over: str, differences: dict[str, np.ndarray]) -> None:
        error = {key: 1e3 * np.linalg.norm(d, axis=-1).mean() for key, d in differences.items()}
        worst = max(error, key=error.get)
        mean = np.mean(list(error.values()))
        self.values[f"landmarks, mean error over {over}"] = f"{mean:.2f} mm (worst {worst} {error[worst]:.2f})"

    def pose(self, features: np.ndarray, offsets: np.ndarray, blend: np.ndarray) -> None:
        left = offsets - np.einsum("pf,vcf->pvc", features, blend, optimize=True)
        rms = [1e3 * np.sqrt((x**2).sum(-1).mean()) for x in (offsets, left)]
        self.values["pose: distance of linear skinning to target, rms"] = f"{rms[0]:.2f} mm"
        self.values["pose: the same with blend shapes"] = f"{rms[1]:.2f} mm"


def skinned(body: dict, pose: np.ndarray, betas: np.ndarray | None = None) -> np.ndarray:
    """Vertices (P, V, 3) of a body's arrays in poses (P, 24, 3): blend shapes, then linear skinning."""
    rest = body["v_template"].astype(float)
    if betas is not None:
        rest = rest + body["shapedirs"] @ betas
    maps = poses.joint_maps(pose, body["J_regressor"] @ rest)
    bent = rest + np.einsum("pf,vcf->pvc", poses.features(pose), body["posedirs"], optimize=True)
    return np.stack([skin.skin_linearly(v, body["weights"], m) for v, m in zip(bent, maps, strict=True)])


def report(path: Path, body: dict, held_out: HeldOut) -> str:
    pose, mirror = poses.random_poses(8, 99)[:8], body["vert_sym_idxs"]
    reflected = skinned(body, poses.mirror_pose(pose))[:, mirror] * rig.MIRROR
    asymmetry = 1e3 * np.abs(reflected - skinned(body, pose)).max()
    euler, closed = surface.edge_use(body["f"])
    height = np.ptp(body["v_template"][:, 1])
    lines = {
        "mesh": f"{len(body['v_template'])} vertices, {len(body['f'])} faces, closed: {closed}, Euler number {euler}",
        "height of the mean": f"{height:.3f} m",
        **held_out.values,
        "shape: share of variance": " ".join(f"{x:.4f}" for x in body["shape_variance"]),
        "mirrored pose against mirrored mesh, worst": f"{asymmetry:.4f} mm",
        "weights per vertex, at most": str((body["weights"] > 0).sum(1).max()),
        "non-zero pose blend values": f"{100 * (body['posedirs'] != 0).mean():.1f} %",
        "file": f"{path.stat().st_size / 1e6:.2f} MB",
    }
    return "\n".join([f"\n{path.name}", *(f"  {key:52s} {value}" for key, value in lines.items())])
