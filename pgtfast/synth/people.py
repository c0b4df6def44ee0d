"""Who stands in a scene: poses and shapes of the people, feet on the floor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import ops, skeletons
from ..body import BodyModel, LandmarkPlan
from ..priors import VPoser, limit_violation

TRIES = 12
"""Poses drawn for one person; the first without a limb inside another is taken."""

_BONES = (
    ("pelvis", "spine1"), ("spine1", "spine3"), ("spine3", "neck"), ("neck", "head"),
    *((f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in
      (("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand"), ("hip", "knee"), ("knee", "ankle"),
       ("ankle", "foot"))),
)  # fmt: skip
_SPHERES = 5
_SIDES = ("left", "right")
_ANKLE = np.radians(50)
"""The most by which an ankle is bent to bring its sole to the floor."""


class Person(NamedTuple):
    """One posed person before it has a place: standing on the floor at the world's origin, facing anywhere.

    Convention:
        World frame: x right, y down, z away from the camera, floor at y = 0.
    """

    orient: np.ndarray
    """(3, 3) of the root, world frame."""
    rotations: np.ndarray
    """(23, 3, 3) of the other joints."""
    betas: np.ndarray
    """(10,)."""
    root: np.ndarray
    """(3,) where the root joint stands, metres, world frame; x = z = 0."""
    reach: float
    """Metres: no vertex is further from the upright line through the root."""


@dataclass(frozen=True, eq=False)
class Cast:
    """The body and the prior that all people are made of."""

    body: BodyModel
    prior: VPoser

    @cached_property
    def landmarks(self) -> LandmarkPlan:
        """The annotated keypoints."""
        return self.body.landmarks("coco17")

    @cached_property
    def mocap(self) -> LandmarkPlan:
        """The joints that the studio knows in 3D."""
        return self.body.landmarks("h36m17")

    @cached_property
    def rest(self) -> Tensor:
        """(V, 3) vertices of the mean body at rest."""
        return self.body().vertices

    @cached_property
    def bones(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of each bone of `_BONES`: its two joints (n, 2) and its radius (n,) in metres."""
        index = {name: at for at, name in enumerate(self.body.joint_names)}
        joints = torch.tensor([(index[a], index[b]) for a, b in _BONES])
        terms, place = self.body.terms, self.body().joints
        owner = terms.skin_bone.gather(1, terms.skin_weight.argmax(1, keepdim=True)).squeeze(1)
        radii = []
        for a, b in joints.tolist():
            points = self.rest[owner == a]
            line = place[b] - place[a]
            share = ((points - place[a]) @ line / line.square().sum()).clamp(0, 1)
            radii.append((points - place[a] - share[:, None] * line).norm(dim=-1).median())
        return joints[:, 0], joints[:, 1], torch.stack(radii)

    @cached_property
    def pairs(self) -> tuple[Tensor, Tensor]:
        """Bones that must not run through each other: those that share no joint and are no neighbours in the trunk."""
        trunk = {"pelvis", "spine1", "spine3", "neck", "head"}
        found = []
        for i, (a, b) in enumerate(_BONES):
            for j, (c, d) in enumerate(_BONES[:i]):
                near = {a, b} & {c, d} or ({a, b} <= trunk and {c, d} <= trunk)
                starts = [n.rpartition("_")[2] for n in (a, c)]
                attached = any(s in ("shoulder", "hip") for s in starts) and any(n in trunk for n in (a, c))
                hips = starts == ["hip", "hip"]
                if not near and not attached and not hips:
                    found.append((i, j))
        one, two = zip(*found, strict=True)
        return torch.tensor(one), torch.tensor(two)

    def overlap(self, joints: Tensor) -> Tensor:
        """How deep the limbs run into each other, the deepest pair.

        Args:
            joints: (..., 24, 3) metres.

        Returns:
            (...) metres.
        """
        start, end, radius = self.bones
        share = torch.linspace(0, 1, _SPHERES)[:, None]
        a, b = (joints[..., index, None, :] for index in (start, end))
        points = a + (b - a) * share  # (..., bones, spheres, 3)
        one, two = self.pairs
        distance = torch.cdist(points[..., one, :, :], points[..., two, :, :]).amin((-1, -2))
        return (radius[one] + radius[two] - distance).amax(-1)

    @cached_property
    def parts(self) -> np.ndarray:
        """(F,) int16: the joint that moves most of each triangle."""
        terms = self.body.terms
        bone = terms.skin_bone.gather(1, terms.skin_weight.argmax(1, keepdim=True)).squeeze(1).numpy()
        return bone[self.body.faces[:, 0]].astype(np.int16)

    @cached_property
    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """The triangles at each vertex, one vertex after the other (3 F,), and where in it each vertex begins (V,)."""
        flat = self.body.faces.ravel()
        return np.argsort(flat, kind="stable") // 3, np.searchsorted(np.sort(flat), np.arange(self.body.num_vertices))

    def person(
        self,
        rng: np.random.Generator,
        temperature: float,
        *,
        middle: np.ndarray | None = None,
        betas: np.ndarray | None = None,
        clips: np.ndarray | None = None,
    ) -> Person:
        """Draw a person.

        Args:
            rng: all randomness.
            temperature: standard deviation of the latent; 1 is the prior's own.
            middle: (32,) latent about which to draw; None for the prior's.
            betas: (10,) shape; None draws one.
            clips: (M, 24, 3) recorded poses, rotation vectors in a frame with y up, of which one, or its mirror image,
                is taken; None draws from the prior.
        """
        if betas is None:
            betas = np.clip(1.1 * rng.standard_normal(self.body.num_betas), -2.6, 2.6).astype(np.float32)
        shape = torch.from_numpy(betas)
        yaw, lean = rng.uniform(-np.pi, np.pi), rng.normal(0, np.radians(3), 2)
        if clips is not None:
            orient, rotations = self._recorded(rng, clips)
            orient = turn(0, np.pi) @ turn(1, yaw) @ orient
        else:
            orient, rotations = self._imagined(rng, temperature, middle, shape, yaw)
        orient = turn(0, lean[0]) @ turn(2, lean[1]) @ orient
        rotations = self._tread(orient, rotations, shape)
        posed = self.body(
            global_orient=torch.from_numpy(orient[None].astype(np.float32)),
            body_pose=torch.from_numpy(rotations),
            betas=shape,
        )
        vertices, root = posed.vertices.numpy(), posed.joints[0].numpy()
        from_root = vertices - root
        return Person(
            orient=orient,
            rotations=rotations,
            betas=betas,
            root=np.array([0, -from_root[:, 1].max(), 0], np.float64),
            reach=float(np.hypot(from_root[:, 0], from_root[:, 2]).max()),
        )

    def _imagined(
        self, rng: np.random.Generator, temperature: float, middle: np.ndarray | None, betas: Tensor, yaw: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Root orientation, world frame, and rotations (23, 3, 3) of a pose of the prior, the best of a few."""
        latent = torch.from_numpy(rng.standard_normal((TRIES, 32)).astype(np.float32)) * temperature
        if middle is not None:
            latent = latent + torch.from_numpy(middle.astype(np.float32))
        rotations = torch.cat((self.prior.decode(latent), torch.eye(3).expand(TRIES, 2, 3, 3)), 1)
        joints = self.body.joints_plan(body_pose=rotations, betas=betas)
        rotvec = ops.matrix_to_rotvec(rotations[:, :21])
        # a limb beyond its limits by 0.1 rad counts like one that runs 1 cm into another
        bad = self.overlap(joints).clamp(min=0.02) + 0.1 * limit_violation(rotvec).amax(-1).clamp(min=0.05)
        best = int(bad.argmin())
        orient = _upright(yaw) @ _balance(joints[best].numpy().astype(np.float64), self.index)
        return orient, rotations[best].numpy()

    def _recorded(self, rng: np.random.Generator, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Root orientation, y up, and rotations (23, 3, 3) of a recorded pose; half of them mirrored."""
        pose = torch.from_numpy(clips[rng.integers(len(clips))].astype(np.float32))
        if rng.random() < 0.5:
            order = list(skeletons.get("smpl24").flip_permutation)
            pose = pose[order] * torch.tensor([1.0, -1.0, -1.0])
        pose[22:] = 0
        matrices = ops.rotvec_to_matrix(pose).numpy()
        return matrices[0].astype(np.float64), matrices[1:]

    @cached_property
    def index(self) -> dict[str, int]:
        """Number of each joint."""
        return {name: at for at, name in enumerate(self.body.joint_names)}

    def _tread(self, orient: np.ndarray, rotations: np.ndarray, betas: Tensor) -> np.ndarray:
        """Lay the soles of the feet that bear the body on the floor, as far as ankles bend: nobody stands on tiptoe
        unawares."""
        placed = self.body.joints_plan(
            global_orient=torch.from_numpy(orient[None].astype(np.float32)),
            body_pose=torch.from_numpy(rotations),
            betas=betas,
        ).numpy()
        heights = {
            side: -placed[[self.index[f"{side}_ankle"], self.index[f"{side}_foot"]], 1].mean() for side in _SIDES
        }
        rotations = rotations.copy()
        for side, height in heights.items():
            bears = np.exp(-max(height - min(heights.values()) - 0.03, 0) / 0.04)
            if bears < 0.1:
                continue
            shin = orient
            for name in ("hip", "knee"):
                shin = shin @ rotations[self.index[f"{side}_{name}"] - 1]
            ankle = self.index[f"{side}_ankle"] - 1
            foot = shin @ rotations[ankle]
            axis = np.cross(foot[:, 1], (0.0, -1.0, 0.0))
            angle = np.arctan2(np.linalg.norm(axis), -foot[1, 1])
            if angle > 1e-6:
                level = _about(axis / np.linalg.norm(axis), min(angle * bears, _ANKLE))
                rotations[ankle] = shin.T @ level @ foot
            toes = self.index[f"{side}_foot"] - 1
            turned = ops.matrix_to_rotvec(torch.from_numpy(rotations[toes])) * (1 - 0.7 * bears)
            rotations[toes] = ops.rotvec_to_matrix(turned).numpy()
        return rotations


def _upright(yaw: float) -> np.ndarray:
    """Root orientation, world frame, of an upright body; yaw 0 faces the camera."""
    return turn(0, np.pi) @ turn(1, yaw)


def _balance(joints: np.ndarray, index: dict[str, int]) -> np.ndarray:
    """Small rotation of the body about its root that brings its middle above the foot, or feet, that bear it.

    Args:
        joints: (24, 3) metres, body frame (y up).
        index: joint names.

    Returns:
        (3, 3), of at most 20 degrees.
    """
    feet = joints[[index[f"{side}_{part}"] for side in ("left", "right") for part in ("ankle", "foot")]]
    feet = feet.reshape(2, 2, 3).mean(1)
    bears = np.exp(-(feet[:, 1] - feet[:, 1].min()) / 0.05)
    line = joints.mean(0) - (feet * bears[:, None]).sum(0) / bears.sum()
    pitch, roll = (np.arctan2(line[axis], max(line[1], 0.3)) for axis in (2, 0))
    limit = np.radians(20)
    return turn(0, -np.clip(pitch, -limit, limit)) @ turn(2, np.clip(roll, -limit, limit))


def turn(axis: int, angle: float) -> np.ndarray:
    """(3, 3) rotation about x, y or z by radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = cos, -sin, sin, cos
    return matrix


def _about(axis: np.ndarray, angle: float) -> np.ndarray:
    """(3, 3) rotation about a unit axis (3,) by radians."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
