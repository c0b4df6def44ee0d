"""Batches of poses from a small capture: mirrored, limbs mixed between clips, arms and legs of anatomical range, noise.

A few thousand poses of three people leave most of the reachable space empty. What is added is what a body can do
whatever the rest of it does: a limb from another frame, an arm in any reachable direction, a straighter elbow, a seated
pair of legs. What would pass through the trunk is thrown away. Half of every batch stays as it was captured, apart from
the mirror and a little noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..priors.poses import BODY_JOINTS, mirror_pose
from ..reference import forward_kinematics, matrix_to_rotvec, rotvec_to_matrix

PARENTS = torch.tensor([-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19], dtype=torch.int32)
"""SMPL's tree: pelvis, then the 21 body joints."""

_ARM = tuple(BODY_JOINTS.index(f"left_{n}") for n in ("collar", "shoulder", "elbow", "wrist"))
_LEG = tuple(BODY_JOINTS.index(f"left_{n}") for n in ("hip", "knee", "ankle", "foot"))
_TRUNK = tuple(BODY_JOINTS.index(n) for n in ("spine1", "spine2", "spine3", "neck", "head"))
_NOISE = {"spine1": 0.06, "spine2": 0.05, "spine3": 0.05, "neck": 0.12, "head": 0.15, "collar": 0.05, "shoulder": 0.06,
          "elbow": 0.05,
          "wrist": 0.2, "hip": 0.06, "knee": 0.05, "ankle": 0.16, "foot": 0.12}  # fmt: skip


def rest_offsets() -> Tensor:
    """(22, 3) metres: an adult's joints in the T-pose, each relative to its parent; x to the body's left, y up, z
    forward."""
    left = {"hip": (0.07, -0.08, 0.0), "knee": (0.03, -0.40, 0.0), "ankle": (0.0, -0.41, -0.03), "foot": (0.03, -0.06,
            0.13),
            "collar": (0.06, 0.12, 0.0), "shoulder": (0.12, 0.02, -0.01), "elbow": (0.26, 0.0, -0.02), "wrist": (0.25,
            0.0, 0.0)}  # fmt: skip
    middle = {
        "spine1": (0, 0.11, -0.01),
        "spine2": (0, 0.13, 0),
        "spine3": (0, 0.06, 0.02),
        "neck": (0, 0.21, -0.04),
        "head": (0, 0.10, 0.05),
    }
    rows = [(0.0, 0.0, 0.0)]
    for name in BODY_JOINTS[:21]:
        side, _, part = name.partition("_")
        x, y, z = left[part] if part else middle[name]
        rows.append((-x if side == "right" else x, y, z))
    return torch.tensor(rows)


class PoseSampler:
    """Draws training batches; every random number comes from one generator, so its state is the sampler's state.

    Args:
        pose: (N, 21, 3) captured poses, radians.
        clip: (N,) int64 clip of each pose. A clip is drawn with the square root of its length, so that a long one does
            not rule.
        generator: on the CPU.
        mixed: fraction of each batch that is changed beyond mirror and noise, 0 to 1.
    """

    def __init__(self, pose: Tensor, clip: Tensor, generator: torch.Generator, mixed: float) -> None:
        self.matrices = rotvec_to_matrix(pose)
        self.weights = clip.bincount()[clip].double().rsqrt()
        self.generator = generator
        self.mixed = mixed
        self.offsets = rest_offsets()

    def __call__(self, count: int) -> Tensor:
        """(count, 21, 3, 3) matrices."""
        pose = self._straighten(self._draw(count))
        subset = pose[: round(self.mixed * count)]
        changed = self._mix(subset.clone())
        subset.copy_(torch.where(self._collides(changed)[:, None, None, None], subset, changed))
        return self._noise(self._share_with_collar(self._rotate_elbow(pose)))

    def normal(self, *shape: int) -> Tensor:
        """Numbers from N(0, 1), drawn by the same generator."""
        return torch.randn(*shape, generator=self.generator)

    def state_dict(self) -> dict[str, Tensor]:
        """What decides the further batches."""
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from a state."""
        self.generator.set_state(state["generator"])

    def _uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(*shape, generator=self.generator) * (high - low) + low

    def _chance(self, count: int, probability: float) -> Tensor:
        return torch.rand(count, generator=self.generator) < probability

    def _draw(self, count: int) -> Tensor:
        pose = self.matrices[torch.multinomial(self.weights, count, replacement=True, generator=self.generator)]
        return torch.where(self._chance(count, 0.5)[:, None, None, None], mirror_pose(pose), pose)

    def _mix(self, pose: Tensor) -> Tensor:
        count = len(pose)
        right_arm, right_leg = [j + 1 for j in _ARM], [j + 1 for j in _LEG]
        for joints, probability in (
            (_TRUNK, 0.4),
            (_ARM, 0.4),
            (right_arm, 0.4),
            ([*_LEG, *right_leg], 0.3),
            (_LEG, 0.15),
        ):
            self._replace(pose, list(joints), self._draw(count)[:, list(joints)], probability)
        for mirrored in (False, True):
            side = mirror_pose(pose) if mirrored else pose
            self._replace(side, list(_ARM), self._arm(count), 0.25)
            self._replace(side, list(_LEG), self._leg(count), 0.2)
            pose = mirror_pose(side) if mirrored else side
        seated = self._chance(count, 0.1)
        legs = self._seat(count)
        pose[:, [*_LEG, *right_leg]] = torch.where(seated[:, None, None, None], legs, pose[:, [*_LEG, *right_leg]])
        self._scale(pose, [_ARM[2], _ARM[2] + 1], 0.3, 0.0, 1.1)
        self._scale(pose, [_LEG[1], _LEG[1] + 1], 0.15, 0.0, 1.1)
        self._scale(pose, list(_TRUNK), 0.4, 0.0, 1.4)
        return pose

    def _replace(self, pose: Tensor, joints: list[int], value: Tensor, probability: float) -> None:
        hit = self._chance(len(pose), probability)
        pose[:, joints] = torch.where(hit[:, None, None, None], value, pose[:, joints])

    def _scale(self, pose: Tensor, joints: list[int], probability: float, low: float, high: float) -> None:
        factor = self._uniform(len(pose), 1, 1, low=low, high=high)
        self._replace(pose, joints, rotvec_to_matrix(matrix_to_rotvec(pose[:, joints]) * factor), probability)

    def _arm(self, count: int) -> Tensor:
        """Left arms in any reachable direction, (count, 4, 3, 3)."""
        azimuth = self._uniform(count, low=-0.5, high=1.9)  # from the side to the front and across
        height = torch.asin(self._uniform(count, low=-0.99, high=0.98))
        swing = rotvec_to_matrix(_axis(1, -azimuth)) @ rotvec_to_matrix(_axis(2, height))
        # swing turns about the vertical last, so that the elbow's hinge keeps its usual side for low arms as for high
        # ones
        twist = rotvec_to_matrix(_axis(0, self._uniform(count, low=-1.2, high=0.9)))
        bend = self._uniform(count).pow(1.5) * 2.4
        tilt = self._uniform(count, low=0.0, high=0.7)
        elbow = torch.stack((torch.zeros_like(bend), -bend * tilt.cos(), bend * tilt.sin()), -1)
        wrist = self.normal(count, 3) * torch.tensor([0.35, 0.2, 0.2])
        identity = torch.eye(3).expand(count, 3, 3)
        return torch.stack((identity, swing @ twist, rotvec_to_matrix(elbow), rotvec_to_matrix(wrist)), 1)

    def _leg(self, count: int) -> Tensor:
        """Left legs of a free foot: raised, kicked, knelt, (count, 4, 3, 3)."""
        flex = -self._uniform(count, low=-0.5, high=1.9)
        return self._leg_from(flex, self._uniform(count, low=-0.3, high=1.1), self._uniform(count) ** 1.5 * 2.4)

    def _seat(self, count: int) -> Tensor:
        """Both legs of people who sit or squat, (count, 8, 3, 3)."""
        flex, knee = -self._uniform(count, low=1.0, high=1.9), self._uniform(count, low=0.4, high=2.2)
        sides = []
        for _ in range(2):
            hip, bend = flex + 0.1 * self._uniform(count, low=-1), knee + 0.25 * self._uniform(count, low=-1)
            sides.append(self._leg_from(hip, self._uniform(count, low=-0.15, high=0.5), bend))
        right = torch.eye(3).repeat(count, 21, 1, 1)
        right[:, list(_LEG)] = sides[1]
        right = mirror_pose(right)[:, [j + 1 for j in _LEG]]
        return torch.cat((sides[0], right), 1)

    def _leg_from(self, flex: Tensor, side: Tensor, knee: Tensor) -> Tensor:
        count = len(flex)
        twist = self._uniform(count, low=-0.4, high=0.5) + side.abs() * self._uniform(count)
        hip = rotvec_to_matrix(_axis(2, side)) @ rotvec_to_matrix(_axis(0, flex)) @ rotvec_to_matrix(_axis(1, twist))
        ankle = self.normal(count, 3) * torch.tensor([0.25, 0.2, 0.15])
        identity = torch.eye(3).expand(count, 3, 3)
        return torch.stack((hip, rotvec_to_matrix(_axis(0, knee)), rotvec_to_matrix(ankle), identity), 1)

    def _straighten(self, pose: Tensor) -> Tensor:
        """Bring the trunk and the legs of some poses nearer to standing upright: of the people in images far more stand
        than climb."""
        joints = [*_TRUNK, *_LEG, *(j + 1 for j in _LEG)]
        self._scale(pose, joints, 0.25, 0.0, 0.8)
        return pose

    def _rotate_elbow(self, pose: Tensor) -> Tensor:
        """Rotate the elbow's hinge about the upper arm and undo it at the shoulder and the wrist, so that no joint
        moves.

        Captures differ in how they split an arm's twist: this one tilts every elbow by half a radian, others by
        nothing.
        """
        angle = self._uniform(len(pose), low=-0.2, high=0.8) * self._chance(len(pose), 0.7)
        pose = pose.clone()
        for side in (0, 1):
            shoulder, elbow, wrist = (j + side for j in _ARM[1:])
            rotation = rotvec_to_matrix(_axis(0, -angle))
            pose[:, shoulder] = pose[:, shoulder] @ rotation
            pose[:, elbow] = rotation.mT @ pose[:, elbow] @ rotation
            pose[:, wrist] = rotation.mT @ pose[:, wrist]
        return pose

    def _share_with_collar(self, pose: Tensor) -> Tensor:
        """Give the collar bones up to a third of the arm's height and keep the arm where it is; the capture's collars
        never move."""
        fraction = self._uniform(len(pose), low=-0.1, high=0.35).clamp_min(0)
        pose = pose.clone()
        for side, sign in ((0, 1.0), (1, -1.0)):
            collar, shoulder = _ARM[0] + side, _ARM[1] + side
            height = torch.asin((sign * pose[:, shoulder, 1, 0]).clamp(-1, 1))
            rotation = rotvec_to_matrix(_axis(2, sign * fraction * height))
            pose[:, shoulder] = rotation.mT @ pose[:, shoulder]
            pose[:, collar] = pose[:, collar] @ rotation
        return pose

    def _noise(self, pose: Tensor) -> Tensor:
        spread = torch.tensor([_NOISE[n.partition("_")[2] or n] for n in BODY_JOINTS[:21]])
        amount = self._uniform(len(pose), 1, 1, low=0.0, high=1.5)
        noise = self.normal(len(pose), 21, 3) * spread[:, None] * amount
        return pose @ rotvec_to_matrix(noise)

    def _collides(self, pose: Tensor) -> Tensor:
        """(B,) whether a limb passes through the trunk, the head or the other leg."""
        root = torch.eye(3).expand(len(pose), 1, 3, 3)
        _, points = forward_kinematics(torch.cat((root, pose), 1), self.offsets.expand(len(pose), 22, 3), PARENTS)
        trunk = _distance_to_segments(points[:, [18, 19, 20, 21]], points[:, [0, 6]], points[:, [6, 12]]) < 0.13
        thighs = _distance_to_segments(points[:, [20, 21]], points[:, [1, 2]], points[:, [4, 5]]) < 0.07
        head = (points[:, [18, 19, 20, 21]] - points[:, 15:16]).norm(dim=-1) < 0.12
        legs = _distance_to_segments(points[:, [4, 7]], points[:, [2, 5]], points[:, [5, 8]]) < 0.09
        return trunk.any(1) | thighs.any(1) | head.any(1) | legs.any(1)


def _axis(axis: int, angle: Tensor) -> Tensor:
    out = angle.new_zeros(*angle.shape, 3)
    out[..., axis] = angle
    return out


def _distance_to_segments(points: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """(B, P) smallest distance of each point (B, P, 3) to the segments (B, S, 3)."""
    along = (end - start)[:, None]
    offset = points[:, :, None] - start[:, None]
    position = ((offset * along).sum(-1) / along.square().sum(-1)).clamp(0, 1)
    return (offset - position[..., None] * along).norm(dim=-1).amin(-1)
