"""Named landmark sets of the free body: where annotators put each point, and sparse regressors that find it.

A landmark is a place fixed to one or two bones (joint centres as seen in photographs) or on the skin (face, feet). Its
regressor is fitted to people of many shapes in the T-pose and to the mean body in many poses together.
"""

from __future__ import annotations

import numpy as np

from . import fitting, rig

_FACE = "nose left_eye right_eye left_ear right_ear".split()
_LIMBS = [f"{side}_{part}" for part in ("shoulder", "elbow", "wrist") for side in ("left", "right")]
_LEGS = [f"{side}_{part}" for part in ("hip", "knee", "ankle") for side in ("left", "right")]
_FEET = [f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel")]


def _sided(parts: str, first: str) -> list[str]:
    return [f"{first}_{part}" for part in parts.split()]


# Public set name -> [(public landmark name, key of `targets`)].
def _named(names: str, keys: list[str]) -> list[tuple[str, str]]:
    return list(zip(names.split(), keys, strict=True))


_COCO = _named(
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist "
    "right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle",
    _FACE + _LIMBS + ["left_coco_hip", "right_coco_hip"] + _LEGS[2:],
)
SETS = {
    "coco17": _COCO,
    "coco17_feet": _COCO + _named("L_Big_toe L_Small_toe L_Heel R_Big_toe R_Small_toe R_Heel", _FEET),
    "h36m17": _named(
        "Pelvis R_Hip R_Knee R_Ankle L_Hip L_Knee L_Ankle Torso Neck Head Head_top "
        "L_Shoulder L_Elbow L_Wrist R_Shoulder R_Elbow R_Wrist",
        ["hip_centre", *_sided("hip knee ankle", "right"), *_sided("hip knee ankle", "left"), "torso", "neck_base"]
        + ["face", "head_top", *_sided("shoulder elbow wrist", "left"), *_sided("shoulder elbow wrist", "right")],
    ),
    "lsp14": _named(
        "R_Ankle R_Knee R_Hip L_Hip L_Knee L_Ankle R_Wrist R_Elbow R_Shoulder L_Shoulder L_Elbow L_Wrist Neck Head_top",
        [*_sided("ankle knee hip", "right"), *_sided("hip knee ankle", "left")]
        + [*_sided("wrist elbow shoulder", "right"), *_sided("shoulder elbow wrist", "left"), "throat", "head_top"],
    ),
    "mupots17": _named(
        "Head_top Neck R_Shoulder R_Elbow R_Wrist L_Shoulder L_Elbow L_Wrist R_Hip R_Knee R_Ankle "
        "L_Hip L_Knee L_Ankle Pelvis Torso Head",
        ["head_top", "neck_base", *_sided("shoulder elbow wrist", "right"), *_sided("shoulder elbow wrist", "left")]
        + [*_sided("hip knee ankle", "right"), *_sided("hip knee ankle", "left"), "hip_centre", "torso", "face"],
    ),
}
_SKIN = {*_FACE, *_FEET, "head_top"}  # found within a thumb's width on the skin; all others lie inside the body


def targets(joints: np.ndarray, surface: dict[str, np.ndarray], crown: np.ndarray) -> dict[str, tuple[np.ndarray, str]]:
    """Rest position (S, 3) of each landmark and the joint whose bone carries it.

    joints (S, 24, 3) in the T-pose; surface: anny's own face and foot points in the T-pose; crown (S, 3) top of head.
    """
    at = {name: joints[:, j] for name, j in rig.JOINT.items()}
    hips = (at["left_hip"] + at["right_hip"]) / 2
    up = (at["neck"] - hips) / np.linalg.norm(at["neck"] - hips, axis=-1, keepdims=True)
    found = {name: (at[name], name) for name in _LIMBS + _LEGS[2:]}
    for side in ("left", "right"):
        outwards = at[f"{side}_hip"] - hips
        found[f"{side}_hip"] = (hips + 1.25 * outwards, "pelvis")  # true hip centres; the joints are narrower
        found[f"{side}_coco_hip"] = (hips + 1.40 * outwards + 0.02 * up, "pelvis")
    found["hip_centre"] = (hips, "pelvis")
    found["torso"] = ((at["spine1"] + at["spine2"]) / 2, "spine1")
    shoulders = (at["left_shoulder"] + at["right_shoulder"]) / 2
    found["neck_base"] = (0.65 * at["neck"] + 0.35 * shoulders, "spine3")
    found["throat"] = (0.85 * at["neck"] + 0.15 * at["head"], "neck")
    eyes = (surface["left_eye"] + surface["right_eye"]) / 2
    found["face"] = ((eyes + surface["nose"] + at["head"]) / 3, "head")
    found["head_top"] = (crown, "head")
    for name in _FACE:
        found[name] = (surface[name], "head")
    for name in _FEET:
        side, _, part = name.partition("_")
        found[name] = (surface[name], f"{side}_ankle" if part == "heel" else f"{side}_foot")
    return found


def fit_sets(shapes, found, posed, maps, mirror, *, most=12) -> dict[str, tuple[list[str], np.ndarray]]:
    """Regressor rows (K, V) of every set.

    shapes (S, V, 3) people in the T-pose; posed (P, V, 3) the mean body in poses with joint
    maps (P, 24, 4, 4). The mean body is the mean of the shapes.
    """
    mean = shapes.mean(0)
    skins = np.concatenate([shapes, posed])
    rows = {}
    for key in {key for members in SETS.values() for _, key in members}:
        if key.startswith("right_"):
            continue
        rest, carrier = found[key]
        home = maps[:, rig.JOINT[carrier]]
        moved = home[:, :3, :3] @ rest.mean(0) + home[:, :3, 3]
        near = _candidates(mean, rest.mean(0), key)
        row = fitting.fit_regressor(np.concatenate([rest, moved]), skins, near, most=most if key.startswith("left_") else most // 2)
        rows[key] = row
        if key.startswith("left_"):
            rows["right_" + key[5:]] = row[mirror]
        else:
            rows[key] = (row + row[mirror]) / 2
    return {name: ([public for public, _ in m], np.stack([rows[key] for _, key in m])) for name, m in SETS.items()}


def _candidates(mean: np.ndarray, point: np.ndarray, key: str) -> np.ndarray:
    if key in _SKIN:
        return fitting.around(mean, point, max(6, len(mean) // 450), 40)
    return fitting.around(mean, point, len(mean) // 8, 220)
