"""The joint sets of the field, each in the order of its data set.

A chain "A-B-C" in the edges stands for the lines A-B and B-C.
"""

from __future__ import annotations

import itertools

from pgtfast._errors import PgtfastError
from pgtfast.skeletons._skeleton import Skeleton, joint_key

_COCO = (
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist "
    "right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle"
)
_COCO_LINES = (
    "nose-left_eye-left_ear nose-right_eye-right_ear left_shoulder-right_shoulder left_hip-right_hip "
    "left_shoulder-left_hip right_shoulder-right_hip left_shoulder-left_elbow-left_wrist "
    "right_shoulder-right_elbow-right_wrist left_hip-left_knee-left_ankle right_hip-right_knee-right_ankle"
)
_FEET = "L_Big_toe L_Small_toe L_Heel R_Big_toe R_Small_toe R_Heel"
_FOOT_LINES = "L_Ankle-L_Heel L_Ankle-L_Big_toe-L_Small_toe R_Ankle-R_Heel R_Ankle-R_Big_toe-R_Small_toe"  #
_LIMB_LINES = "L_Shoulder-L_Elbow-L_Wrist R_Shoulder-R_Elbow-R_Wrist L_Hip-L_Knee-L_Ankle R_Hip-R_Knee-R_Ankle"  #
_FACE_LINES = "Nose-L_Eye-L_Ear Nose-R_Eye-R_Ear"
_SMPL = (
    "pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot right_foot "
    "neck left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist "
    "left_hand right_hand"
)
_SMPL_LINES = (
    "pelvis-left_hip-left_knee-left_ankle-left_foot pelvis-right_hip-right_knee-right_ankle-right_foot "
    "pelvis-spine1-spine2-spine3-neck-head spine3-left_collar-left_shoulder-left_elbow-left_wrist-left_hand "
    "spine3-right_collar-right_shoulder-right_elbow-right_wrist-right_hand"
)
_TIPS = "thumb index middle ring pinky"
_P2P_BODY = (
    "Pelvis L_Hip R_Hip L_Knee R_Knee L_Ankle R_Ankle Neck L_Shoulder R_Shoulder L_Elbow R_Elbow L_Wrist R_Wrist"  #
)
_P2P_LINES = f"Pelvis-L_Hip Pelvis-R_Hip Pelvis-Neck-Nose Neck-L_Shoulder Neck-R_Shoulder {_LIMB_LINES} {_FACE_LINES}"
_MPI = (
    "Head_top Neck R_Shoulder R_Elbow R_Wrist L_Shoulder L_Elbow L_Wrist R_Hip R_Knee R_Ankle L_Hip L_Knee L_Ankle "
    "Pelvis Torso Head"
)
_MUCO_LINES = "L_Wrist-L_Hand R_Wrist-R_Hand L_Ankle-L_Toe R_Ankle-R_Toe"
_TRUNK_LINES = (
    f"Pelvis-Torso-Neck-Head-Head_top Pelvis-L_Hip Pelvis-R_Hip Neck-L_Shoulder Neck-R_Shoulder {_LIMB_LINES}"  #
)


def _tips(side: str) -> str:
    return " ".join(f"{side}_{tip}" for tip in _TIPS.split())


def _knuckles(side: str) -> str:
    return " ".join(f"{side}_{finger}_1" for finger in ("Index", "Middle", "Ring", "Pinky"))


def _make(name: str, joints: str, lines: str) -> Skeleton:
    names = tuple(joints.split())
    index = {joint_key(joint): at for at, joint in enumerate(names)}
    edges = []
    for chain in lines.split():
        points = [index[joint_key(joint)] for joint in chain.split("-")]
        edges += list(itertools.pairwise(points))
    return Skeleton(name, names, tuple(edges))


_HAND_LINES = " ".join(f"{s}_Wrist-{s}_{finger}_1" for s in "LR" for finger in ("Index", "Middle", "Ring", "Pinky"))
_TIP_LINES = " ".join(f"{side}_wrist-{side}_{tip}" for side in ("left", "right") for tip in _TIPS.split())

_SETS = {
    made.name: made
    for made in (
        _make("smpl24", _SMPL, _SMPL_LINES),
        _make(
            "smplx45",
            f"{_SMPL} nose right_eye left_eye right_ear left_ear left_big_toe left_small_toe left_heel right_big_toe "
            f"right_small_toe right_heel {_tips('left')} {_tips('right')}",
            f"{_SMPL_LINES} head-nose {_FACE_LINES} {_FOOT_LINES} {_TIP_LINES}",
        ),
        _make("coco17", _COCO, _COCO_LINES),
        _make("coco17_feet", f"{_COCO} {_FEET}", f"{_COCO_LINES} {_FOOT_LINES}"),
        _make(
            "coco_wholebody31",
            f"{_COCO} {_FEET} {_knuckles('L')} {_knuckles('R')}",
            f"{_COCO_LINES} {_FOOT_LINES} {_HAND_LINES}",
        ),
        _make(
            "h36m17",
            "Pelvis R_Hip R_Knee R_Ankle L_Hip L_Knee L_Ankle Torso Neck Head Head_top L_Shoulder L_Elbow L_Wrist "
            "R_Shoulder R_Elbow R_Wrist",
            _TRUNK_LINES,
        ),
        _make(
            "lsp14",
            "R_Ankle R_Knee R_Hip L_Hip L_Knee L_Ankle R_Wrist R_Elbow R_Shoulder L_Shoulder L_Elbow L_Wrist Neck "
            "Head_top",
            f"Neck-Head_top Neck-L_Shoulder-L_Hip Neck-R_Shoulder-R_Hip L_Hip-R_Hip {_LIMB_LINES}",
        ),
        _make("mupots17", _MPI, _TRUNK_LINES),
        _make("mpi17", _MPI, _TRUNK_LINES),
        _make("muco21", f"{_MPI} R_Hand L_Hand R_Toe L_Toe", f"{_TRUNK_LINES} {_MUCO_LINES}"),
        # SPIN's "Jaw (H36M)" and "Head (H36M)" are Human3.6M's head and head top; its own head top is LSP's.
        _make(
            "spin24",
            "R_Ankle R_Knee R_Hip L_Hip L_Knee L_Ankle R_Wrist R_Elbow R_Shoulder L_Shoulder L_Elbow L_Wrist Neck "
            "Head_top "
            "Pelvis Thorax Torso Jaw Head_H36M Nose L_Eye R_Eye L_Ear R_Ear",
            f"Pelvis-L_Hip Pelvis-R_Hip Pelvis-Torso-Thorax-Neck-Jaw-Head_H36M-Head_top Jaw-Nose {_FACE_LINES} "
            f"Thorax-L_Shoulder Thorax-R_Shoulder {_LIMB_LINES}",
        ),
        _make(
            "mpii16",
            "R_Ankle R_Knee R_Hip L_Hip L_Knee L_Ankle Pelvis Thorax Neck Head_top R_Wrist R_Elbow R_Shoulder "
            "L_Shoulder L_Elbow L_Wrist",
            "Pelvis-L_Hip Pelvis-R_Hip Pelvis-Thorax-Neck-Head_top Thorax-L_Shoulder Thorax-R_Shoulder " + _LIMB_LINES,
        ),
        _make(
            "crowdpose14",
            "L_Shoulder R_Shoulder L_Elbow R_Elbow L_Wrist R_Wrist L_Hip R_Hip L_Knee R_Knee L_Ankle R_Ankle "
            "Head_top Neck",
            f"Neck-Head_top Neck-L_Shoulder-L_Hip Neck-R_Shoulder-R_Hip L_Hip-R_Hip {_LIMB_LINES}",
        ),
        _make(
            "openpose25",
            "Nose Neck R_Shoulder R_Elbow R_Wrist L_Shoulder L_Elbow L_Wrist Pelvis R_Hip R_Knee R_Ankle L_Hip L_Knee "
            f"L_Ankle R_Eye L_Eye R_Ear L_Ear {_FEET}",
            f"{_P2P_LINES} {_FOOT_LINES}",
        ),
        _make(
            "insta25",
            "R_Heel R_Knee R_Hip L_Hip L_Knee L_Heel R_Wrist R_Elbow R_Shoulder L_Shoulder L_Elbow L_Wrist Neck "
            "Head_top "
            "Nose L_Eye R_Eye L_Ear R_Ear L_Big_toe R_Big_toe L_Small_toe R_Small_toe L_Ankle R_Ankle",
            f"Nose-Neck-Head_top {_FACE_LINES} Neck-L_Shoulder-L_Hip Neck-R_Shoulder-R_Hip L_Hip-R_Hip {_LIMB_LINES} "
            f"{_FOOT_LINES}",
        ),
        _make(
            "p2p33",
            f"{_P2P_BODY} {_knuckles('L')} {_knuckles('R')} Nose L_Eye R_Eye L_Ear R_Ear {_FEET}",
            f"{_P2P_LINES} {_FOOT_LINES} {_HAND_LINES}",
        ),
        _make("p2p25", f"{_P2P_BODY} {_FEET} L_Ear R_Ear L_Eye R_Eye Nose", f"{_P2P_LINES} {_FOOT_LINES}"),
    )
}
NAMES = tuple(_SETS)


def get(name: str) -> Skeleton:
    """Returns the skeleton of that name (`pgtfast.skeletons.NAMES` lists them)."""
    if name not in _SETS:
        raise PgtfastError(f"skeleton {name!r} is not known; known are: {', '.join(NAMES)}")
    return _SETS[name]
