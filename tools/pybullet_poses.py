"""Turn the 15 motions of PyPI `pybullet` into SMPL poses: another capture of other people, to judge a pose prior by.

    python tools/pybullet_poses.py --motions .../pybullet_data/data/motions --out poses.npz

The motions are DeepMimic's humanoid: x forward, y up, z to the right, arms down at rest, knees and elbows with one
angle. One trunk joint and one neck joint become SMPL's three and two in equal parts. Nothing of them is shipped or
trained on.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pgtfast.priors import BODY_JOINTS
from pgtfast.reference import matrix_to_rotvec, rotvec_to_matrix

RATE = 10.0
AXES = torch.tensor([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
"""From the humanoid's axes to SMPL's: x to the left, y up, z forward."""

QUATERNIONS = {
    "trunk": 8,
    "neck": 12,
    "right_hip": 16,
    "right_ankle": 21,
    "right_shoulder": 25,
    "left_hip": 30,
    "left_ankle": 35,
    "left_shoulder": 39,
}
HINGES = {"right_knee": 20, "right_elbow": 29, "left_knee": 34, "left_elbow": 43}
"""Columns of a frame: duration, root position (3), root quaternion (4), then these; quaternions are w, x, y, z."""


def poses_of(file: Path) -> Tensor:
    """(N, 24, 3) radians at 10 Hz, root left out (zero)."""
    frames = torch.tensor(json.loads(file.read_text())["Frames"], dtype=torch.float64)
    frames = frames[:: max(1, round(1 / RATE / float(frames[0, 0])))].float()
    local = {name: _turned(_from_quaternion(frames[:, c : c + 4])) for name, c in QUATERNIONS.items()}
    for name, c in HINGES.items():
        local[name] = _turned(rotvec_to_matrix(frames[:, c, None] * torch.tensor([0.0, 0.0, 1.0])))
    for name, down in (("left", -math.pi / 2), ("right", math.pi / 2)):  # from SMPL's T-pose to arms held down
        arm = rotvec_to_matrix(torch.tensor([0.0, 0.0, down]))
        local[f"{name}_shoulder"] = local[f"{name}_shoulder"] @ arm
        local[f"{name}_elbow"] = arm.mT @ local[f"{name}_elbow"] @ arm
    pose = torch.zeros(len(frames), 24, 3)
    for name, value in local.items():
        rotvec = matrix_to_rotvec(value)
        parts = {"trunk": ("spine1", "spine2", "spine3"), "neck": ("neck", "head")}.get(name, (name,))
        for part in parts:
            pose[:, 1 + BODY_JOINTS.index(part)] = rotvec / len(parts)
    return pose


def _turned(rotation: Tensor) -> Tensor:
    return AXES @ rotation @ AXES.mT


def _from_quaternion(q: Tensor) -> Tensor:
    q = q / q.norm(dim=-1, keepdim=True)
    vector = q[:, 1:] * torch.where(q[:, :1] < 0, -1.0, 1.0)
    sine = vector.norm(dim=-1, keepdim=True)
    return rotvec_to_matrix(
        vector * torch.where(sine > 1e-9, 2 * torch.atan2(sine, q[:, :1].abs()) / sine.clamp_min(1e-9), 2.0)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motions", type=Path, required=True, help="folder of humanoid3d_*.txt")
    parser.add_argument("--out", type=Path, required=True, help="npz with poses (N, 24, 3) and src (N,)")
    options = parser.parse_args()
    files = sorted(options.motions.glob("humanoid3d_*.txt"))
    if not files:
        parser.error(f"--motions: no humanoid3d_*.txt in {options.motions}")
    poses = [poses_of(file) for file in files]
    source = np.repeat([file.stem for file in files], [len(p) for p in poses])
    np.savez_compressed(options.out, poses=torch.cat(poses).numpy(), src=source)
    print(f"{options.out}: {len(source)} poses of {len(files)} motions")


if __name__ == "__main__":
    main()
