"""The SMPL joint tree, how anny's bones map onto it, and rigid motion along the tree. Metres, radians, y up."""

from __future__ import annotations

import numpy as np

JOINT_NAMES = [
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle"),
    *("spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    *("left_hand", "right_hand"),
]
PARENTS = np.array([-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21])
JOINT = {name: i for i, name in enumerate(JOINT_NAMES)}


def _other_side(name: str) -> str:
    if name.startswith("left_"):
        return "right_" + name[5:]
    return "left_" + name[6:] if name.startswith("right_") else name


JOINT_MIRROR = np.array([JOINT[_other_side(name)] for name in JOINT_NAMES])
MIRROR = np.array([-1.0, 1.0, 1.0])  # reflection in the plane x = 0

# Position of a joint: weighted mean of heads of anny bones. `{}` is the side, L or R.
# The hip is narrower and lower than anny's leg root, and the pelvis joint higher than anny's root, as in SMPL.
_CENTRE_JOINTS = {
    "pelvis": {"root": 0.45, "spine04": 0.55},
    "spine1": {"spine03": 1.0},
    "spine2": {"spine02": 0.6, "spine01": 0.4},
    "spine3": {"spine02": 0.2, "spine01": 0.8},
    "neck": {"neck01": 1.0},
    "head": {"neck03": 0.5, "head": 0.5},
}
_SIDE_JOINTS = {
    "hip": {"upperleg01.{}": 0.46, "upperleg02.{}": 0.24, "root": 0.30},
    "knee": {"lowerleg01.{}": 1.0},
    "ankle": {"foot.{}": 1.0},
    "foot": {f"toe{i}-1.{{}}": 0.2 for i in range(1, 6)},
    "collar": {"clavicle.{}": 0.35, "shoulder01.{}": 0.45, "spine01": 0.2},
    "shoulder": {"upperarm01.{}": 1.0},
    "elbow": {"lowerarm01.{}": 1.0},
    "wrist": {"wrist.{}": 1.0},
    "hand": {f"finger{i}-1.{{}}": 0.25 for i in range(2, 6)},
}
# Which joint moves the skin of an anny bone (first match wins; prefix of the bone's name).
_SIDE_BONES = [
    ("upperleg", "hip"),
    ("lowerleg", "knee"),
    ("foot", "ankle"),
    ("toe", "foot"),
    ("clavicle", "collar"),
    ("shoulder", "collar"),
    ("upperarm", "shoulder"),
    ("lowerarm", "elbow"),
    ("wrist", "wrist"),
    ("metacarpal", "wrist"),
    ("finger1-1", "wrist"),
    ("finger", "hand"),
]
_CENTRE_BONES = [
    ("root", "pelvis"),
    ("pelvis", "pelvis"),
    ("spine05", "pelvis"),
    ("spine04", "pelvis"),
    ("spine03", "spine1"),
    ("spine01", "spine3"),
    ("neck", "neck"),
    ("head", "head"),
    ("eye", "head"),
]


def joints_from_bones(heads: np.ndarray, bones: list[str]) -> np.ndarray:
    """SMPL joint positions (S, 24, 3) of people with anny bone heads (S, bones, 3), in the same frame."""
    joints = np.zeros((len(heads), 24, 3))
    for name, j in JOINT.items():
        side, _, part = name.rpartition("_")
        recipe = _SIDE_JOINTS[part] if side else _CENTRE_JOINTS[name]
        for bone, share in recipe.items():
            joints[:, j] += share * heads[:, bones.index(bone.format(side[:1].upper()))]
    return joints


def merge_weights(bone_weights: np.ndarray, bones: list[str], vertices: np.ndarray, heads: np.ndarray) -> np.ndarray:
    """Skinning weights (V, 24) from weights of anny bones (V, bones).

    anny's long `spine02` has no single SMPL joint: its weight is split over spine1, spine2 and spine3 by height
    along the bone (hat functions at 0.2, 0.55 and 0.9 of its length).
    """
    start, end = heads[bones.index("spine02"), 1], heads[bones.index("spine01"), 1]
    height = (vertices[:, 1] - start) / (end - start)
    low, high = np.clip((0.55 - height) / 0.35, 0, 1), np.clip((height - 0.55) / 0.35, 0, 1)
    weights = np.zeros((len(vertices), 24))
    for k, bone in enumerate(bones):
        stem, _, side = bone.partition(".")
        if stem == "spine02":
            for name, share in (("spine1", low), ("spine2", 1 - low - high), ("spine3", high)):
                weights[:, JOINT[name]] += bone_weights[:, k] * share
            continue
        table = _SIDE_BONES if side and stem not in ("pelvis", "eye") else _CENTRE_BONES
        part = next(joint for prefix, joint in table if stem.startswith(prefix))
        prefix = {"L": "left_", "R": "right_"}[side] if table is _SIDE_BONES else ""
        weights[:, JOINT[prefix + part]] += bone_weights[:, k]
    return weights / weights.sum(1, keepdims=True)


def rotation(rotvec: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3) in radians."""
    rotvec = np.asarray(rotvec, float)
    angle = np.linalg.norm(rotvec, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(rotvec, -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*rotvec.shape[:-1], 3, 3)
    return np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * np.sinc(angle / (2 * np.pi)) ** 2 * (cross @ cross)


def turn_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotation (S, 3, 3) that takes directions a (S, 3) to b (3) or (S, 3)."""
    a = a / np.linalg.norm(a, axis=-1, keepdims=True)
    b = np.broadcast_to(b / np.linalg.norm(b, axis=-1, keepdims=True), a.shape)
    axis, cosine = np.cross(a, b), (a * b).sum(-1)
    sine = np.linalg.norm(axis, axis=-1)
    return rotation(axis * (np.arctan2(sine, cosine) / np.maximum(sine, 1e-12))[..., None])


def chain(rotations: np.ndarray, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Global rotations (..., 24, 3, 3) and joints (..., 24, 3) from parent-relative rotations and rest joints."""
    turn, place = np.empty_like(rotations), np.empty(rotations.shape[:-1])
    joints = np.broadcast_to(joints, place.shape)
    for j, p in enumerate(PARENTS):
        if p < 0:
            turn[..., j, :, :], place[..., j, :] = rotations[..., j, :, :], joints[..., j, :]
            continue
        turn[..., j, :, :] = turn[..., p, :, :] @ rotations[..., j, :, :]
        bone = (joints[..., j, :] - joints[..., p, :])[..., None]
        place[..., j, :] = place[..., p, :] + (turn[..., p, :, :] @ bone)[..., 0]
    return turn, place


def rigid(turn: np.ndarray, place: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Maps (..., 24, 4, 4) that carry the rest pose's points of each joint to the posed ones."""
    maps = np.zeros((*turn.shape[:-2], 4, 4))
    maps[..., :3, :3], maps[..., 3, 3] = turn, 1
    maps[..., :3, 3] = place - (turn @ np.broadcast_to(rest, place.shape)[..., None])[..., 0]
    return maps


# Directions of the limbs in the T-pose for the left side (x outwards); the right side mirrors them. SMPL's T-pose is
# not quite straight: thighs spread, shins lean back, upper arms point a little down and back.
_T_POSE = {
    "hip": (0.08, -1.0, 0.0),
    "knee": (-0.02, -1.0, -0.09),
    "shoulder": (1.0, -0.04, -0.09),
    "elbow": (1.0, 0.02, 0.0),
    "wrist": (1.0, -0.04, -0.10),
}
_NEXT = {"hip": "knee", "knee": "ankle", "shoulder": "elbow", "elbow": "wrist", "wrist": "hand"}
_COLLAR = np.radians([0.0, 8.0, 14.0])  # back and up: an arm brought from 45 degrees below to level lifts it along
_LEAN = {"spine1": -2.0, "spine2": -2.0, "spine3": -1.5, "neck": 3.0, "head": 2.5}  # degrees forward: SMPL leans back
_TOE_OUT = np.radians(10.0)


def to_t_pose(joints: np.ndarray, knuckles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Global rotations (S, 24, 3, 3) and joints (S, 24, 3) that bring people from anny's A-pose to SMPL's T-pose.

    `knuckles` (S, 2, 2, 3): [left, right] x [index, little finger] knuckle; the palms end facing down, with half of
    the turn that this takes spread over the fore-arm.
    """
    turn = np.broadcast_to(np.eye(3), (len(joints), 24, 3, 3)).copy()
    for name, degrees in _LEAN.items():
        turn[:, JOINT[name]] = rotation(np.radians([degrees, 0, 0])) @ turn[:, PARENTS[JOINT[name]]]
    for s, (side, sign) in enumerate((("left", 1.0), ("right", -1.0))):
        at = {part: JOINT[f"{side}_{part}"] for part in _SIDE_JOINTS}
        turn[:, at["collar"]] = rotation(sign * _COLLAR) @ turn[:, JOINT["spine3"]]
        for part, direction in _T_POSE.items():
            j, before = at[part], turn[:, PARENTS[at[part]]]
            bone = joints[:, at[_NEXT[part]]] - joints[:, j]
            turn[:, j] = turn_between((before @ bone[..., None])[..., 0], np.array([sign, 1, 1]) * direction) @ before
        toes = joints[:, at["foot"]] - joints[:, at["ankle"]]
        yaw = sign * _TOE_OUT - np.arctan2(toes[:, 0], toes[:, 2])
        turn[:, at["ankle"]] = rotation(yaw[:, None] * np.array([0, 1.0, 0]))
        turn[:, at["foot"]] = turn[:, at["ankle"]]
        across = (turn[:, at["wrist"]] @ (knuckles[:, s, 0] - knuckles[:, s, 1])[..., None])[..., 0]
        roll = np.arctan2(across[:, 1], across[:, 2])[:, None] * np.array([1.0, 0, 0])  # index finger to +z
        turn[:, at["elbow"]] = rotation(roll / 2) @ turn[:, at["elbow"]]
        turn[:, at["wrist"]] = rotation(roll) @ turn[:, at["wrist"]]
        turn[:, at["hand"]] = turn[:, at["wrist"]]
    place = joints.copy()
    for j, p in enumerate(PARENTS[1:], 1):
        place[:, j] = place[:, p] + (turn[:, p] @ (joints[:, j] - joints[:, p])[..., None])[..., 0]
    return turn, place
