"""Named landmark sets of the free body: where annotators put each point, and sparse regressors that find it.

A landmark is a place fixed to one or two bones (joint centres as seen in photographs) or on the skin (face, feet). Its
regressor is fitted to people of many shapes in the T-pose and to the mean body in many poses together.
"""

from __future__ import annotations

import numpy as np

from . import fitting, rig

_FACE = ["nose", "left_eye", "right_eye", "left_ear", "right_ear"]
_LIMBS = [f"{side}_{part}" for part in ("shoulder", "elbow", "wrist") for side in ("left", "right")]
_LEGS = [f"{side}_{part}" for part in ("coco_hip", "knee", "ankle") for side in ("left", "right")]
_FEET = [f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel")]


def _sided(parts: str, first: str) -> list[str]:
    return [f"{first}_{part}" for part in parts.split()]


def _named(names: str, *keys: str) -> list[tuple[str, str]]:
    return list(zip(names.split(), keys, strict=True))


_COCO = _named(
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist "
    "right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle",
    *_FACE,
    *_LIMBS,
    *_LEGS,
)
# Public set name -> [(public landmark name, key of `targets`)].
SETS = {
    "coco17": _COCO,
    "coco17_feet": [*_COCO, *_named("L_Big_toe L_Small_toe L_Heel R_Big_toe R_Small_toe R_Heel", *_FEET)],
    "h36m17": _named(
        "Pelvis R_Hip R_Knee R_Ankle L_Hip L_Knee L_Ankle Torso Neck Head Head_top "
        "L_Shoulder L_Elbow L_Wrist R_Shoulder R_Elbow R_Wrist",
        "h36m_hips",
        *_sided("h36m_hip knee ankle", "right"),
        *_sided("h36m_hip knee ankle", "left"),
        *("torso", "neck_base", "face", "h36m_head_top"),
        *_sided("h36m_shoulder elbow wrist", "left"),
        *_sided("h36m_shoulder elbow wrist", "right"),
    ),
    "lsp14": _named(
        "R_Ankle R_Knee R_Hip L_Hip L_Knee L_Ankle R_Wrist R_Elbow R_Shoulder L_Shoulder L_Elbow L_Wrist Neck Head_top",
        *_sided("ankle knee lsp_hip", "right"),
        *_sided("lsp_hip knee ankle", "left"),
        *_sided("wrist elbow shoulder", "right"),
        *_sided("shoulder elbow wrist", "left"),
        *("throat", "head_top"),
    ),
    "mupots17": _named(
        "Head_top Neck R_Shoulder R_Elbow R_Wrist L_Shoulder L_Elbow L_Wrist R_Hip R_Knee R_Ankle "
        "L_Hip L_Knee L_Ankle Pelvis Torso Head",
        *("head_top", "neck_base"),
        *_sided("shoulder elbow wrist", "right"),
        *_sided("shoulder elbow wrist", "left"),
        *_sided("hip knee ankle", "right"),
        *_sided("hip knee ankle", "left"),
        *("hips", "torso", "skull"),
    ),
}
_SKIN = {*_FACE, *_FEET, "head_top"}  # found within a thumb's width on the skin; all others lie inside the body


def targets(joints: np.ndarray, surface: dict[str, np.ndarray], crown: np.ndarray) -> dict[str, tuple[np.ndarray, str]]:
    """Rest position (S, 3) of each landmark and the joint whose bone carries it.

    joints (S, 24, 3) in the T-pose; surface: anny's own face and foot points in the T-pose; crown (S, 3) top of head.
    """
    at = {name: joints[:, j] for name, j in rig.JOINT.items()}
    middle = (at["left_hip"] + at["right_hip"]) / 2
    up = (at["neck"] - middle) / np.linalg.norm(at["neck"] - middle, axis=-1, keepdims=True)
    # Joints follow SMPL's, whose hips are narrow and low; annotators put hips and shoulders elsewhere, each in their
    # way.
    found = {name: (at[name], name) for name in _LIMBS[2:] + _LEGS[4:]}
    for side in ("left", "right"):
        out = at[f"{side}_hip"] - middle
        found[f"{side}_hip"] = (middle + 1.40 * out + 0.025 * up, "pelvis")  # the true hip centre
        found[f"{side}_coco_hip"] = (middle + 1.56 * out + 0.035 * up, "pelvis")  # on the flank
        found[f"{side}_h36m_hip"] = (middle + 1.67 * out + 0.055 * up, "pelvis")  # 26 cm apart
        found[f"{side}_lsp_hip"] = (middle + 1.15 * out - 0.020 * up, "pelvis")  # at the groin
        shoulder = at[f"{side}_shoulder"]
        inwards = (at["neck"] - shoulder) * (1, 0, 0)
        found[f"{side}_shoulder"] = (shoulder + 0.04 * inwards + 0.008 * up, f"{side}_collar")
        found[f"{side}_knee"] = (at[f"{side}_knee"] + (0, 0, 0.012), f"{side}_knee")  # towards the knee cap
        found[f"{side}_h36m_shoulder"] = (shoulder + 0.14 * inwards + 0.02 * up, f"{side}_collar")
    found["hips"] = (middle + 0.025 * up, "pelvis")
    found["h36m_hips"] = (middle + 0.055 * up, "pelvis")
    front = np.array([0, 0, 1.0])
    found["torso"] = (0.25 * at["spine1"] + 0.75 * at["spine2"] + 0.02 * front, "spine1")
    shoulders = (at["left_shoulder"] + at["right_shoulder"]) / 2
    found["neck_base"] = (0.65 * at["neck"] + 0.35 * shoulders + 0.02 * front, "spine3")
    found["throat"] = (0.85 * at["neck"] + 0.15 * at["head"] + 0.02 * front, "neck")
    found["face"] = ((2 * surface["nose"] + at["head"]) / 3, "head")
    ears = (surface["left_ear"] + surface["right_ear"]) / 2
    found["skull"] = (0.7 * ears + 0.3 * surface["nose"], "head")
    found["head_top"] = (crown - 0.01 * up, "head")
    found["h36m_head_top"] = (crown - 0.04 * up, "head")
    for name in _FACE:
        found[name] = (surface[name], "head")
    for name in _FEET:
        side, _, part = name.partition("_")
        found[name] = (surface[name], f"{side}_ankle" if part == "heel" else f"{side}_foot")
    return found


def fit_rows(shapes, found, posed, maps, mirror, *, people=60, most=12) -> dict[str, np.ndarray]:
    """Regressor row (V,) of every landmark, symmetric.

    shapes (S, V, 3) people in the T-pose; found: their landmarks as `targets` gives them; posed (P, V, 3) the mean body
    (of all shapes) in poses with joint maps (P, 24, 4, 4). The first `people` shapes count.
    """
    mean, rows = shapes.mean(0), {}
    skins = np.concatenate([shapes[:people], posed])
    for key, (rest, carrier) in found.items():
        if key.startswith("right_"):
            continue
        points = np.concatenate([rest[:people], carried(rest.mean(0), carrier, maps)])
        paired = key.startswith("left_")
        near = _candidates(mean, rest.mean(0), key)
        row = fitting.fit_regressor(points, skins, near, most=most if paired else most // 2)
        rows[key] = row if paired else (row + row[mirror]) / 2
        if paired:
            rows["right_" + key[5:]] = row[mirror]
    return rows


def stored(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The sets as the file keeps them: names and the regressors' non-zeros."""
    arrays = {}
    for name, members in SETS.items():
        matrix = np.stack([rows[key] for _, key in members])
        row, col = np.nonzero(matrix)
        arrays[f"landmarks/{name}/names"] = np.array([public for public, _ in members])
        arrays[f"landmarks/{name}/row"] = row.astype(np.int32)
        arrays[f"landmarks/{name}/col"] = col.astype(np.int32)
        arrays[f"landmarks/{name}/val"] = matrix[row, col].astype(np.float32)
    return arrays


def carried(point: np.ndarray, carrier: str, maps: np.ndarray) -> np.ndarray:
    """A rest point (3,) fixed to the bone of joint `carrier` in poses (P, 3)."""
    bone = maps[:, rig.JOINT[carrier], :3]
    return bone[:, :, :3] @ point + bone[:, :, 3]


def _candidates(mean: np.ndarray, point: np.ndarray, key: str) -> np.ndarray:
    """Vertices that may carry a landmark: skin points only use their surroundings, inner ones a wide shell."""
    if key in _SKIN:
        return fitting.around(mean, point, max(14, len(mean) // 250), 40)
    return fitting.around(mean, point, len(mean) // 6, 260)
